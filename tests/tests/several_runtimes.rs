//! Runs and runtimes that meet: in a shared result, in a task that blocks, or when one of them ends.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::{DC, Error, Runtime, Shared, delayed};
use taskgraph_tests::bodies::Event;
use taskgraph_tests::{asking, failing, runtime, wait};
use tokio::time::{sleep, timeout};

/// A computation that starts a new one for ever.
fn endless() -> DC<u64> {
    DC::new(endless, ())
}

/// A shared result that is there when `go` is sent, and a way to wait until its computation has started.
fn gated() -> (Shared<u64>, impl FnOnce(), impl FnOnce()) {
    let ((go, wait), (started, has_started)) = (channel(), channel());
    let computation = move || {
        started.send(()).unwrap();
        wait.recv().unwrap();
        1
    };
    let shared = DC::new(computation, ()).shared();
    (shared, move || has_started.recv().unwrap(), move || go.send(()).unwrap())
}

/// A computes it, B waits for it with eight tasks; then A is dropped. B's tasks run on B's one worker.
#[test]
fn what_needs_a_shared_result_runs_on_its_own_runtime() {
    wait::ends(|| {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let (shared, started, go) = gated();
        let (a, b) = (runtime(4), runtime(1));
        let of_a = a.spawn(shared.dc());
        started();
        let task = |x: u64| {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(5));
            NOW.fetch_sub(1, Ordering::SeqCst);
            x
        };
        let (asking, asked): (Vec<_>, Vec<_>) = (0..8).map(|_| asking(shared.clone())).unzip();
        let of_b = b.spawn(taskgraph::all(asking.into_iter().map(|x| x.map(task).then(DC::value))));
        // B asks for the result before it is there.
        asked.into_iter().for_each(|asked| asked());
        go();
        assert_eq!(of_a.join().unwrap(), 1);
        drop(a);
        assert_eq!(of_b.join().unwrap(), [1; 8]);
        assert_eq!(MOST.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_shared_failure_reaches_the_tasks_of_two_runtimes() {
    wait::ends(|| {
        let (gate, started, go) = gated();
        let shared = gate.dc().then(|_| failing::<u64>("no luck")).shared();
        let (a, b) = (runtime(2), runtime(1));
        let of_a = a.spawn(shared.dc());
        started();
        let ((x, x_asked), (y, y_asked)) = (asking(shared.clone()), asking(shared));
        let of_b = b.spawn(DC::new(|x: u64, y: u64| x + y, (x, y)));
        x_asked();
        y_asked();
        go();
        for error in [of_a.join().unwrap_err(), of_b.join().unwrap_err()] {
            assert!(error.to_string().ends_with("failed: no luck"), "{error}");
        }
    });
}

#[test]
fn a_shared_computation_ends_when_both_runs_that_need_it_are_cancelled() {
    wait::ends(|| {
        let runtime = runtime(2);
        let shared = DC::<u64>::new(endless, ()).shared();
        let ((a, a_asked), (b, b_asked)) = (asking(shared.clone()), asking(shared));
        let (a, b) = (runtime.spawn(a), runtime.spawn(b));
        a_asked();
        b_asked();
        a.cancel();
        b.cancel();
        assert!(a.join().unwrap_err().is_cancelled() && b.join().unwrap_err().is_cancelled());
    });
}

/// The cancelled run needs the inner result first, and the outer one, which needs the inner, only after that. The
/// other run needs the outer one.
#[test]
fn a_run_that_nobody_cancelled_does_not_fail_for_what_another_one_needed_first() {
    wait::ends(|| {
        let runtime = runtime(4);
        let (gate, started, go) = gated();
        let inner = gate.dc().then(|x| DC::value(x + 1)).shared();
        let outer = inner.dc().map(|x| x + 1).shared();
        let (asked, has_asked) = channel();
        let later = DC::new(move || asked.send(()).unwrap(), ()).then({
            let outer = outer.clone();
            move |()| outer.dc()
        });
        let cancelled = runtime.spawn(DC::new(|a: u64, b: u64| a + b, (inner.clone(), later)));
        started();
        has_asked.recv().unwrap();
        let (other, asked) = asking(outer);
        let other = runtime.spawn(other);
        asked();
        cancelled.cancel();
        go();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        assert_eq!(other.join().unwrap(), 3);
    });
}

/// Each result needs the one before; one of two runs that need the last is cancelled. The walk that finds all of them still
/// needed is made once, not once for each.
#[test]
fn a_long_chain_of_shared_results_outlives_one_of_its_runs_in_linear_time() {
    const LEN: u64 = 200_000;
    wait::ends(|| {
        let runtime = runtime(2);
        let (gate, started, go) = gated();
        let mut last = gate;
        for _ in 0..LEN {
            last = last.dc().map(|x| x + 1).shared();
        }
        let cancelled = runtime.spawn(last.dc());
        started();
        let (other, asked) = asking(last);
        let other = runtime.spawn(other);
        asked();
        cancelled.cancel();
        let start = Instant::now();
        go();
        assert_eq!(other.join().unwrap(), LEN + 1);
        // A tenth of a second, or a few seconds under a checker; a walk along the chain by each of them would take minutes.
        let took = start.elapsed();
        assert!(took < Duration::from_secs(15), "{took:?}");
    });
}

#[test]
fn errors_that_are_handed_on_do_not_nest() {
    fn step(before: Result<u64, Error>) -> Result<u64, Error> {
        Ok(before? + 1)
    }
    let panicking = DC::<u64>::new(|| -> u64 { panic!("at the very start") }, ());
    let chain = (0..200_000).fold(panicking, |before, _| DC::<u64>::new(step, (before.attempt(),)));
    let error = runtime(2).run(chain).unwrap_err();
    assert!(error.is_panic(), "it stays what it is");
    assert!(error.to_string().ends_with("panicked: at the very start"));
    assert_eq!(error.trace().first().map(|task| task.name()), Some("step"));
}

/// A task of A waits for a task of B, which drops the last handle of A.
#[test]
fn a_runtime_may_be_dropped_by_a_task_of_another_one() {
    wait::ends(|| {
        let (a, b) = (Arc::new(runtime(2)), Arc::new(runtime(2)));
        let last = Arc::clone(&a);
        let (dropped, is_dropped) = channel();
        let task = move || {
            is_dropped.recv().unwrap();
            b.run(DC::new(move || drop(last), ())).is_ok()
        };
        let handle = a.spawn(DC::new(task, ()));
        drop(a);
        dropped.send(()).unwrap();
        assert!(handle.join().is_err_and(|error| error.is_cancelled()), "its runtime is gone");
    });
}

/// Then it is dropped on one of its own threads, while none of its runs is left.
#[test]
fn a_runtime_may_be_dropped_with_a_result_of_its_own() {
    struct Owner {
        runtime: Option<Arc<Runtime>>,
        is_dropped: Sender<()>,
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            drop(self.runtime.take());
            self.is_dropped.send(()).unwrap();
        }
    }
    for workers in [1, 2, 4] {
        wait::ends(move || {
            let runtime = Arc::new(runtime(workers));
            let ((is_dropped, dropped), (go, wait)) = (channel(), channel());
            let result = Owner { runtime: Some(Arc::clone(&runtime)), is_dropped };
            let task = move || {
                wait.recv().unwrap();
                result
            };
            runtime.spawn(DC::new(task, ())).detach();
            drop(runtime);
            go.send(()).unwrap();
            dropped.recv().unwrap();
        });
    }
}

#[test]
fn a_result_that_nobody_waits_for_may_block_in_its_drop_while_its_runtime_ends() {
    static ENDED: AtomicBool = AtomicBool::new(false);
    struct Blocking(std::sync::mpsc::Sender<()>);
    impl Drop for Blocking {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            thread::sleep(Duration::from_millis(50));
            assert_eq!(runtime(1).run(DC::value(1)).unwrap(), 1);
            ENDED.store(true, Ordering::SeqCst);
        }
    }
    wait::ends(|| {
        let (sender, dropping) = channel();
        let runtime = runtime(2);
        runtime.spawn(DC::new(move || Blocking(sender), ())).detach();
        dropping.recv().unwrap();
        drop(runtime);
        assert!(ENDED.load(Ordering::SeqCst));
    });
}

#[test]
fn an_endless_chain_leaves_the_only_worker_to_others_now_and_then() {
    fn poll(end: Arc<AtomicBool>) -> DC<u64> {
        DC::new(move || if end.load(Ordering::SeqCst) { DC::value(1) } else { poll(end) }, ())
    }
    wait::ends(|| {
        let runtime = runtime(1);
        let end = Arc::new(AtomicBool::new(false));
        let endless = runtime.spawn(poll(Arc::clone(&end)));
        runtime.run(DC::new(move || end.store(true, Ordering::SeqCst), ())).unwrap();
        assert_eq!(endless.join().unwrap(), 1);
    });
}

#[test]
fn tasks_that_block_do_not_let_a_generator_run_ahead() {
    static YIELDED: AtomicUsize = AtomicUsize::new(0);
    static DONE: AtomicUsize = AtomicUsize::new(0);
    static AHEAD: AtomicUsize = AtomicUsize::new(0);

    #[delayed]
    fn blocking(other: Arc<Runtime>) -> u64 {
        let one = other.run(DC::new(|| thread::sleep(Duration::from_millis(2)), ())).map(|()| 1).unwrap();
        DONE.fetch_add(1, Ordering::SeqCst);
        one
    }

    #[delayed]
    fn generator(other: Arc<Runtime>) -> Vec<u64> {
        for _ in 0..200 {
            yield_!(blocking(Arc::clone(&other)));
            let yielded = YIELDED.fetch_add(1, Ordering::SeqCst) + 1;
            AHEAD.fetch_max(yielded - DONE.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }

    wait::ends(|| {
        let other = Arc::new(runtime(1));
        assert_eq!(runtime(1).run(generator(other)).unwrap().len(), 200);
        let ahead = AHEAD.load(Ordering::SeqCst);
        assert!(ahead < 100, "{ahead} of 200 were in flight at once");
    });
}

/// A generator is as far ahead as it may be, and waits. Then some of its children end one after the other, one of them with a
/// failure, and their worker has nothing else to do when it counts that: the generator goes on, to be given up.
#[test]
fn a_failure_among_children_is_told_to_a_generator_that_waits() {
    /// A generator is no further ahead than this.
    const IN_FLIGHT_MAX: u64 = 4_096;
    const LATER: u64 = IN_FLIGHT_MAX - 24;
    const FAILING: u64 = LATER + 3;
    const LAST: u64 = LATER + 8;
    static MADE: AtomicU64 = AtomicU64::new(0);
    static ENDED: AtomicU64 = AtomicU64::new(0);

    struct Needs([Shared<u64>; 3]);

    #[delayed]
    fn many(needs: Needs) -> Vec<u64> {
        for i in 0..2 * IN_FLIGHT_MAX {
            let shared = &needs.0[if i < LATER {
                0
            } else if i < LAST {
                1
            } else {
                2
            }];
            MADE.fetch_add(1, Ordering::SeqCst);
            let child = move |x: u64| {
                ENDED.fetch_add(1, Ordering::SeqCst);
                if i == FAILING { Err("a child has failed") } else { Ok(x) }
            };
            yield_!(DC::new(child, (shared.clone(),)));
        }
    }

    wait::ends(|| {
        let (one, other) = (runtime(1), runtime(4));
        let gates = [(); 3].map(|()| {
            let (shared, started, go) = gated();
            other.spawn(shared.dc()).detach();
            started();
            (shared, go)
        });
        let [(first, go_first), (second, go_second), (third, go_third)] = gates;
        // Its result arrives on the generator's own worker, for several children at once.
        let second = DC::new(|x: u64| x, (second,)).shared();
        let run = one.spawn(many(Needs([first, second, third])));
        wait::until(|| IN_FLIGHT_MAX <= MADE.load(Ordering::SeqCst));
        thread::sleep(Duration::from_millis(50));
        go_first();
        wait::until(|| ENDED.load(Ordering::SeqCst) == LATER);
        go_second();
        wait::until(|| LATER < ENDED.load(Ordering::SeqCst));
        thread::sleep(Duration::from_millis(50));
        go_third();
        let error = run.join().unwrap_err();
        assert!(error.to_string().contains("a child has failed"), "{error}");
    });
}

/// What drives the timers of a shared computation if the first asker is inside a tokio runtime that ends.
mod a_shared_computation_that_waits {
    use super::*;

    #[delayed]
    async fn slow(event: Event) -> u64 {
        for _ in 0..3 {
            event.wait().await;
            sleep(Duration::from_millis(1)).await;
        }
        // In a scope of its own, which only the run waits for.
        DC::new(|| 7, ()).timeout(Duration::from_secs(100)).await.unwrap_or(0)
    }

    /// What still exists when a run has been left.
    type Rest = Box<dyn Any>;

    /// `ask` has another run ask first, and returns a way to leave that run.
    #[track_caller]
    fn check(ask: impl FnOnce(&Arc<Runtime>, DC<u64>) -> Box<dyn FnOnce() -> Rest> + Send + 'static) {
        wait::ends(|| {
            let (runtime, event) = (Arc::new(runtime(2)), Event::default());
            let shared = slow(event.clone()).shared();
            let leave = ask(&runtime, shared.dc());
            wait::until(|| event.waits() != 0);
            let second = runtime.spawn(shared.dc().map(|x| 2 * x));
            // It has asked when what is queued behind it has run.
            runtime.run(DC::new(|| (), ())).unwrap();
            let rest = leave();
            event.happen().into_iter().for_each(Waker::wake);
            assert_eq!(second.join().unwrap(), 14);
            drop(rest);
        });
    }

    #[test]
    fn needs_no_tokio_that_is_shut_down() {
        check(|runtime, first| {
            let (runtime, tokio) = (Arc::clone(runtime), tokio::runtime::Runtime::new().unwrap());
            tokio.spawn(async move { runtime.run_async(first).await });
            Box::new(move || {
                tokio.shutdown_background();
                Box::new(())
            })
        });
    }

    #[test]
    fn needs_no_tokio_that_nobody_drives() {
        check(|runtime, first| {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut first = Box::pin(runtime.run_async(first));
            let started = tokio.block_on(async { timeout(Duration::from_millis(50), &mut first).await });
            assert!(started.is_err(), "it waits");
            Box::new(move || {
                drop(first);
                Box::new(tokio)
            })
        });
    }

    #[test]
    fn needs_no_runtime_whose_task_asked_first() {
        struct First(Option<DC<u64>>);
        #[delayed]
        async fn asks(runtime: Arc<Runtime>, mut first: First) -> Result<u64, Error> {
            runtime.run_async(first.0.take().expect("it is asked for once")).await
        }
        check(|runtime, first| {
            let other = super::runtime(1);
            let handle = other.spawn(asks(Arc::clone(runtime), First(Some(first))));
            Box::new(move || {
                drop(other);
                assert!(handle.join().unwrap_err().is_cancelled());
                Box::new(())
            })
        });
    }
}
