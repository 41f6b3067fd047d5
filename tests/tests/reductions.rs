//! Reductions: many results combined two by two, in their order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use taskgraph::{DC, reduce};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::{check, check_blamed};
use taskgraph_tests::tasks::{quiet_panic, task};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{WORKERS, failing, process, run, runtime};

mod a_reduction {
    use super::*;

    /// Lengths around those of a group, of two, and of many.
    const LENS: [usize; 13] = [0, 1, 2, 3, 4, 5, 31, 32, 33, 64, 65, 1000, 5000];

    #[test]
    fn keeps_the_order() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let runtime = runtime(max_workers);
                for len in LENS {
                    let texts =
                        (0..len).map(|i| if i % 3 == 0 { task(format!("{i},")) } else { DC::value(format!("{i},")) });
                    let joined = runtime.run(reduce(texts, |a, b| a + &b)).unwrap();
                    let expected = (0..len).map(|i| format!("{i},")).reduce(|a, b| a + &b);
                    assert!(joined == expected, "{len} with {max_workers} workers: {joined:?}");
                }
            }
        });
    }

    #[test]
    fn is_balanced() {
        for len in LENS {
            let depth = run(reduce((0..len).map(|_| DC::value(0)), |a: u32, b: u32| 1 + a.max(b)), 1).unwrap();
            let least = len.next_power_of_two().trailing_zeros();
            assert!(depth.unwrap_or(0) <= least, "{len} need {depth:?} steps instead of {least}");
        }
    }

    #[test]
    fn combines_neighbours_as_soon_as_both_are_there() {
        // The third starts only to end when the first two are combined.
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let (combined, waits) = (Arc::clone(&stages), stages);
            let third = DC::new(
                move || {
                    waits.wait_for(1);
                    4
                },
                (),
            );
            let sum = reduce([task(1), task(2), third, task(8)], move |a, b| {
                if a + b == 3 {
                    combined.signal(1);
                }
                a + b
            });
            check(sum, Some(15));
        });
    }

    #[test]
    fn combines_in_parallel() {
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let sum = reduce((0..4).map(task), move |a, b| {
                if a + b != 6 {
                    stages.arrive();
                    stages.wait_for(2);
                }
                a + b
            });
            check(sum, Some(6));
        });
    }

    #[test]
    fn of_an_iterator_that_panics_at_its_end_is_dropped() {
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                quiet_panic("cannot end")
            }
        }
        let census = Census::new();
        let last = Last;
        let values = census.clone();
        let leaves = (0..100).map(move |_| {
            let (value, _) = (values.counted(), &last);
            DC::new(move || value, ())
        });
        let reduced = catch_unwind(AssertUnwindSafe(|| reduce(leaves, |a, _| a)));
        assert!(reduced.is_err());
        census.assert_balanced(100);
    }

    #[test]
    fn that_panics_fails_in_its_line() {
        for max_workers in WORKERS {
            for (len, at) in [(2, 0), (100, 99), (5000, 2500)] {
                let census = Census::new();
                let made = census.clone();
                let leaves = (0..len).map(|i| {
                    let counted = made.counted();
                    if i % 2 == 0 { task((i, counted)) } else { DC::value((i, counted)) }
                });
                let combine = move |a: (i64, Counted), b: (i64, Counted)| {
                    if a.0 <= at && at <= b.0 { quiet_panic("cannot combine") } else { b }
                };
                let (line, broken) = (line!(), reduce(leaves, combine));
                let error = run(broken.attempt(), max_workers).unwrap().map(|_| ()).unwrap_err();
                check_blamed(&error, "reduce", line);
                assert!(error.trace().iter().all(|task| task.name() == "reduce" && task.line() == line), "{error:#}");
                census.assert_balanced(len);
            }
        }
    }

    #[test]
    fn fails_with_a_leaf() {
        for max_workers in WORKERS {
            for (len, at) in [(1, 0), (40, 39), (5000, 2500)] {
                let census = Census::new();
                let made = census.clone();
                let leaves = (0..len).map(|i| if i == at { failing("a leaf") } else { task(made.counted()) });
                let error = run(reduce(leaves, |a, _| a), max_workers).map(|_| ()).unwrap_err();
                assert!(error.to_string().ends_with("failed: a leaf"), "{error}");
                census.assert_balanced(len - 1);
            }
        }
    }

    #[test]
    fn is_cancelled_while_it_runs() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let (census, stages) = (Census::new(), Arc::new(Stages::new()));
                let waits = Arc::clone(&stages);
                let leaves = (0..1000).map(|i| task((i, census.counted())));
                let whole = reduce(leaves, move |_, b| {
                    if b.0 == 501 {
                        waits.signal(1);
                        waits.wait_for(2);
                    }
                    b
                });
                let runtime = runtime(max_workers);
                let handle = runtime.spawn(whole);
                stages.wait_for(1);
                handle.cancel();
                stages.signal(2);
                assert!(handle.join().map(|_| ()).unwrap_err().is_cancelled());
                census.assert_balanced(1000);
            }
        });
    }

    /// An iterator might go on after its end; it is not asked to.
    #[test]
    fn ends_where_its_iterator_does() {
        let mut i = 0;
        let pausing = std::iter::from_fn(move || {
            i += 1;
            (i != 4).then(|| task(i))
        });
        assert_eq!(run(reduce(pausing, |a, b| a + b), 2).unwrap(), Some(6));
    }

    #[test]
    fn of_a_million_takes_neither_stack_nor_much_memory() {
        process::alone("a_reduction::of_a_million_takes_neither_stack_nor_much_memory", || {
            let before = process::resident_bytes_max();
            let small_stack = thread::Builder::new().stack_size(64 << 10);
            let thread = small_stack.spawn(|| {
                drop(reduce((0..1_000_000u64).map(task), |a, b| a + b));
                let runtime = runtime(2);
                let sum = runtime.run(reduce((0..1_000_000u64).map(task), |a, b| a + b)).unwrap();
                assert_eq!(sum, Some(499_999_500_000));
            });
            thread.unwrap().join().unwrap();
            let bytes = (process::resident_bytes_max() - before) / 1_000_000;
            println!("measured: {bytes} bytes for each leaf");
            // A leaf and its handle are 64 bytes, more with the slabs that hold running nodes.
            assert!(bytes < 200, "{bytes} bytes for each leaf");
        });
    }
}
