//! Any depth and number of awaits, in constant stack and memory.

use std::future::{self, IntoFuture};
use std::sync::Arc;
use std::thread;

use futures_util::future::{Either, select};
use taskgraph::{DC, Error, delayed};
use taskgraph_tests::bodies::{add, at_any_width, later};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{self, Stages, give_way};
use taskgraph_tests::{failing, process, run, runtime, size};
use tokio::sync::oneshot;

mod constant_stack_and_memory {
    use super::*;

    /// Each level is a task that waits for the next one.
    #[delayed]
    async fn deep(n: u64, census: Census, bottom: Bottom) -> Result<u64, Error> {
        let held = census.counted();
        let below = match (n, bottom) {
            (0, Bottom::Value) => 0,
            (0, Bottom::Fails) => failing("at the bottom").await?,
            (0, Bottom::Panics) => quiet_panic("at the bottom"),
            (0, Bottom::Waits(started)) => {
                started.signal(1);
                future::pending().await
            }
            (n, bottom) => deep(n - 1, census, bottom).await?,
        };
        held.check();
        Ok(below + 1)
    }

    #[derive(Clone)]
    enum Bottom {
        Value,
        Fails,
        Panics,
        Waits(Arc<Stages>),
    }

    const DEEP: u64 = size::of(100_000, 100_000, 10_000);
    const LONG: u64 = size::of(1_000_000, 1_000_000, 50_000);

    #[test]
    fn a_body_may_await_a_million_computations() {
        process::alone("constant_stack_and_memory::a_body_may_await_a_million_computations", || {
            #[delayed]
            async fn chain(len: u64) -> Result<u64, Error> {
                let mut x = 0;
                for _ in 0..len {
                    x = add(x, 1).await?;
                }
                Ok(x)
            }
            #[delayed]
            async fn chain_of_waits(len: u64) -> Result<u64, Error> {
                let mut x = 0;
                for _ in 0..len {
                    x = later(x + 1).await?;
                }
                Ok(x)
            }
            for max_workers in [1, 2, 4] {
                run(chain_of_waits(1000), max_workers).unwrap();
                let before = process::resident_bytes_max();
                assert_eq!(run(chain(LONG), max_workers).unwrap(), LONG);
                assert_eq!(run(chain_of_waits(LONG / 5), max_workers).unwrap(), LONG / 5);
                let grown = process::resident_bytes_max() - before;
                assert!(grown < 8 << 20, "{grown} bytes more at {max_workers} workers");
            }
        });
    }

    #[test]
    fn a_body_may_return_computations_a_million_times() {
        process::alone("constant_stack_and_memory::a_body_may_return_computations_a_million_times", || {
            #[delayed]
            async fn grow(n: u64, is_waiting: bool) -> DC<u64> {
                if is_waiting {
                    give_way().await;
                }
                if n == 0 { DC::value(7) } else { grow(n - 1, is_waiting) }
            }
            for max_workers in [1, 2, 4] {
                run(grow(1000, true), max_workers).unwrap();
                let before = process::resident_bytes_max();
                assert_eq!(run(grow(LONG, false), max_workers).unwrap(), 7);
                assert_eq!(run(grow(LONG / 5, true), max_workers).unwrap(), 7);
                let grown = process::resident_bytes_max() - before;
                assert!(grown < 8 << 20, "{grown} bytes more at {max_workers} workers");
            }
        });
    }

    #[test]
    fn deep_awaits_come_to_a_value() {
        at_any_width(|max_workers| {
            let census = Census::new();
            assert_eq!(run(deep(DEEP, census.clone(), Bottom::Value), max_workers).unwrap(), DEEP + 1);
            census.assert_balanced(DEEP as i64 + 1);
        });
    }

    #[test]
    fn deep_awaits_fail() {
        at_any_width(|max_workers| {
            for (bottom, is_panic) in [(Bottom::Fails, false), (Bottom::Panics, true)] {
                let census = Census::new();
                let error = run(deep(DEEP, census.clone(), bottom), max_workers).unwrap_err();
                assert_eq!(error.is_panic(), is_panic);
                assert_eq!(error.trace().len(), 64, "only the nearest tasks are told");
                census.assert_balanced(DEEP as i64 + 1);
            }
        });
    }

    #[test]
    fn deep_awaits_are_cancelled() {
        at_any_width(|max_workers| {
            let (census, started) = (Census::new(), Arc::new(Stages::new()));
            let runtime = runtime(max_workers);
            let handle = runtime.spawn(deep(DEEP, census.clone(), Bottom::Waits(Arc::clone(&started))));
            started.wait_for(1);
            handle.cancel();
            assert!(handle.join().unwrap_err().is_cancelled());
            census.assert_balanced(DEEP as i64 + 1);
        });
    }

    #[test]
    fn deep_awaits_are_dropped() {
        #[delayed]
        async fn drops(census: Census) -> u64 {
            let started = Arc::new(Stages::new());
            let (send, receive) = oneshot::channel();
            let waiting = Arc::clone(&started);
            thread::spawn(move || {
                waiting.wait_for(1);
                send.send(()).unwrap();
            });
            match select(deep(DEEP, census, Bottom::Waits(started)).into_future(), receive).await {
                Either::Left(_) => panic!("it does not end"),
                Either::Right(_) => 1,
            }
        }
        at_any_width(|max_workers| {
            let census = Census::new();
            assert_eq!(run(drops(census.clone()), max_workers).unwrap(), 1);
            census.assert_balanced(DEEP as i64 + 1);
        });
    }

    #[test]
    fn deep_computations_that_never_ran_are_dropped() {
        wait::ends(|| {
            let census = Census::new();
            #[delayed]
            async fn holds(inner: Vec<DC<u64>>, held: Counted) -> u64 {
                drop((inner, held));
                0
            }
            drop((0..DEEP).fold(DC::value(0), |inner, _| {
                let held = census.counted();
                let body = holds(vec![later(1)], held);
                later(add(inner, body))
            }));
            // Each in a value that the body of the next holds.
            #[delayed]
            async fn owns(inner: Owned, held: Counted) -> u64 {
                drop((inner.0, held));
                0
            }
            struct Owned(Option<DC<u64>>);
            drop((0..DEEP).fold(DC::value(0), |inner, _| owns(Owned(Some(inner)), census.counted())));
            census.assert_balanced(2 * DEEP as i64);
        });
    }
}
