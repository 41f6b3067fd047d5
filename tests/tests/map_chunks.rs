//! A map of many items in chunks, which are split where items are heavy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use taskgraph::map_chunks;
use taskgraph_tests::census::Census;
use taskgraph_tests::checks::{check, check_blamed};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{WORKERS, run, runtime};

mod a_map_in_chunks {
    use super::*;

    #[test]
    fn keeps_the_order() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let runtime = runtime(max_workers);
                for len in [0, 1, 2, 7, 8, 9, 100, 10_000, 300_000u64] {
                    let expected: Vec<u64> = (0..len).map(|i| i * i).collect();
                    let of_range = runtime.run(map_chunks(0..len, |i| i * i)).unwrap();
                    assert!(of_range == expected, "a range of {len} with {max_workers} workers");
                    let of_unknown =
                        runtime.run(map_chunks((0..2 * len).filter(move |i| *i < len), |i| i * i)).unwrap();
                    assert!(of_unknown == expected, "so many as {len} with {max_workers} workers");
                }
            }
        });
    }

    #[test]
    fn keeps_the_order_where_heavy_items_split_it() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let heavy = |i: u64| i % 10_000 == 9_000 || (100_000..100_040).contains(&i);
                let mapped = map_chunks(0..120_000, move |i| {
                    if heavy(i) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    i
                });
                let mapped = run(mapped, max_workers).unwrap();
                assert!(mapped == (0..120_000).collect::<Vec<_>>(), "with {max_workers} workers");
            }
        });
    }

    #[test]
    fn ends_where_its_iterator_first_does() {
        let mut at = 0;
        let pausing = std::iter::from_fn(move || {
            at += 1;
            (at % 100 != 0).then_some(at)
        });
        check(map_chunks(pausing, |i| i), (1..100).collect::<Vec<_>>());
        check(map_chunks(["a", "b"], str::len), vec![1, 1]);
        check(map_chunks(vec![[0u8; 100_000]; 5], |large| large.len()), vec![100_000; 5]);
        check(map_chunks(0..1000, |_| ()), vec![(); 1000]);
    }

    #[test]
    fn runs_heavy_items_in_parallel() {
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let meets = move |i: u32| {
                stages.arrive();
                stages.wait_for(4);
                i
            };
            assert_eq!(run(map_chunks(0..4, meets), 4).unwrap(), [0, 1, 2, 3]);
        });
    }

    #[test]
    fn leaves_to_others_what_lies_behind_a_heavy_item() {
        // Many light items first, so that chunks are long when the heavy ones come, all in one chunk.
        wait::ends(|| {
            let by_thread = Arc::new(Mutex::new(BTreeMap::new()));
            let count = Arc::clone(&by_thread);
            let mapped = map_chunks(0..200_000, move |i| {
                if (100_000..100_100).contains(&i) {
                    thread::sleep(Duration::from_millis(2));
                    *count.lock().unwrap().entry(format!("{:?}", thread::current().id())).or_insert(0) += 1;
                }
            });
            assert_eq!(run(mapped, 4).unwrap().len(), 200_000);
            let by_thread = by_thread.lock().unwrap();
            assert!(by_thread.values().all(|count| *count < 80), "heavy items by thread: {by_thread:?}");
        });
    }

    #[test]
    fn takes_items_only_when_there_is_room_for_them() {
        wait::ends(|| {
            // No chunk has more than 16 items of this size, and no more than 4,096 chunks are in flight.
            const ITEM_BYTES: usize = 4_096;
            const LEN: i64 = 150_000;
            for max_workers in WORKERS {
                let census = Census::new();
                let made = census.clone();
                let items = (0..LEN).map(move |_| (made.counted(), [0; ITEM_BYTES]));
                assert_eq!(run(map_chunks(items, drop), max_workers).unwrap().len() as i64, LEN);
                println!("measured: {} items lived at once, with {max_workers} workers", census.live_max());
                assert!(census.live_max() < LEN / 2, "{} items lived at once", census.live_max());
                census.assert_balanced(LEN);
            }
        });
    }

    #[test]
    fn takes_nothing_before_it_runs() {
        let census = Census::new();
        let made = census.clone();
        let mapped = map_chunks((0..10).map(move |_| made.counted()), |item| item);
        assert_eq!(census.made(), 0);
        drop(run(mapped, 1).unwrap());
        census.assert_balanced(10);
        drop(map_chunks(vec![census.counted()], |item| item));
        census.assert_balanced(11);
    }

    #[test]
    fn that_panics_fails_in_its_line() {
        wait::ends(|| {
            for max_workers in WORKERS {
                for (len, at) in [(1, 0), (10_000, 9_999), (100_000, 50_000)] {
                    for after in [Duration::ZERO, Duration::from_millis(1)] {
                        let census = Census::new();
                        let (made, results) = (census.clone(), census.clone());
                        let items = (0..len).map(move |i| (i, made.counted()));
                        let line = line!() + 1;
                        let broken = map_chunks(items, move |(i, _)| {
                            // A pause splits the chunk before it fails.
                            if at < i + 100 && i % 10 == 0 {
                                thread::sleep(after);
                            }
                            if i == at { quiet_panic("cannot map") } else { results.counted() }
                        });
                        let error = run(broken.attempt(), max_workers).unwrap().map(|_| ()).unwrap_err();
                        check_blamed(&error, "map_chunks", line);
                        let chain = error.trace();
                        assert!(
                            chain.iter().all(|task| (task.name(), task.line()) == ("map_chunks", line)),
                            "{error:#}"
                        );
                        assert!(error.to_string().ends_with("panicked: cannot map"), "{error}");
                        census.assert_balanced(at);
                    }
                }
            }
        });
    }

    #[test]
    fn fails_with_its_iterator() {
        let items = (0..10_000u32).map(|i| if i == 7_000 { quiet_panic("no more") } else { i });
        let (line, broken) = (line!(), map_chunks(items, |i| i));
        let error = run(broken, 2).unwrap_err();
        check_blamed(&error, "map_chunks", line);
        assert!(error.to_string().ends_with("panicked: no more"), "{error}");
    }

    #[test]
    fn is_cancelled_while_it_runs() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let (census, stages) = (Census::new(), Arc::new(Stages::new()));
                let (made, results, waits) = (census.clone(), census.clone(), Arc::clone(&stages));
                let items = (0..).map(move |i| (i, made.counted()));
                let endless = map_chunks(items, move |(i, _)| {
                    if i == 10_000 {
                        waits.signal(1);
                        waits.wait_for(2);
                    }
                    results.counted()
                });
                let runtime = runtime(max_workers);
                let handle = runtime.spawn(endless.map(|results| results.len()));
                stages.wait_for(1);
                handle.cancel();
                stages.signal(2);
                assert!(handle.join().unwrap_err().is_cancelled());
                census.assert_balanced(10_000);
            }
        });
    }
}
