//! Tasks that block in a run of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use taskgraph::{DC, Error, Runtime, all, delayed};
use taskgraph_tests::inside::{Inside, spin};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{blocks_in, process, runtime};

/// A task that runs a task, and so on.
fn nested(runtime: Arc<Runtime>, depth: u32) -> DC<u32> {
    DC::new(
        move || {
            if depth == 0 {
                return 0;
            }
            let inner = nested(Arc::clone(&runtime), depth - 1);
            runtime.run(inner).unwrap() + 1
        },
        (),
    )
}

#[test]
fn runs_nest_at_any_number_of_workers() {
    wait::ends(|| {
        for max_workers in [1, 2, 4] {
            let runtime = Arc::new(runtime(max_workers));
            assert_eq!(runtime.run(nested(Arc::clone(&runtime), 50)).unwrap(), 50);
        }
    });
}

#[test]
fn a_join_in_a_task_gives_its_place_to_another() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(1));
        let inner = Arc::clone(&runtime);
        let joins = DC::new(
            move || {
                let handles: Vec<_> = (0..20u64).map(|i| inner.spawn(DC::new(|i: u64| i, (i,)))).collect();
                handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>()
            },
            (),
        );
        assert_eq!(runtime.run(joins).unwrap(), 190);
    });
}

#[test]
fn never_more_than_max_workers_run_while_tasks_block() {
    wait::ends(|| {
        let inside = Arc::new(Inside::default());
        let runtime = Arc::new(runtime(2));
        let tasks = (0..60).map(|_| {
            let (inside, runtime) = (Arc::clone(&inside), Arc::clone(&runtime));
            DC::new(
                move || {
                    inside.during(|| spin(Duration::from_micros(100)));
                    let during = Arc::clone(&inside);
                    runtime.run(DC::new(move || during.during(|| spin(Duration::from_micros(100))), ())).unwrap();
                    inside.during(|| spin(Duration::from_micros(100)));
                },
                (),
            )
        });
        runtime.run(all(tasks)).unwrap();
        assert!(inside.max() <= 2, "{} ran at once", inside.max());
    });
}

#[test]
fn tasks_that_block_and_runs_from_outside_do_not_stop_each_other() {
    // A run from outside calls a worker just when a task is about to block the only thread.
    wait::ends(|| {
        let runtime = Arc::new(runtime(1));
        let over = Arc::new(AtomicBool::new(false));
        let outside: Vec<_> = (0..2)
            .map(|_| {
                let (runtime, over) = (Arc::clone(&runtime), Arc::clone(&over));
                thread::spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        assert_eq!(runtime.run(DC::value(1)).unwrap(), 1);
                    }
                })
            })
            .collect();
        for _ in 0..500 {
            assert_eq!(runtime.run(nested(Arc::clone(&runtime), 2)).unwrap(), 2);
        }
        over.store(true, Ordering::SeqCst);
        outside.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn many_tasks_may_block_at_once() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(2));
        let inner = Arc::clone(&runtime);
        let tasks = (0..200u64).map(|i| {
            let runtime = Arc::clone(&inner);
            DC::new(move || runtime.run(DC::value(i).map(|i| i + 1)).unwrap(), ())
        });
        assert_eq!(runtime.run(all(tasks)).unwrap().iter().sum::<u64>(), 20_100);
    });
}

#[test]
fn changes_while_tasks_block_lose_nothing() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(2));
        let handles: Vec<_> = (0..50).map(|_| runtime.spawn(nested(Arc::clone(&runtime), 3))).collect();
        let mut size = 0;
        while !handles.iter().all(taskgraph::Handle::is_finished) {
            size = (size + 3) % 7;
            runtime.set_max_workers(size + 1).unwrap();
            thread::sleep(Duration::from_micros(500));
        }
        for handle in handles {
            assert_eq!(handle.join().unwrap(), 3);
        }
    });
}

#[test]
fn a_task_may_run_graphs_on_another_runtime() {
    wait::ends(|| {
        let (outer, inner) = (runtime(1), Arc::new(runtime(1)));
        let tasks = (0..50u64).map(|i| {
            let inner = Arc::clone(&inner);
            DC::new(move || inner.run(DC::value(i)).unwrap(), ())
        });
        assert_eq!(outer.run(all(tasks)).unwrap().iter().sum::<u64>(), 1225);
    });
}

#[test]
fn many_that_block_need_few_threads_each() {
    process::alone("many_that_block_need_few_threads_each", || {
        const WORKERS: u64 = 64;
        const BLOCKED: u32 = 200;
        let (runtime, other) = (Arc::new(runtime(WORKERS as usize)), Arc::new(runtime(1)));
        let stages = Arc::new(Stages::new());
        let before = process::threads();
        let run = runtime.spawn(all((0..BLOCKED).map(|_| blocks_in(&other, &stages, BLOCKED + 1))));
        stages.wait_for(BLOCKED);
        // Others still have all places: as many tasks as there are workers meet.
        let meeting = Arc::new(Barrier::new(WORKERS as usize));
        let meet = |_| {
            let meeting = Arc::clone(&meeting);
            DC::new(move || meeting.wait().is_leader(), ())
        };
        runtime.run(all((0..WORKERS).map(meet))).unwrap();
        let threads = process::threads() - before;
        assert!(threads < 9 * u64::from(BLOCKED), "{threads} for {BLOCKED} that block");
        stages.arrive();
        run.join().unwrap();
        drop((runtime, other));
        wait::until(|| process::threads() <= before);
    });
}

/// A future that a task gives to `tokio::spawn` is polled by the thread that drives the timers of the runtime.
#[test]
fn the_thread_that_drives_timers_is_not_blocked() {
    #[delayed]
    async fn naps() -> u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        7
    }
    fn on_the_driver(code: impl FnOnce() -> Result<u64, Error> + Send + 'static) -> DC<u64> {
        #[delayed]
        async fn spawns<F: FnOnce() -> Result<u64, Error> + Send + 'static>(code: F) -> Result<u64, Error> {
            tokio::spawn(async move { code() }).await.expect("it does not panic")
        }
        spawns(code)
    }
    wait::ends(|| {
        let (own, other) = (Arc::new(runtime(2)), runtime(1));
        let of_own = Arc::clone(&own);
        let error = own.run(on_the_driver(move || of_own.run(naps()))).unwrap_err();
        assert!(error.to_string().contains("`tokio::task::spawn_blocking`"), "{error}");
        let of_own = Arc::clone(&own);
        let next = move || of_own.stream([naps()]).next().expect("there is one");
        let error = own.run(on_the_driver(next)).unwrap_err();
        assert!(error.to_string().contains("`tokio::task::spawn_blocking`"), "{error}");
        // Allowed: a run of another runtime, and a run that nobody waits for here.
        assert_eq!(own.run(on_the_driver(move || other.run(naps()))).unwrap(), 7);
        let of_own = Arc::clone(&own);
        let handed_on = on_the_driver(move || {
            of_own.spawn(naps()).detach();
            Ok(8)
        });
        assert_eq!(own.run(handed_on).unwrap(), 8);
    });
}
