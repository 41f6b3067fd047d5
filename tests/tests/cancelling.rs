//! Cancelling: who may do it, who hears of it, and what becomes of what is queued, runs, or waits.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::{DC, Handle, Runtime, delayed, is_cancelled};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{failing, runtime};
use tokio::time::sleep;

#[delayed]
async fn for_ever() {
    std::future::pending().await
}

#[delayed]
async fn signals_for_ever(stages: Arc<Stages>) {
    stages.signal(1);
    std::future::pending().await
}

/// A body that runs until it finds out that it is cancelled.
#[delayed]
fn looking(stages: Arc<Stages>) {
    stages.arrive();
    while !is_cancelled() {
        thread::sleep(Duration::from_micros(100));
    }
    stages.arrive();
}

fn ask(runtime: &Runtime, lines: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(runtime.control_addr().unwrap()).unwrap();
    stream.write_all(lines.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    BufReader::new(stream).lines().map(|line| line.unwrap()).collect()
}

fn with_port() -> Runtime {
    Runtime::builder().max_workers(2).control("127.0.0.1:0".parse().unwrap()).build().unwrap()
}

#[test]
fn the_error_says_who_it_was() {
    wait::ends(|| {
        let runtime = with_port();
        let check = |cancel: &dyn Fn(&Handle<()>), expected: &str| {
            let handle = runtime.spawn(for_ever());
            cancel(&handle);
            let error = handle.join().unwrap_err();
            assert!(error.is_cancelled() && !error.is_timeout() && error.task().is_none());
            assert!(error.to_string().starts_with(expected), "{error}");
        };
        let here = |line: u32| format!("({}:{line})", file!());
        check(&|handle| handle.cancel(), &format!("the run was cancelled by `Handle::cancel` {}", here(line!())));
        let by_canceller = format!("the run was cancelled by `Canceller::cancel` {}", here(line!() + 1));
        check(&|handle| handle.canceller().cancel(), &by_canceller);
        check(&|handle| handle.canceller().cancel_because("Ctrl-C"), "the run was cancelled: Ctrl-C");
        let by_client = |_: &Handle<()>| assert_eq!(ask(&runtime, "cancel\n"), ["cancelling 1 run"]);
        check(&by_client, "the run was cancelled by 127.0.0.1:");
        let twice = |handle: &Handle<()>| {
            handle.canceller().cancel_because("the first");
            handle.canceller().cancel_because("the second");
        };
        check(&twice, "the run was cancelled: the first");
        let handle = runtime.spawn(for_ever());
        drop(runtime);
        assert_eq!(handle.join().unwrap_err().to_string(), "the run was cancelled: its runtime was dropped");
    });
}

#[test]
fn what_is_shared_says_who_cancelled_the_run_that_computed_it() {
    wait::ends(|| {
        let runtime = runtime(2);
        let stages = Arc::new(Stages::new());
        let shared = signals_for_ever(Arc::clone(&stages)).shared();
        let handle = runtime.spawn(shared.dc());
        stages.wait_for(1);
        handle.canceller().cancel_because("no more");
        assert!(handle.join().is_err());
        let error = runtime.run(shared.dc()).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        let expected = "the shared computation was cancelled with the run that computed it (the run was cancelled: no more); \
                        create a new one";
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn a_dropped_handle_cancels_and_a_detached_one_does_not() {
    wait::ends(|| {
        let runtime = runtime(2);
        let stages = Arc::new(Stages::new());
        let handle = runtime.spawn(looking(Arc::clone(&stages)));
        stages.wait_for(1);
        drop(handle);
        stages.wait_for(2);

        let go_on = Arc::new(Stages::new());
        let (waits, done) = (Arc::clone(&go_on), Arc::new(Stages::new()));
        let signals = Arc::clone(&done);
        let detached = DC::new(
            move || {
                waits.wait_for(1);
                assert!(!is_cancelled());
                signals.signal(1);
            },
            (),
        );
        runtime.spawn(detached).detach();
        go_on.signal(1);
        done.wait_for(1);
    });
}

#[test]
fn a_handle_that_was_dropped_late_changes_nothing() {
    wait::ends(|| {
        let runtime = runtime(1);
        let handle = runtime.spawn(DC::value(1));
        wait::until(|| handle.is_finished());
        let canceller = handle.canceller();
        drop(handle);
        canceller.cancel();
        assert_eq!(runtime.run(DC::value(2)).unwrap(), 2);
    });
}

#[test]
fn running_bodies_find_out() {
    wait::ends(|| {
        for max_workers in [1, 2, 4] {
            let runtime = runtime(max_workers);
            let stages = Arc::new(Stages::new());
            let handle = runtime.spawn(taskgraph::all((0..max_workers).map(|_| looking(Arc::clone(&stages)))));
            stages.wait_for(max_workers as u32);
            handle.cancel();
            assert!(handle.join().unwrap_err().is_cancelled());
            stages.wait_for(2 * max_workers as u32);
            assert!(!is_cancelled(), "this is no task");
        }
    });
}

/// A sibling fails, inside an attempt or not; a body inside what has failed finds out, and one outside does not.
#[test]
fn bodies_find_out_that_what_they_are_part_of_has_failed() {
    wait::ends(|| {
        let runtime = runtime(2);
        let stages = Arc::new(Stages::new());
        let waits = Arc::clone(&stages);
        let fails = DC::new(move || waits.wait_for(1), ()).then(|()| failing::<()>("on purpose"));
        let part = taskgraph::all([looking(Arc::clone(&stages)), fails]).attempt();
        let outside = part.map(|failed| (failed.unwrap_err().to_string(), is_cancelled()));
        let (failure, after) = runtime.run(outside).unwrap();
        assert!(failure.ends_with("failed: on purpose"), "{failure}");
        assert!(!after);
    });
}

#[test]
fn an_async_body_can_look_too() {
    #[delayed]
    async fn looks(stages: Arc<Stages>) {
        stages.arrive();
        while !is_cancelled() {
            wait::give_way().await;
        }
        stages.arrive();
    }
    wait::ends(|| {
        let runtime = runtime(1);
        let stages = Arc::new(Stages::new());
        let handle = runtime.spawn(looks(Arc::clone(&stages)));
        stages.wait_for(1);
        handle.cancel();
        // It ends where it waits, unless it looks first.
        assert!(handle.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_million_that_wait_for_a_worker_are_dropped_at_once() {
    wait::ends(|| {
        for max_workers in [1, 2] {
            let runtime = runtime(max_workers);
            let census = Census::new();
            let len = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
            let ran = Arc::new(AtomicU32::new(0));
            let stages = Arc::new(Stages::new());
            let busy: Vec<_> = (0..max_workers).map(|_| runtime.spawn(looking(Arc::clone(&stages)))).collect();
            stages.wait_for(max_workers as u32);
            let tasks: Vec<DC<Counted>> = (0..len)
                .map(|_| {
                    let (counted, ran) = (census.counted(), Arc::clone(&ran));
                    DC::new(
                        move |counted: Counted| {
                            ran.fetch_add(1, Ordering::Relaxed);
                            counted
                        },
                        (counted,),
                    )
                })
                .collect();
            let queued = runtime.spawn(taskgraph::all(tasks));
            queued.cancel();
            drop(busy);
            let start = Instant::now();
            assert!(queued.join().map(drop).unwrap_err().is_cancelled());
            let took = start.elapsed();
            // Well under a second on a machine that does nothing else; a debug build has a tenth as many and is ten times as slow.
            assert!(took < Duration::from_secs(5), "{took:?}");
            assert_eq!(ran.load(Ordering::Relaxed), 0);
            census.assert_balanced(len);
        }
    });
}

#[test]
fn what_waits_ends_at_once() {
    #[delayed]
    async fn naps(ended: Arc<AtomicBool>) {
        struct Ends(Arc<AtomicBool>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let _ends = Ends(ended);
        sleep(Duration::from_secs(3600)).await;
    }
    wait::ends(|| {
        let runtime = runtime(2);
        let ended = Arc::new(AtomicBool::new(false));
        let handle = runtime.spawn(naps(Arc::clone(&ended)));
        handle.cancel();
        assert!(handle.join().unwrap_err().is_cancelled());
        // It may not have started.
        assert!(ended.load(Ordering::SeqCst) || Arc::strong_count(&ended) == 1);
    });
}

#[test]
fn the_port_lists_runs_and_cancels_one_of_them() {
    wait::ends(|| {
        let runtime = with_port();
        assert_eq!(
            ask(&runtime, "runs\ncancel\ncancel 1\n"),
            ["there is no run", "there is no run", "there is no run 1, nor any other"]
        );
        let line = line!() + 1;
        let (first, second) = (runtime.spawn(for_ever()), runtime.spawn(for_ever().named("second")));
        let runs = ask(&runtime, "runs\n");
        assert_eq!(runs.len(), 2);
        assert!(runs[0].starts_with(&format!("1  `for_ever` ({}:{line})  0.", file!())), "{runs:?}");
        assert!(runs[1].starts_with("2  ") && runs[1].contains(" \"second\" "), "{runs:?}");
        assert!(runs.iter().all(|run| run.ends_with(" s")), "{runs:?}");
        assert_eq!(ask(&runtime, "cancel 3\ncancel 1\n"), ["there is no run 3, only: 1, 2", "cancelling run 1"]);
        assert!(first.join().unwrap_err().is_cancelled());
        assert!(!second.is_finished());
        assert_eq!(ask(&runtime, "cancel 1\ncancel\n"), ["there is no run 1, only: 2", "cancelling 1 run"]);
        assert!(second.join().unwrap_err().is_cancelled());
    });
}

mod cancelling {
    use super::*;

    #[test]
    fn a_run_before_it_has_started_runs_nothing() {
        wait::ends(|| {
            let runtime = runtime(1);
            let (stages, ran) = (Arc::new(Stages::new()), Arc::new(AtomicU32::new(0)));
            let waits = Arc::clone(&stages);
            let busy = runtime.spawn(DC::new(move || waits.wait_for(1), ()));
            let count = Arc::clone(&ran);
            let handle = runtime.spawn(DC::new(move || count.fetch_add(1, Ordering::SeqCst), ()));
            let line = line!() + 1;
            handle.cancel();
            stages.signal(1);
            busy.join().unwrap();
            let error = handle.join().unwrap_err();
            assert!(error.is_cancelled() && error.task().is_none() && !error.is_panic());
            assert_eq!(error.to_string(), format!("the run was cancelled by `Handle::cancel` ({}:{line})", file!()));
            assert_eq!(ran.load(Ordering::SeqCst), 0);
        });
    }

    #[test]
    fn a_run_that_has_settled_changes_nothing() {
        let runtime = runtime(1);
        let handle = runtime.spawn(DC::value(1));
        wait::until(|| handle.is_finished());
        handle.cancel();
        assert_eq!(handle.join().unwrap(), 1);
    }

    #[test]
    fn a_run_leaves_the_others_alone() {
        wait::ends(|| {
            let runtime = runtime(2);
            let stages = Arc::new(Stages::new());
            let runs: Vec<_> = (0..20)
                .map(|i| {
                    let waits = Arc::clone(&stages);
                    runtime.spawn(DC::new(move || waits.wait_for(1), ()).map(move |()| i))
                })
                .collect();
            runs.iter().step_by(2).for_each(|run| run.cancel());
            stages.signal(1);
            for (i, run) in runs.into_iter().enumerate() {
                assert_eq!(run.join().ok(), (i % 2 == 1).then_some(i));
            }
        });
    }
}

mod a_deadline {
    use super::*;

    #[test]
    fn ends_a_run_that_waits() {
        wait::ends(|| {
            let runtime = runtime(1);
            let start = Instant::now();
            let error = runtime.spawn(for_ever()).deadline(start + Duration::from_millis(50)).join().unwrap_err();
            assert!(error.is_timeout() && !error.is_cancelled());
            assert!(Duration::from_millis(50) <= start.elapsed());
            assert!(
                error.to_string().starts_with("the run did not finish by its deadline; it had run for "),
                "{error}"
            );
        });
    }

    #[test]
    fn reaches_bodies_that_keep_every_worker() {
        wait::ends(|| {
            let runtime = runtime(1);
            let stages = Arc::new(Stages::new());
            let handle = runtime.spawn(looking(Arc::clone(&stages)));
            stages.wait_for(1);
            let handle = handle.deadline(Instant::now() + Duration::from_millis(10));
            assert!(handle.join().unwrap_err().is_timeout());
            stages.wait_for(2);
        });
    }

    #[test]
    fn in_the_past_ends_a_run_at_once() {
        wait::ends(|| {
            let runtime = runtime(1);
            let error = runtime.spawn(for_ever()).deadline(Instant::now()).join().unwrap_err();
            assert!(error.is_timeout());
        });
    }

    #[test]
    fn far_away_does_nothing() {
        wait::ends(|| {
            let runtime = runtime(1);
            let handle = runtime.spawn(DC::value(1)).deadline(Instant::now() + Duration::from_secs(3600));
            assert_eq!(handle.join().unwrap(), 1);
        });
    }

    #[test]
    fn is_replaced_by_the_next_one() {
        wait::ends(|| {
            let runtime = runtime(1);
            let (soon, late) = (Duration::from_secs(1), Duration::from_secs(3600));
            let handle = runtime.spawn(DC::new(|| thread::sleep(Duration::from_millis(1_200)), ()));
            handle.deadline(Instant::now() + soon).deadline(Instant::now() + late).join().unwrap();
            let handle = runtime.spawn(for_ever());
            let error = handle.deadline(Instant::now() + late).deadline(Instant::now() + soon).join().unwrap_err();
            assert!(error.is_timeout());
        });
    }
}
