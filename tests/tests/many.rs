//! Many computations in one: `all` of them, or one for `each` of many items.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use taskgraph::{DC, all, delayed, each};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::check;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{run, runtime};

mod many_into_one {
    use super::*;

    #[test]
    fn keep_their_order() {
        for len in [0, 1, 2, 16, 17, 100, 5000] {
            let expected: Vec<u64> = (0..len).map(|i| i * i).collect();
            check(all((0..len).map(|i| DC::new(|i: u64| i * i, (i,)))), expected.clone());
            check((0..len).map(|i| DC::value(i).map(|i| i * i)).collect::<DC<Vec<_>>>(), expected);
        }
    }

    #[test]
    fn may_be_taken_from_any_iterator() {
        check(all([DC::value(1), DC::value(2)]), vec![1, 2]);
        check(all(Some(DC::value(1))), vec![1]);
        check(all(vec![all([DC::value(1)]), all([])]), vec![vec![1], vec![]]);
    }
}

mod a_computation_for_each {
    use super::*;

    /// Lengths around those of a short list, of a chunk, of a worker's share, and beyond them.
    const LENS: [u64; 14] = [0, 1, 2, 7, 8, 16, 17, 32, 33, 100, 256, 257, 1025, 5000];

    fn square(i: u64) -> DC<u64> {
        DC::new(|i: u64| i * i, (i,))
    }

    /// A third of them are values, a third are two steps away.
    fn mixed(i: u64) -> DC<u64> {
        match i % 3 {
            0 => DC::value(i * i),
            1 => square(i),
            _ => square(i).map(|square| square),
        }
    }

    #[test]
    fn keeps_the_order() {
        wait::ends(|| {
            for max_workers in [1, 2, 300] {
                let runtime = runtime(max_workers);
                for len in LENS {
                    let expected: Vec<u64> = (0..len).map(|i| i * i).collect();
                    for make in [square, mixed, |i| DC::value(i * i)] {
                        let of_range = runtime.run(each(0..len, make)).unwrap();
                        assert!(of_range == expected, "a range of {len} with {max_workers} workers: {of_range:?}");
                        let of_vec = runtime.run(each((0..len).collect::<Vec<_>>(), make)).unwrap();
                        assert!(of_vec == expected, "a vector of {len} with {max_workers} workers: {of_vec:?}");
                        let of_unknown = runtime.run(each((0..2 * len).filter(move |i| *i < len), make)).unwrap();
                        assert!(of_unknown == expected, "so many as {len} with {max_workers} workers: {of_unknown:?}");
                    }
                }
            }
        });
    }

    #[test]
    fn may_be_of_anything() {
        check(each(["a", "b"], DC::value), vec!["a", "b"]);
        check(each(Some(3), DC::value), vec![3]);
        check(each(vec![square(2), square(3)], |square| square.map(|x| x + 1)), vec![5, 10]);
        check(each(0..3u64, |len| each(0..len, square)), vec![vec![], vec![0], vec![0, 1]]);
        check(each(0..100u64, |_| DC::value(())), vec![(); 100]);
        let mut before = 0;
        let running_sum = move |i: u64| {
            before += i;
            DC::value(before)
        };
        check(each(0..5, running_sum), vec![0, 1, 3, 6, 10]);
    }

    #[test]
    fn may_be_an_argument_and_a_result() {
        #[delayed]
        fn sum(parts: &[u64]) -> u64 {
            parts.iter().sum()
        }
        #[delayed]
        fn squares(len: u64) -> DC<Vec<u64>> {
            each(0..len, mixed)
        }
        #[delayed]
        fn refused(len: u64) -> Result<DC<Vec<u64>>, String> {
            if len < 10 { Err("too short".to_owned()) } else { Ok(each(0..len, square)) }
        }
        for len in LENS {
            let expected = (0..len).map(|i| i * i).sum::<u64>();
            check(sum(squares(len)), expected);
            check(sum(each(0..len, square)), expected);
            check(all([sum(squares(len)), squares(len).map(|squares| squares.len() as u64)]), vec![expected, len]);
            if 10 <= len {
                check(sum(refused(len)), expected);
            }
        }
    }

    #[test]
    fn is_made_by_and_by() {
        let made = Arc::new(AtomicU32::new(0));
        let count = || {
            let made = Arc::clone(&made);
            move |i: u64| {
                made.fetch_add(1, Ordering::SeqCst);
                DC::value(i)
            }
        };
        for computations in [each(0..100, count()), each((0..100).filter(|_| true), count())] {
            assert_eq!(made.load(Ordering::SeqCst), 0, "nothing is made before it runs");
            assert_eq!(run(computations, 2).unwrap().len(), 100);
            assert_eq!(made.swap(0, Ordering::SeqCst), 100);
        }
    }

    /// An iterator that claims something about its length.
    struct Says<I> {
        says: (usize, Option<usize>),
        items: I,
    }

    impl<I: Iterator> Iterator for Says<I> {
        type Item = I::Item;
        fn next(&mut self) -> Option<I::Item> {
            self.items.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            self.says
        }
    }

    #[test]
    fn may_be_of_items_that_say_a_wrong_length() {
        wait::ends(|| {
            for max_workers in [1, 4] {
                let runtime = runtime(max_workers);
                for said in [0, 1, 8, 16, 33, 256, 300, 5000] {
                    for given in [0, 1, 7, 8, 31, 32, 33, 300, 5000] {
                        let census = Census::new();
                        let (made, items) = (census.clone(), (0..given).map(|i| (i, census.counted())));
                        let items: Vec<_> = items.collect();
                        let make = move |(i, item): (usize, Counted)| {
                            let result = (i, made.counted());
                            if i % 2 == 0 { DC::value((result, item)) } else { DC::new(|all| all, ((result, item),)) }
                        };
                        let items = Says { says: (said, Some(said)), items: items.into_iter() };
                        match runtime.run(each(items, make)) {
                            Ok(results) => {
                                let seen: Vec<_> = results.iter().map(|((i, _), _)| *i).collect();
                                assert!(seen == (0..given).collect::<Vec<_>>(), "{given} that say {said}: {seen:?}");
                                results.iter().for_each(|((_, result), item)| (result.check(), item.check()).0);
                            }
                            Err(error) => {
                                assert!(said < given, "{given} that say {said}: {error}");
                                assert!(error.to_string().contains("more items than"), "{error}");
                            }
                        }
                        census.assert_balanced(given as i64);
                    }
                }
                // If the claim is not one number, the items are counted.
                for says in [(0, None), (0, Some(3)), (50, Some(100)), (3, Some(0))] {
                    let items = Says { says, items: 0..40u64 };
                    assert_eq!(runtime.run(each(items, square)).unwrap().len(), 40, "{says:?}");
                }
            }
        });
    }

    #[test]
    fn may_be_of_items_that_pause() {
        // Between two items it claims that there are no more.
        for gap in [1, 8, 20, 32, 40, 70] {
            let mut at = 0;
            let items = std::iter::from_fn(move || {
                at += 1;
                (at % gap != 0).then_some(at)
            });
            let results = run(each(Says { says: (100, Some(100)), items }, DC::value), 2).unwrap();
            assert!(results.len() <= 100 && results.is_sorted(), "{results:?}");
        }
    }

    #[test]
    fn runs_in_parallel() {
        wait::ends(|| {
            for (len, max_workers) in [(2, 2), (3, 8), (16, 16), (40, 40)] {
                let stages = Arc::new(Stages::new());
                let meets = move |i: u32| {
                    let stages = Arc::clone(&stages);
                    DC::new(
                        move || {
                            stages.arrive();
                            stages.wait_for(len);
                            i
                        },
                        (),
                    )
                };
                assert_eq!(run(each(0..len, meets), max_workers).unwrap(), (0..len).collect::<Vec<_>>());
            }
        });
    }

    #[test]
    fn is_made_while_what_was_made_runs() {
        // The first task ends when the last is made.
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let make = move |i: u32| {
                if i == 9_999 {
                    stages.signal(1);
                }
                let waits = (i == 0).then(|| Arc::clone(&stages));
                DC::new(move || waits.into_iter().for_each(|stages| stages.wait_for(1)), ())
            };
            assert_eq!(run(each(0..10_000, make), 2).unwrap().len(), 10_000);
        });
    }

    #[test]
    fn is_cancelled_while_it_runs() {
        wait::ends(|| {
            for max_workers in [1, 4] {
                for (in_make, at) in [(true, 0), (true, 40), (true, 999), (false, 0), (false, 300), (false, 999)] {
                    let (census, stages) = (Census::new(), Arc::new(Stages::new()));
                    let pause = |stages: &Stages| {
                        stages.signal(1);
                        stages.wait_for(2);
                    };
                    let (made, waits) = (census.clone(), Arc::clone(&stages));
                    let captured = census.counted();
                    let make = move |i: u32| {
                        captured.check();
                        if in_make && i == at {
                            pause(&waits);
                        }
                        let (result, argument, waits) = (made.clone(), made.counted(), Arc::clone(&waits));
                        let task = move |argument: Counted| {
                            argument.check();
                            if !in_make && i == at {
                                pause(&waits);
                            }
                            result.counted()
                        };
                        if i % 3 == 1 { DC::value(argument) } else { DC::new(task, (argument,)) }
                    };
                    let runtime = runtime(max_workers);
                    let handle = runtime.spawn(each(0..1000, make).map(|all| all.len()));
                    stages.wait_for(1);
                    handle.cancel();
                    stages.signal(2);
                    let error = handle.join().unwrap_err();
                    assert!(error.is_cancelled(), "{error}");
                    census.assert_balanced(1);
                }
            }
        });
    }
}
