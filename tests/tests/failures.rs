//! How failures spread, what they stop, and what they must not touch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use taskgraph::{DC, Error, Shared, all, delayed, each};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::check_fails;
use taskgraph_tests::tasks::{double, panicking, quiet_panic, refuse};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{failing, run, runtime};

mod the_first_failure {
    use super::*;

    #[test]
    fn of_siblings_is_the_failure_of_the_run() {
        // Both siblings run at once; the second fails only when the first has.
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let (first, second) = (Arc::clone(&stages), stages);
            let a = DC::<u32>::new(
                move || {
                    first.wait_for(1);
                    // The run stops as soon as it has stored a failure.
                    while !taskgraph::is_cancelled() {
                        std::thread::yield_now();
                    }
                    Err::<u32, _>("second")
                },
                (),
            );
            let b = DC::<u32>::new(
                move || {
                    second.signal(1);
                    Err::<u32, _>("first")
                },
                (),
            );
            check_fails(DC::new(|_: u32, _: u32| (), (a, b)), 2, "failed: first");
        });
    }

    #[test]
    fn at_one_worker_is_that_of_the_first_argument() {
        let both = DC::new(|_: u32, _: u32| (), (failing("first"), failing("second")));
        check_fails(both, 1, "failed: first");
    }

    #[test]
    fn climbs_through_every_kind_of_node() {
        let broken = || failing::<u32>("broken");
        check_fails(broken().map(|x| x), 1, "failed: broken");
        check_fails(broken().then(DC::value), 1, "failed: broken");
        check_fails(DC::value(1).then(move |_| broken()), 1, "failed: broken");
        check_fails(broken().named("name"), 1, "failed: broken");
        check_fails(broken().shared().dc(), 1, "failed: broken");
        check_fails(all([DC::value(1), broken()]), 1, "failed: broken");
        check_fails(all((0..100).map(|i| if i == 70 { broken() } else { DC::value(1) })), 2, "failed: broken");
        check_fails(each(0..2, move |i| if i == 1 { broken() } else { DC::value(1) }), 1, "failed: broken");
        check_fails(each(0..100, move |i| if i == 70 { broken() } else { double(1) }), 2, "failed: broken");
        check_fails(DC::new(|_: Vec<u32>| (), (vec![broken(), DC::value(1)],)), 1, "failed: broken");
        let long = (0..100).map(|i| if i == 70 { broken() } else { DC::value(1) }).collect::<Vec<_>>();
        check_fails(DC::new(|_: Vec<u32>| (), (long,)), 2, "failed: broken");
        check_fails(DC::new(|_: [u32; 2]| (), ([DC::value(1), broken()],)), 1, "failed: broken");
        check_fails(DC::new(|_: (u32, u32)| (), ((1, broken()),)), 1, "failed: broken");
        check_fails(double(double(double(broken()))), 1, "failed: broken");
    }

    #[test]
    fn stops_the_run_but_not_what_is_running() {
        // A sibling runs while the failure happens; its step ends, and what should come after it never starts.
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let ran = Arc::new(AtomicU32::new(0));
            let (slow, quick) = (Arc::clone(&stages), Arc::clone(&stages));
            let (slow_ran, later_ran) = (Arc::clone(&ran), Arc::clone(&ran));
            let slow = DC::new(
                move || {
                    slow.signal(1);
                    slow.wait_for(2);
                    slow_ran.fetch_add(1, Ordering::SeqCst);
                },
                (),
            )
            .map(move |()| {
                later_ran.fetch_add(100, Ordering::SeqCst);
            });
            let quick = DC::<()>::new(
                move || {
                    quick.wait_for(1);
                    Err::<(), _>("quick")
                },
                (),
            );
            let runtime = runtime(2);
            let handle = runtime.spawn(DC::new(|(): (), (): ()| (), (slow, quick)));
            stages.wait_for(1);
            // The run cannot have settled: one of its tasks runs.
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!handle.is_finished(), "a run ends when what was running has ended");
            stages.signal(2);
            assert!(handle.join().unwrap_err().to_string().ends_with("failed: quick"));
            assert_eq!(ran.load(Ordering::SeqCst), 1);
        });
    }

    #[test]
    fn starts_nothing_more() {
        let started = Arc::new(AtomicUsize::new(0));
        let count = |delayed: &Arc<AtomicUsize>| {
            let started = Arc::clone(delayed);
            DC::new(move || started.fetch_add(1, Ordering::SeqCst), ())
        };
        let tasks: Vec<_> =
            std::iter::once(failing::<usize>("at once")).chain((0..1000).map(|_| count(&started))).collect();
        check_fails(all(tasks), 1, "failed: at once");
        assert_eq!(started.load(Ordering::SeqCst), 0, "at one worker the first of a list runs first");

        #[delayed]
        fn generator(started: Arc<AtomicUsize>) -> Vec<usize> {
            for i in 0..100_000 {
                let count = Arc::clone(&started);
                yield_!(DC::<usize>::new(
                    move || if i == 10 { Err("at ten") } else { Ok(count.fetch_add(1, Ordering::SeqCst)) },
                    ()
                ));
            }
        }
        check_fails(generator(Arc::clone(&started)), 2, "failed: at ten");
        assert!(started.load(Ordering::SeqCst) < 50_000, "{started:?} tasks ran after a failure");
    }
}

mod generators {
    use super::*;

    #[delayed]
    fn counting(limit: u32, started: Arc<AtomicU32>) -> Result<BTreeSet<u32>, std::num::TryFromIntError> {
        for i in 0..1000u32 {
            started.fetch_add(1, Ordering::SeqCst);
            yield_!(double(i));
            u8::try_from(i * 256 / (limit + 1))?;
        }
        Ok(())
    }

    #[test]
    fn fail_with_the_question_mark_of_their_body() {
        let started = Arc::new(AtomicU32::new(0));
        let error = run(counting(20, Arc::clone(&started)), 2).unwrap_err();
        assert!(error.downcast_ref::<std::num::TryFromIntError>().is_some(), "{error}");
        assert_eq!(error.task().unwrap().name(), "counting");
        assert_eq!(started.load(Ordering::SeqCst), 22, "the body ends where it failed");
    }

    #[test]
    fn name_the_generator_among_those_who_needed_the_failed_task() {
        #[delayed]
        fn generator() -> Vec<u32> {
            yield_!(double(refuse("reason")));
        }
        let error = run(generator(), 1).unwrap_err();
        let chain: Vec<_> = error.trace().iter().map(|task| task.name()).collect();
        assert_eq!((error.task().unwrap().name(), &chain[..]), ("refuse", &["double", "generator"][..]));
    }
}

mod a_computation_for_each {
    use super::*;

    #[test]
    fn is_named_among_those_who_needed_the_failed_task() {
        for (len, max_workers) in [(1, 1), (5, 1), (100, 1), (100, 4), (5000, 2)] {
            let make = move |i: u32| if i == len / 2 { double(refuse("reason")) } else { double(i) };
            let (line, delayed) = (line!(), each(0..len, make));
            let error = run(delayed.map(drop), max_workers).unwrap_err();
            let chain: Vec<_> = error.trace().iter().map(|task| task.name()).collect();
            assert_eq!((error.task().unwrap().name(), &chain[..]), ("refuse", &["double", "each", "map"][..]));
            let each = &error.trace()[1];
            assert_eq!((each.file(), each.line()), (file!(), line));
        }
    }

    #[test]
    fn starts_nothing_more_after_a_failure() {
        let made = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&made);
        let make = move |i: u32| {
            count.fetch_add(1, Ordering::SeqCst);
            if i == 10 { refuse("more") } else { double(i) }
        };
        check_fails(each(0..100_000, make), 2, "failed: no more");
        assert!(made.load(Ordering::SeqCst) < 50_000, "{made:?} were made after a failure");
    }

    /// Fails while the computation for item `at` of `len` is made.
    fn breaks_at(at: u32, len: u32, census: &Census, items_break: bool) -> DC<usize> {
        let (captured, made, item) = (census.counted(), census.clone(), census.clone());
        // An iterator with an exact length that can break.
        let items = (0..len).map(move |i| {
            if items_break && i == at {
                quiet_panic::<()>("half way");
            }
            (i, item.counted())
        });
        let make = move |(i, item): (u32, Counted)| {
            captured.check();
            item.check();
            let (result, local) = (made.clone(), made.counted());
            if !items_break && i == at {
                quiet_panic::<()>("half way");
            }
            match i % 3 {
                0 => DC::value(item),
                1 => DC::new(move |_: Counted| (local, result.counted()).1, (item,)),
                _ => DC::new(move |_: Counted, _: Counted| result.counted(), (item, DC::value(local))),
            }
        };
        each(items, make).map(|results| results.len())
    }

    #[test]
    fn fails_when_one_of_them_cannot_be_made() {
        wait::ends(|| {
            for (len, at) in [(1, 0), (2, 1), (16, 3), (16, 15), (17, 16)]
                .into_iter()
                .chain([0, 1, 7, 8, 20, 31, 32, 33, 255, 256, 300, 1998, 1999].map(|at| (2000, at)))
            {
                for (max_workers, items_break) in [(1, false), (2, false), (8, false), (1, true), (4, true)] {
                    let census = Census::new();
                    let error = run(breaks_at(at, len, &census, items_break), max_workers).unwrap_err();
                    let message = error.to_string();
                    assert!(message.starts_with("task `each` (") && message.contains(file!()), "{message}");
                    assert!(message.ends_with("panicked: half way") && error.is_panic(), "{message}");
                    assert_eq!(error.task().unwrap().name(), "each");
                    let chain: Vec<_> = error.trace().iter().map(|task| task.name()).collect();
                    assert_eq!(chain, ["map"]);
                    println!("{at} of {len} with {max_workers} workers");
                    census.assert_balanced(1);

                    let census = Census::new();
                    let kept = run(breaks_at(at, len, &census, items_break).attempt(), max_workers).unwrap();
                    assert!(kept.unwrap_err().is_panic());
                    census.assert_balanced(1);
                }
            }
        });
    }
}

mod attempts {
    use super::*;

    #[test]
    fn turn_every_failure_into_a_value() {
        for (broken, expected) in
            [(failing::<u32>("no luck"), "failed: no luck"), (panicking("bad luck"), "panicked: bad luck")]
        {
            let kept = run(broken.attempt(), 1).unwrap();
            assert!(kept.unwrap_err().to_string().ends_with(expected));
        }
        assert_eq!(run(double(2).attempt(), 1).unwrap().unwrap(), 4);
    }

    #[test]
    fn leave_their_siblings_alone() {
        for max_workers in [1, 2, 4] {
            let tries = (0..200).map(|i| {
                let task = if i % 3 == 0 { refuse("luck") } else { double(i) };
                task.attempt()
            });
            let kept = run(all(tries), max_workers).unwrap();
            for (i, result) in kept.into_iter().enumerate() {
                assert_eq!(result.ok(), (i % 3 != 0).then_some(2 * i as u32));
            }
        }
    }

    #[test]
    fn nest() {
        let inner = failing::<u32>("inner").attempt().map(|inner| inner.is_err());
        let outer = DC::new(|inner: bool, _: u32| inner, (inner, failing("outer"))).attempt();
        let kept = run(outer, 1).unwrap().unwrap_err();
        assert!(kept.to_string().ends_with("failed: outer"), "{kept}");

        let twice = failing::<u32>("once").attempt().attempt();
        assert!(run(twice, 1).unwrap().unwrap().is_err(), "the inner attempt has caught it");

        let deep = (0..50)
            .fold(failing::<u32>("deep").attempt().map(|x| x.is_err()), |chain, _| chain.attempt().map(|x| x.unwrap()));
        assert!(run(deep, 2).unwrap());
    }

    #[test]
    fn are_cancelled_with_their_run() {
        wait::ends(|| {
            let (stages, after) = (Arc::new(Stages::new()), Arc::new(AtomicU32::new(0)));
            let (waits, count) = (Arc::clone(&stages), Arc::clone(&after));
            let inner = DC::new(
                move || {
                    waits.signal(1);
                    waits.wait_for(2);
                },
                (),
            );
            let graph = inner.map(|()| ()).attempt().map(move |_| count.fetch_add(1, Ordering::SeqCst));
            let runtime = runtime(1);
            let handle = runtime.spawn(graph);
            stages.wait_for(1);
            handle.cancel();
            stages.signal(2);
            assert!(handle.join().unwrap_err().is_cancelled());
            assert_eq!(after.load(Ordering::SeqCst), 0, "nothing starts after a cancellation");
        });
    }

    #[test]
    fn give_their_result_once_nothing_of_them_is_left() {
        wait::ends(|| {
            let (stages, ended) = (Arc::new(Stages::new()), Arc::new(AtomicU32::new(0)));
            let (runs, fails) = (Arc::clone(&stages), Arc::clone(&stages));
            let (count, seen) = (Arc::clone(&ended), Arc::clone(&ended));
            let slow = DC::new(
                move || {
                    runs.signal(1);
                    runs.wait_for(2);
                    count.fetch_add(1, Ordering::SeqCst);
                },
                (),
            );
            let quick = DC::<()>::new(
                move || {
                    fails.wait_for(1);
                    fails.signal(2);
                    Err::<(), _>("quick")
                },
                (),
            );
            let kept = DC::new(|(): (), (): ()| (), (slow, quick)).attempt();
            let ended = run(kept.map(move |kept| (kept.is_err(), seen.load(Ordering::SeqCst))), 2).unwrap();
            assert_eq!(ended, (true, 1), "the attempt waits for what runs in it");
        });
    }
}

mod shared_results {
    use super::*;

    #[test]
    fn fail_everybody_who_needs_them_with_the_same_cause() {
        for max_workers in [1, 2, 4] {
            let runs = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&runs);
            let shared = DC::<u32>::new(
                move || {
                    count.fetch_add(1, Ordering::SeqCst);
                    Err::<u32, _>("shared")
                },
                (),
            )
            .shared();
            let users = (0..30).map(|_| double(shared.clone()).attempt());
            let kept = run(all(users), max_workers).unwrap();
            for result in kept {
                let error = result.unwrap_err();
                assert!(error.to_string().ends_with("failed: shared"), "{error}");
                assert_eq!(error.trace().first().map(|task| task.name()), Some("double"), "each has its own chain");
            }
            assert_eq!(runs.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn fail_two_runs_at_once() {
        wait::ends(|| {
            for _ in 0..50 {
                let stages = Arc::new(Stages::new());
                let waits = Arc::clone(&stages);
                let shared = DC::<u32>::new(
                    move || {
                        waits.signal(1);
                        waits.wait_for(2);
                        Err::<u32, _>("shared")
                    },
                    (),
                )
                .shared();
                let (first, second) = (runtime(1), runtime(1));
                let a = first.spawn(double(shared.clone()));
                stages.wait_for(1);
                let b = second.spawn(double(shared));
                stages.signal(2);
                for handle in [a, b] {
                    let error = handle.join().unwrap_err();
                    assert!(error.to_string().ends_with("failed: shared"), "{error}");
                }
            }
        });
    }

    /// The result of a run that needs a computation started by another run, which is then cancelled.
    fn outlives(build: impl FnOnce(DC<u32>) -> Shared<u32>) -> Result<u32, Error> {
        let stages = Arc::new(Stages::new());
        let waits = Arc::clone(&stages);
        let task = DC::new(
            move || {
                waits.signal(1);
                waits.wait_for(3);
                21
            },
            (),
        );
        let shared = build(task);
        let (first, second) = (runtime(1), runtime(1));
        let a = first.spawn(double(shared.clone()));
        stages.wait_for(1);
        // The second run's only worker asks for the shared result before it takes the other argument's step.
        let asked = Arc::clone(&stages);
        let marker = DC::new(move || asked.signal(2), ());
        let b = second.spawn(DC::new(|x: u32, (): ()| 2 * x, (shared, marker)));
        stages.wait_for(2);
        a.cancel();
        stages.signal(3);
        let _ = a.join();
        b.join()
    }

    #[test]
    fn outlive_the_cancelled_run_that_first_needed_them() {
        wait::ends(|| {
            assert_eq!(outlives(DC::shared).unwrap(), 42);
            assert_eq!(outlives(|task| task.map(|x| x).map(|x| x).shared()).unwrap(), 42);
        });
    }

    #[test]
    fn outlive_the_cancelled_run_that_first_needed_them_with_all_that_is_nested_in_them() {
        wait::ends(|| {
            let attempted = outlives(|task| task.map(|x| x).attempt().map(|x| x.unwrap()).shared());
            assert_eq!(attempted.map_err(|error| error.to_string()), Ok(42));
            let nested = outlives(|task| task.map(|x| x).shared().dc().map(|x| x).shared());
            assert_eq!(nested.map_err(|error| error.to_string()), Ok(42));
        });
    }
}
