//! Async bodies that fail, and those that wait for them.

use std::future::{self, Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use taskgraph::{DC, Error, all, delayed};
use taskgraph_tests::bodies::{add, at_any_width, later};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{self, Stages, give_way};
use taskgraph_tests::{run, runtime};
use tokio::sync::oneshot;

/// Signals that it has started, and never ends.
#[delayed]
async fn forever(started: Arc<Stages>, held: Counted) -> u64 {
    started.arrive();
    future::pending::<()>().await;
    held.check();
    0
}

/// Yields something, signals that it has started, and never ends.
#[delayed]
async fn yields_forever(started: Arc<Stages>, census: Census) -> Vec<u64> {
    let held = census.counted();
    yield_!(forever(Arc::clone(&started), census.counted()));
    started.arrive();
    future::pending::<()>().await;
    held.check();
}

/// Fails as soon as this many have started.
fn fails_after(started: &Arc<Stages>, count: u32) -> DC<u64> {
    let started = Arc::clone(started);
    #[delayed]
    async fn fails(started: oneshot::Receiver<()>) -> Result<u64, String> {
        let _ = started.await;
        Err("no luck".to_owned())
    }
    let (send, receive) = oneshot::channel();
    thread::spawn(move || {
        started.wait_for(count);
        let _ = send.send(());
    });
    fails(receive)
}

/// A body that itself awaits something that never ends.
#[delayed]
async fn awaits_forever(started: Arc<Stages>, census: Census) -> u64 {
    let held = census.counted();
    let result = forever(started, census.counted()).await;
    held.check();
    result.unwrap_or(0)
}

/// Every way to wait for ever; five bodies signal that they have started.
fn waiting(started: &Arc<Stages>, census: &Census) -> DC<u64> {
    let one = || forever(Arc::clone(started), census.counted());
    let list = yields_forever(Arc::clone(started), census.clone()).map(|list| list.len() as u64);
    let waiting = vec![one(), one().map(|x| x + 1), list, awaits_forever(Arc::clone(started), census.clone())];
    all(waiting).map(|all| all.len() as u64)
}

const WAITING: u32 = 5;

#[test]
fn ends_a_run_whose_bodies_wait_for_ever() {
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let both = add(waiting(&started, &census), fails_after(&started, WAITING));
        let error = run(both, max_workers).unwrap_err();
        assert!(error.to_string().ends_with("failed: no luck"), "{error}");
        census.assert_balanced(6);
    });
}

#[test]
fn ends_an_attempt_whose_bodies_wait_for_ever() {
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let both = add(waiting(&started, &census), fails_after(&started, WAITING)).attempt();
        let attempts = run(both.map(|kept| kept.is_err()), max_workers);
        assert!(attempts.unwrap());
        census.assert_balanced(6);
    });
}

#[test]
fn ends_an_awaited_computation_whose_bodies_wait_for_ever() {
    struct Held(DC<u64>);
    #[delayed]
    async fn awaits(held: Held) -> String {
        held.0.await.unwrap_err().to_string()
    }
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let both = add(waiting(&started, &census), fails_after(&started, WAITING));
        let text = run(awaits(Held(both)), max_workers).unwrap();
        assert!(text.ends_with("failed: no luck"), "{text}");
        census.assert_balanced(6);
    });
}

#[test]
fn ends_an_attempt_whose_shared_bodies_wait_for_ever() {
    #[delayed]
    async fn yields(started: Arc<Stages>, census: Census) -> Vec<u64> {
        let kept = yield_!(forever(started, census.counted()));
        let _ = kept.await;
    }
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let shared = forever(Arc::clone(&started), census.counted()).shared();
        let both = add(shared.clone(), fails_after(&started, 1)).attempt();
        drop(shared);
        assert!(run(both, max_workers).unwrap().is_err());
        let started = Arc::new(Stages::new());
        let list = yields(Arc::clone(&started), census.clone()).map(|list| list.len() as u64);
        assert!(run(add(list, fails_after(&started, 1)).attempt(), max_workers).unwrap().is_err());
        census.assert_balanced(2);
    });
}

/// As long as somebody keeps a handle, the computation may be wanted again; once the handle is dropped, it is not.
#[test]
fn ends_an_attempt_when_the_last_handle_on_its_shared_body_goes() {
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let shared = forever(Arc::clone(&started), census.counted()).shared();
        let kept = shared.clone();
        let runtime = runtime(max_workers);
        let attempt = runtime.spawn(add(shared.clone(), fails_after(&started, 1)).attempt());
        drop(shared);
        // The attempt has failed, and everything but the sleeper has settled.
        let other = runtime.spawn(kept.dc().attempt());
        other.cancel();
        assert!(other.join().unwrap_err().is_cancelled());
        assert!(!attempt.is_finished());
        drop(kept);
        assert!(attempt.join().unwrap().is_err());
        census.assert_balanced(1);
    });
}

#[test]
fn ends_attempts_inside_of_what_failed() {
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let inner = waiting(&started, &census).attempt().map(|kept| kept.unwrap_or(0)).attempt();
        let both = add(inner.map(|kept| kept.unwrap_or(0)), fails_after(&started, WAITING)).attempt();
        let kept = run(both, max_workers).unwrap();
        assert!(kept.unwrap_err().to_string().ends_with("failed: no luck"));
        census.assert_balanced(6);
    });
}

#[test]
fn of_one_attempt_leaves_the_one_beside_it_alone() {
    at_any_width(|max_workers| {
        let started = Arc::new(Stages::new());
        let failing = fails_after(&started, 1).attempt();
        #[delayed]
        async fn says(started: Arc<Stages>) -> u64 {
            started.signal(1);
            give_way().await;
            later(7).await.unwrap()
        }
        let both = DC::new(
            |a: Result<u64, Error>, b: u64| (a.is_err(), b),
            (failing, says(started).attempt().map(Result::unwrap)),
        );
        assert_eq!(run(both, max_workers).unwrap(), (true, 7));
    });
}

#[test]
fn of_a_cancelled_run_reaches_all_that_waits() {
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let runtime = runtime(max_workers);
        let attempts = waiting(&started, &census).attempt().map(|_| 1).attempt().map(|_| 1);
        let shared = waiting(&started, &census).shared();
        let handle = runtime.spawn(add(add(shared.clone(), shared), attempts));
        started.wait_for(2 * WAITING);
        assert!(!handle.is_finished());
        handle.cancel();
        assert!(handle.join().unwrap_err().is_cancelled());
        census.assert_balanced(12);
    });
}

#[test]
fn comes_when_a_runtime_is_dropped() {
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let runtime = runtime(max_workers);
        let handle = runtime.spawn(waiting(&started, &census));
        started.wait_for(WAITING);
        drop(runtime);
        assert!(handle.join().unwrap_err().is_cancelled());
        census.assert_balanced(6);
    });
}

#[test]
fn is_a_panic_after_an_await() {
    #[delayed]
    async fn panics(held: Counted, late: bool) -> u64 {
        if late {
            later(1).await.unwrap();
            give_way().await;
        }
        held.check();
        quiet_panic("out of luck")
    }
    #[delayed]
    async fn yields(held: Counted) -> Vec<u64> {
        yield_!(1);
        give_way().await;
        yield_!(2);
        held.check();
        quiet_panic("out of luck")
    }
    at_any_width(|max_workers| {
        let census = Census::new();
        for computation in
            [panics(census.counted(), false), panics(census.counted(), true), yields(census.counted()).map(|_| 1)]
        {
            let error = run(computation, max_workers).unwrap_err();
            assert!(error.is_panic() && error.to_string().ends_with("panicked: out of luck"), "{error}");
        }
        census.assert_balanced(3);
    });
}

#[test]
fn is_not_the_panic_of_what_is_dropped() {
    /// Panics when it is dropped.
    struct Bomb(Counted);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.check();
            if !thread::panicking() {
                quiet_panic("while it was dropped")
            }
        }
    }
    #[delayed]
    async fn forgets(bomb: Bomb, started: Arc<Stages>) -> u64 {
        started.arrive();
        future::pending::<()>().await;
        drop(bomb);
        1
    }
    #[delayed]
    async fn yields(bomb: Bomb, started: Arc<Stages>) -> Vec<u64> {
        yield_!(1);
        started.arrive();
        future::pending::<()>().await;
        drop(bomb);
    }
    at_any_width(|max_workers| {
        let (census, started) = (Census::new(), Arc::new(Stages::new()));
        let bomb = || Bomb(census.counted());
        let forgets = add(forgets(bomb(), Arc::clone(&started)), yields(bomb(), Arc::clone(&started)).map(|_| 1));
        let error = run(add(forgets, fails_after(&started, 2)), max_workers).unwrap_err();
        assert!(error.to_string().ends_with("failed: no luck"), "{error}");
        census.assert_balanced(2);
    });
}

#[test]
fn names_the_tasks_that_awaited_what_failed() {
    #[delayed]
    async fn bottom() -> Result<u64, String> {
        give_way().await;
        Err("no luck".to_owned())
    }
    #[delayed]
    fn sync(x: u64) -> u64 {
        x
    }
    #[delayed(name = "in the middle")]
    async fn middle() -> Result<u64, Error> {
        let x = sync(bottom()).await?;
        Ok(x)
    }
    #[delayed]
    async fn yields() -> Result<Vec<u64>, Error> {
        let x = yield_!(middle());
        yield_!(x.await?);
        Ok(())
    }
    #[delayed]
    async fn shares() -> Result<u64, Error> {
        let shared = middle().shared();
        shared.await
    }
    at_any_width(|max_workers| {
        let told = |computation: DC<u64>| {
            let error = run(computation, max_workers).unwrap_err();
            let names = error.trace().iter().map(|task| task.name().to_owned()).collect::<Vec<_>>().join(" < ");
            assert!(error.trace().iter().all(|task| task.file() == file!()), "{error:#}");
            assert_eq!(error.task().unwrap().name(), "bottom");
            assert_eq!(format!("{error:#}").lines().count(), 1 + error.trace().len());
            names
        };
        assert_eq!(told(sync(middle())), "sync < middle < sync");
        // The generator's body and its child both need it, and the generator fails with the one that hears of it first.
        let names = told(yields().map(|_| 0));
        assert!(
            ["sync < middle < yields < map", "sync < middle < shared < yields < map"].contains(&&*names),
            "{names}"
        );
        assert_eq!(told(shares()), "sync < middle < shared < shares");
    });
    let error = run(middle(), 1).unwrap_err();
    assert!(format!("{error:#}").contains("needed by `middle` \"in the middle\" ("), "{error:#}");
}

#[test]
fn of_a_computation_that_no_task_awaits_says_what_to_do() {
    wait::ends(|| {
        let census = Census::new();
        let held = census.counted();
        let mut awaited = DC::new(|held: Counted| held.check(), (held,)).named("lost").into_future();
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Err(error)) = Pin::new(&mut awaited).poll(&mut context) else { panic!("it waits") };
        let text = error.to_string();
        assert!(text.contains("\"lost\"") && text.contains("run_async") && text.contains("`async` task"), "{text}");
        census.assert_balanced(1);
        // A tokio task is not one of ours, even if one of ours has started it.
        #[delayed]
        async fn spawns() -> bool {
            tokio::spawn(async { later(1).await.is_err() }).await.unwrap()
        }
        assert!(run(spawns(), 1).unwrap());
        // Nor is a sync one.
        let polls = DC::new(
            || {
                let mut context = Context::from_waker(Waker::noop());
                let polled = Pin::new(&mut later(1).into_future()).poll(&mut context);
                matches!(polled, Poll::Ready(Err(_)))
            },
            (),
        );
        assert!(run(polls, 1).unwrap());
    });
}
