//! A runtime: how many workers it has, who runs what on it, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use taskgraph::{DC, MAX_WORKERS_LIMIT, Runtime, all};
use taskgraph_tests::census::Census;
use taskgraph_tests::tasks::plus;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{run, runtime};

mod a_runtime {
    use super::*;

    #[test]
    fn says_which_numbers_of_workers_it_takes() {
        for wrong in [0, MAX_WORKERS_LIMIT + 1, usize::MAX] {
            let expected = format!("max_workers must be from 1 to {MAX_WORKERS_LIMIT}, not {wrong}");
            let error = Runtime::builder().max_workers(wrong).no_control().build().unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.task().is_none() && error.trace().is_empty());
            assert_eq!(taskgraph::run(DC::value(1), wrong).unwrap_err().to_string(), expected);
            let runtime = runtime(2);
            assert_eq!(runtime.set_max_workers(wrong).unwrap_err().to_string(), expected);
            assert_eq!(runtime.max_workers(), 2);
            assert_eq!(runtime.run(DC::value(1)).unwrap(), 1);
        }
    }

    #[test]
    fn may_have_as_many_workers_as_it_says() {
        let runtime = runtime(1);
        runtime.set_max_workers(MAX_WORKERS_LIMIT).unwrap();
        assert_eq!(runtime.max_workers(), MAX_WORKERS_LIMIT);
        assert_eq!(runtime.run(all((0..3000).map(DC::value))).unwrap().len(), 3000);
    }

    #[test]
    fn has_a_worker_for_each_core_by_default() {
        let runtime = Runtime::builder().no_control().build().unwrap();
        assert_eq!(runtime.max_workers(), thread::available_parallelism().unwrap().get());
    }

    #[test]
    fn serves_several_threads() {
        wait::ends(|| {
            let runtime = runtime(2);
            thread::scope(|scope| {
                for i in 0..8 {
                    let runtime = &runtime;
                    scope.spawn(move || {
                        for j in 0..100 {
                            assert_eq!(runtime.run(DC::new(plus, (i, DC::value(j)))).unwrap(), i + j);
                        }
                    });
                }
            });
        });
    }

    #[test]
    fn may_be_run_from_several_threads_and_inside_tasks() {
        // The port can be opened only once; the others run without one.
        wait::ends(|| {
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    thread::spawn(|| {
                        let inner = DC::new(|| taskgraph::run(DC::new(plus, (1, 2)), 1).unwrap(), ());
                        assert_eq!(taskgraph::run(inner, 1).unwrap(), 3);
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn is_run_inside_itself_to_any_depth() {
        fn nested(depth: u32) -> u32 {
            if depth == 0 { 0 } else { run(DC::new(nested, (depth - 1,)), 1).unwrap() + 1 }
        }
        assert_eq!(wait::ends(|| nested(50)), 50);
    }

    #[test]
    fn cancels_its_runs_when_it_is_dropped() {
        wait::ends(|| {
            let census = Census::new();
            let runtime = runtime(2);
            let (stages, counted) = (Arc::new(Stages::new()), census.counted());
            let (waits, ran) = (Arc::clone(&stages), Arc::new(AtomicU32::new(0)));
            let (during, after) = (Arc::clone(&ran), Arc::clone(&ran));
            let task = DC::new(
                move || {
                    waits.signal(1);
                    waits.wait_for(2);
                    during.fetch_add(1, Ordering::SeqCst);
                },
                (),
            );
            let handle = runtime.spawn(task.map(move |()| {
                after.fetch_add(100, Ordering::SeqCst);
                counted
            }));
            stages.wait_for(1);
            let ending = thread::spawn(move || drop(runtime));
            stages.signal(2);
            ending.join().unwrap();
            assert!(handle.is_finished(), "a runtime ends with all its runs");
            // It was cancelled before the task was released, or just after.
            match handle.join() {
                Err(error) => assert!(error.is_cancelled()),
                Ok(_) => assert_eq!(ran.load(Ordering::SeqCst), 101),
            }
            assert_eq!(ran.load(Ordering::SeqCst) % 100, 1, "what runs is not stopped");
            census.assert_balanced(1);
        });
    }

    #[test]
    fn may_be_dropped_by_its_own_task() {
        wait::ends(|| {
            let runtime = Arc::new(runtime(2));
            let (stages, last) = (Arc::new(Stages::new()), Arc::clone(&runtime));
            let waits = Arc::clone(&stages);
            let handle = runtime.spawn(DC::new(
                move || {
                    waits.wait_for(1);
                    drop(last);
                },
                (),
            ));
            drop(runtime);
            stages.signal(1);
            // Its own run is cancelled, too, but has nothing left to do if the task is its last.
            match handle.join() {
                Ok(()) => {}
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        });
    }

    #[test]
    fn shows_its_state() {
        let shown = format!("{:?}", runtime(3));
        assert!(shown.contains("max_workers: 3"), "{shown}");
    }
}
