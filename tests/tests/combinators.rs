//! Operators, and the ways to put computations together and to take them apart.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::{DC, Error, all, each, map_chunks, reduce};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{failing, process, run, runtime};

const WORKERS: [usize; 2] = [1, 4];

#[track_caller]
fn check<T: Send + Debug + PartialEq + 'static>(computation: DC<T>, expected: T) {
    match run(computation, 2) {
        Ok(value) => assert_eq!(value, expected),
        Err(error) => panic!("{error:#}"),
    }
}

/// A task of its own, not a value that is there.
fn task<T: Send + 'static>(value: T) -> DC<T> {
    DC::new(|value: T| value, (value,))
}

/// Panics without the noise of the panic hook.
fn quiet_panic<T>(message: &'static str) -> T {
    std::panic::resume_unwind(Box::new(message))
}

/// The failed task is `name`, made in this line of this file.
#[track_caller]
fn check_blamed(error: &Error, name: &str, line: u32) {
    let blamed = error.task().expect("a task failed");
    assert_eq!((blamed.name(), blamed.file(), blamed.line()), (name, file!(), line), "{error:#}");
    for needed_by in error.trace() {
        assert_eq!(needed_by.file(), file!(), "{error:#}");
    }
}

mod operators {
    use super::*;

    #[test]
    fn compute_what_their_sign_says() {
        check(task(7) + task(2), 9);
        check(task(7) - task(2), 5);
        check(task(7) * task(2), 14);
        check(task(7) / task(2), 3);
        check(task(7) % task(2), 1);
        check(task(6) & task(3), 2);
        check(task(6) | task(3), 7);
        check(task(6) ^ task(3), 5);
        check(task(6) << task(3), 48);
        check(task(48) >> task(3), 6);
        check(-task(5), -5);
        check(!task(5u8), 250);
        check(!task(true), false);
    }

    #[test]
    fn keep_the_sides_of_values() {
        check(task(7.0) - 2.0, 5.0);
        check(2.0 - task(7.0), -5.0);
        check(task(7u64) / 2, 3);
        check(21 / task(7u64), 3);
        check(task(7i8) % 4, 3);
        check(9 % task(7i8), 2);
        check(task(1u32) << 4, 16);
        check(1 << task(4u32), 16);
        check((task(16u128) >> 2).map(|x| x + 1), 5);
        check((3u8 << task(2)).map(|x| x.count_ones()), 2);
        check(task(true) & false, false);
        check(true ^ task(false), true);
    }

    #[test]
    fn nest_like_those_of_numbers() {
        let (a, x) = (task::<u64>, task::<f64>);
        check((a(1) + 2 * a(3)) * (a(10) - 4) - a(2), 40);
        check(-(x(1.5) + 2.0 * x(0.25)) / 2.0, -1.0);
    }

    #[test]
    fn take_whatever_their_types_allow() {
        let second = Duration::from_secs(1);
        check(task(second) + second, 2 * second);
        check(task(second) * 3, 3 * second);
        check(task(3u32) * second, 3 * second);
        check(task(second) + task(second) - second, second);
        check(task(1u64) << task(3u8), 8);
        check(task("a".to_owned()) + "b" + task("c"), "abc".to_owned());
        let now = Instant::now();
        check(task(now) + second, now + second);
        check(task(now + second) - task(now), second);
    }

    #[test]
    fn compute_both_sides_at_once() {
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let meets = |x: u32| {
                let stages = Arc::clone(&stages);
                DC::new(
                    move || {
                        stages.arrive();
                        stages.wait_for(2);
                        x
                    },
                    (),
                )
            };
            check(meets(1) + meets(2), 3);
        });
    }

    #[test]
    fn fail_in_their_own_line() {
        let zero = || task(0u32);
        let divisions = [(line!(), 1 / zero()), (line!(), task(1) / zero()), (line!(), task(1u32) / 0)];
        for (line, division) in divisions {
            let error = run(division + 1, 1).unwrap_err();
            check_blamed(&error, "/", line);
            assert!(error.is_panic() && error.to_string().ends_with("panicked: attempt to divide by zero"), "{error}");
            assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["+"]);
        }
        let (line, least) = (line!(), -task(i32::MIN));
        if cfg!(debug_assertions) {
            check_blamed(&run(least, 1).unwrap_err(), "-", line);
        }
        let kept = run((task(1) % zero()).attempt(), 1).unwrap();
        assert!(kept.unwrap_err().to_string().ends_with("with a divisor of zero"));
    }

    #[test]
    fn fail_with_either_side() {
        for max_workers in WORKERS {
            let error = run(failing::<u32>("left") + task(1), max_workers).unwrap_err();
            assert!(error.to_string().ends_with("failed: left"), "{error}");
            let error = run(1 + failing::<u32>("right"), max_workers).unwrap_err();
            assert!(error.to_string().ends_with("failed: right"), "{error}");
        }
    }
}

mod a_zipped_pair {
    use super::*;

    #[test]
    fn is_of_both_results() {
        check(task(1).zip(task("b")), (1, "b"));
        check(DC::value(1).zip(DC::value(2)).zip(task(3)), ((1, 2), 3));
        check(task(2).zip(task(3)).map(|(a, b)| a * b), 6);
    }

    #[test]
    fn fails_if_one_of_the_two_does() {
        for max_workers in WORKERS {
            let census = Census::new();
            let counted = census.counted();
            let (line, pair) = (line!(), task(counted).zip(failing::<u32>("no second")));
            let error = run(pair, max_workers).map(|_| ()).unwrap_err();
            assert!(error.to_string().ends_with("failed: no second"), "{error}");
            let needed_by = &error.trace()[0];
            assert_eq!((needed_by.name(), needed_by.line()), ("zip", line));
            census.assert_balanced(1);
        }
    }
}

mod handles_made_at_once {
    use super::*;

    fn counted(census: &Census, ran: &Arc<AtomicUsize>) -> DC<Counted> {
        let (census, ran) = (census.clone(), Arc::clone(ran));
        DC::new(
            move || {
                ran.fetch_add(1, Ordering::SeqCst);
                census.counted()
            },
            (),
        )
    }

    #[test]
    fn are_on_one_result_which_the_last_gets_itself() {
        for max_workers in WORKERS {
            let (census, ran) = (Census::new(), Arc::default());
            let [a, b, later] = counted(&census, &ran).tee();
            let both = DC::new(|(): (), (): ()| (), (a.dc().map(|a| a.check()), b.dc().map(|b| b.check())));
            drop((a, b));
            run(both, max_workers).unwrap();
            run(later.into(), max_workers).map(|last: Counted| last.check()).unwrap();
            assert_eq!((ran.load(Ordering::SeqCst), census.made(), census.clones()), (1, 3, 2));
            census.assert_balanced(3);
        }
    }

    #[test]
    fn may_be_cloned_and_dropped_like_others() {
        let (census, ran) = (Census::new(), Arc::default());
        let [unused, used] = counted(&census, &ran).tee();
        drop(unused);
        let again = used.clone();
        check(used.dc().map(|_| 1) + again.dc().map(|_| 1), 2);
        drop((used, again));
        let [_, _] = counted(&census, &ran).tee();
        assert_eq!(ran.load(Ordering::SeqCst), 1, "what nobody needs does not run");
        census.assert_balanced(2);
        let [x, y] = DC::value(4).tee();
        check(x.dc() * y.dc(), 16);
    }

    #[test]
    fn share_a_failure() {
        let [a, b] = failing::<u32>("no").tee();
        check(a.dc().attempt().map(|a| a.is_err()).zip(b.dc().attempt().map(|b| b.is_err())), (true, true));
    }
}

mod an_unzipped_pair {
    use super::*;

    fn pair(census: &Census, ran: &Arc<AtomicUsize>) -> DC<(Counted, Counted)> {
        let (census, ran) = (census.clone(), Arc::clone(ran));
        DC::new(
            move || {
                ran.fetch_add(1, Ordering::SeqCst);
                (census.counted(), census.counted())
            },
            (),
        )
    }

    #[test]
    fn is_computed_once_and_moved() {
        for max_workers in WORKERS {
            let (census, ran) = (Census::new(), Arc::default());
            let (a, b) = pair(&census, &ran).unzip();
            assert_eq!(ran.load(Ordering::SeqCst), 0, "nothing runs before it is needed");
            let (b, a) = run(b.zip(a), max_workers).unwrap();
            a.check();
            b.check();
            assert_eq!((ran.load(Ordering::SeqCst), census.made(), census.clones()), (1, 2, 0));
            drop((a, b));
            census.assert_balanced(2);
        }
    }

    #[test]
    fn keeps_which_half_is_which() {
        let (a, b) = task((1, "b")).unzip();
        check(a.zip(b), (1, "b"));
        let (a, b) = DC::value((1, 2)).unzip();
        check(a - b, -1);
    }

    #[test]
    fn may_be_of_what_is_neither_cloned_nor_shared() {
        use std::cell::Cell;
        let (a, b) = task((Cell::new(1), Box::new(Cell::new(2)))).unzip();
        check(a.map(|a| a.get()) + b.map(|b| b.get()), 3);
    }

    #[test]
    fn may_be_used_by_half() {
        wait::ends(|| {
            for max_workers in WORKERS {
                for keep_first in [true, false] {
                    for drop_after in [true, false] {
                        let (census, ran) = (Census::new(), Arc::default());
                        let (a, b) = pair(&census, &ran).unzip();
                        let (kept, dropped) = if keep_first { (a, b) } else { (b, a) };
                        let mut dropped = Some(dropped);
                        if !drop_after {
                            dropped = None;
                        }
                        run(kept, max_workers).unwrap().check();
                        drop(dropped);
                        assert_eq!(ran.load(Ordering::SeqCst), 1);
                        census.assert_balanced(2);
                    }
                }
            }
        });
    }

    #[test]
    fn is_not_computed_if_nobody_needs_it() {
        let (census, ran) = (Census::new(), Arc::default());
        let held = census.counted();
        let (a, b) = task(held)
            .then({
                let (census, ran) = (census.clone(), Arc::clone(&ran));
                move |_| pair(&census, &ran)
            })
            .unzip();
        drop(b);
        drop(a);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        census.assert_balanced(1);
    }

    #[test]
    fn may_be_used_in_two_runs() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let (census, ran) = (Census::new(), Arc::default());
                let (a, b) = pair(&census, &ran).unzip();
                let other = thread::spawn(move || run(b, max_workers).unwrap().check());
                run(a, max_workers).unwrap().check();
                other.join().unwrap();
                assert_eq!(ran.load(Ordering::SeqCst), 1);
                census.assert_balanced(2);
            }
        });
    }

    #[test]
    fn is_worked_on_by_two_workers() {
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let meets = |x: u32| {
                let stages = Arc::clone(&stages);
                move |half: u32| {
                    stages.arrive();
                    stages.wait_for(2);
                    half * x
                }
            };
            let (a, b) = task((1, 2)).unzip();
            check(a.map(meets(10)) + b.map(meets(100)), 210);
        });
    }

    #[test]
    fn fails_both_halves() {
        for max_workers in WORKERS {
            let (a, b) = failing::<(u32, u32)>("no pair").unzip();
            let (a, b) = run(a.attempt().zip(b.attempt()), max_workers).unwrap();
            for half in [a, b] {
                let error = half.unwrap_err();
                assert!(error.to_string().ends_with("failed: no pair"), "{error}");
                assert!(error.trace().iter().all(|task| task.name() == "unzip" && task.file() == file!()), "{error:#}");
            }
        }
    }

    #[test]
    fn loses_nothing_when_the_user_of_a_half_fails() {
        for max_workers in WORKERS {
            let (census, ran) = (Census::new(), Arc::default());
            let (a, b) = pair(&census, &ran).unzip();
            let a = a.map(|_| quiet_panic::<()>("half way"));
            let (a, b) = run(a.attempt().zip(b), max_workers).unwrap();
            assert!(a.unwrap_err().is_panic());
            b.check();
            drop(b);
            census.assert_balanced(2);
        }
    }

    #[test]
    fn is_cancelled_with_its_run() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let (census, stages) = (Census::new(), Arc::new(Stages::new()));
                let (made, waits) = (census.clone(), Arc::clone(&stages));
                let pair = DC::new(
                    move || {
                        waits.signal(1);
                        waits.wait_for(2);
                        (made.counted(), made.counted())
                    },
                    (),
                );
                let (a, b) = pair.unzip();
                let runtime = runtime(max_workers);
                let handle = runtime.spawn(a.zip(b).map(|_| ()));
                stages.wait_for(1);
                handle.cancel();
                stages.signal(2);
                assert!(handle.join().unwrap_err().is_cancelled());
                census.assert_balanced(2);
            }
        });
    }
}

mod flattening {
    use super::*;

    #[test]
    fn goes_on_with_what_is_inside() {
        check(task(task(3)).flatten(), 3);
        check(task(task(task(3))).flatten().flatten(), 3);
        check(DC::value(DC::value(3)).flatten(), 3);
        check(task(Some(task(3))).flatten(), Some(3));
        check(task(None::<DC<u32>>).flatten(), None);
        for len in [0, 1, 16, 17, 5000] {
            check(task((0..len).map(task).collect::<Vec<_>>()).flatten(), (0..len).collect::<Vec<_>>());
        }
        check(task(vec![task(vec![task(1)]), task(vec![])]).flatten().map(all_of).flatten(), vec![vec![1], vec![]]);
    }

    fn all_of(lists: Vec<Vec<DC<u32>>>) -> DC<Vec<Vec<u32>>> {
        all(lists.into_iter().map(all))
    }

    #[test]
    fn keeps_the_names_of_what_is_inside_and_adds_its_own() {
        fn names(error: &Error) -> Vec<(String, u32)> {
            error.trace().iter().map(|task| (task.name().to_owned(), task.line())).collect()
        }
        for max_workers in WORKERS {
            let (line, broken) = (line!(), task(vec![failing::<u32>("inside"), task(1)]).flatten());
            let error = run(broken, max_workers).unwrap_err();
            assert_eq!(names(&error), [("flatten".to_owned(), line)], "{error:#}");
            let long = (0..100).map(|i| if i == 70 { failing("inside") } else { task(i) }).collect::<Vec<_>>();
            let (line, broken) = (line!(), task(long).flatten());
            let error = run(broken, max_workers).unwrap_err();
            assert_eq!(names(&error), [("flatten".to_owned(), line)], "{error:#}");
            let (line, broken) = (line!(), task(Some(failing::<u32>("inside"))).flatten());
            let error = run(broken, max_workers).unwrap_err();
            assert_eq!(names(&error), [("flatten".to_owned(), line)], "{error:#}");
            // A tail call: the task is gone when what takes its place runs.
            let error = run(task(failing::<u32>("inside")).flatten(), max_workers).unwrap_err();
            assert!(names(&error).is_empty() && error.to_string().ends_with("failed: inside"), "{error:#}");
        }
    }

    #[test]
    fn inside_an_attempt_fails_as_a_value() {
        for max_workers in WORKERS {
            let census = Census::new();
            let made = census.clone();
            let inner = DC::new(
                move || {
                    (0..50).map(|i| if i == 40 { failing("inside") } else { task(made.counted()) }).collect::<Vec<_>>()
                },
                (),
            );
            let error = run(inner.flatten().attempt(), max_workers).unwrap().map(|_| ()).unwrap_err();
            assert!(error.to_string().ends_with("failed: inside"), "{error}");
            census.assert_balanced(49);
            check(task(task(3)).flatten().attempt().map(Result::unwrap), 3);
        }
    }

    #[test]
    fn of_what_never_ran_drops_everything() {
        let census = Census::new();
        drop(task(task(census.counted())).flatten());
        drop(task(vec![task(census.counted()), task(census.counted())]).flatten());
        drop(task(Some(task(census.counted()))).flatten());
        census.assert_balanced(4);
    }
}

mod a_result {
    use super::*;

    #[test]
    fn is_its_value_or_fails() {
        check(task(Ok::<_, String>(3)).or_fail(), 3);
        let (line, refused) = (line!(), task(Err::<u32, _>("no such thing")).or_fail());
        let error = run(refused, 1).unwrap_err();
        check_blamed(&error, "or_fail", line);
        assert!(error.to_string().ends_with("failed: no such thing"), "{error}");
        let error = run(task("x").map(|text| text.parse::<u32>()).or_fail(), 1).unwrap_err();
        assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    }

    #[test]
    fn that_was_attempted_stays_the_error_it_is() {
        let line = line!() + 1;
        let handed_on = task(0u32).map(|x| 1 / x).attempt().or_fail();
        let error = run(handed_on, 1).unwrap_err();
        check_blamed(&error, "map", line);
        assert!(error.is_panic(), "{error}");
        assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["or_fail"]);
    }

    #[test]
    fn goes_to_and_fro() {
        check(task(3).attempt().or_fail().attempt().or_fail(), 3);
        let kept = run(task(Err::<u32, _>("no")).or_fail().attempt(), 1).unwrap();
        check_blamed(&kept.unwrap_err(), "or_fail", line!() - 1);
    }
}

mod a_condition {
    use super::*;

    #[test]
    fn keeps_what_satisfies_it() {
        check(task(3).when(|x| *x == 3), Some(3));
        check(task(3).when(|x| *x == 4), None);
        let kept = each(0..100, |i| task(i).when(|i| i % 7 == 0));
        check(kept.map(|kept| kept.into_iter().flatten().collect::<Vec<_>>()), (0..100).step_by(7).collect::<Vec<_>>());
    }

    #[test]
    fn drops_the_others() {
        for max_workers in WORKERS {
            let census = Census::new();
            let made = census.clone();
            let tasks = each(0..100, move |i| task((i, made.counted())).when(|(i, _)| i % 7 == 0));
            let kept = run(tasks, max_workers).unwrap();
            assert_eq!(kept.iter().flatten().count(), 15);
            assert_eq!((census.made(), census.live()), (100, 15));
            drop(kept);
            census.assert_balanced(100);
        }
    }

    #[test]
    fn that_panics_fails_in_its_line() {
        let census = Census::new();
        let (line, broken) = (line!(), task(census.counted()).when(|_| quiet_panic("cannot say")));
        let error = run(broken.attempt(), 1).unwrap().map(|_| ()).unwrap_err();
        check_blamed(&error, "when", line);
        census.assert_balanced(1);
        assert!(run(failing::<u32>("before").when(|_| true).attempt(), 1).unwrap().is_err());
    }
}

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
            // A leaf and its handle are 64 bytes, more with the slabs that hold what runs.
            assert!(bytes < 200, "{bytes} bytes for each leaf");
        });
    }
}

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
        // Many light items first, so that chunks are long when the heavy ones come, all within one of them.
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
            const LEN: i64 = 1_000_000;
            for max_workers in WORKERS {
                let census = Census::new();
                let made = census.clone();
                let items = (0..LEN).map(move |_| made.counted());
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
