//! What comes from outside, or is woken up, has its turn before long, however long the bodies are that are ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use taskgraph::{DC, Error, Runtime, all, delayed};
use taskgraph_tests::inside::spin;
use taskgraph_tests::{runtime, wait};

const BODY: Duration = Duration::from_millis(2);
/// Bodies that each worker may run before the others have their turn.
const TURNS_MAX: u64 = 20;

/// A run of many bodies, of which each takes its time, and how many of them have ended.
struct Batch {
    ended: Arc<AtomicU64>,
    run: taskgraph::Handle<Vec<()>>,
}

impl Batch {
    /// All workers are at it.
    fn start(runtime: &Runtime) -> Self {
        let ended = Arc::new(AtomicU64::new(0));
        let body = |_| {
            let ended = Arc::clone(&ended);
            let body = move || {
                spin(BODY);
                ended.fetch_add(1, Relaxed);
            };
            DC::new(body, ())
        };
        let run = runtime.spawn(all((0..4_000).map(body)));
        wait::until(|| 10 < ended.load(Relaxed));
        Self { ended, run }
    }

    /// How many of its bodies end before `f` does.
    #[track_caller]
    fn check(&self, what: &str, workers: usize, f: impl FnOnce()) {
        let before = self.ended.load(Relaxed);
        f();
        let ended = self.ended.load(Relaxed) - before;
        assert!(!self.run.is_finished() && ended <= TURNS_MAX * workers as u64, "{what} comes after {ended} bodies");
    }
}

#[delayed]
async fn naps(times: u32) {
    for _ in 0..times {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

#[delayed]
async fn sleeps() {
    std::future::pending().await
}

#[test]
fn beside_long_bodies_others_have_their_turns() {
    wait::ends(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let batch = Batch::start(&runtime);
            batch.check("a run", workers, || assert_eq!(runtime.run(DC::new(|| 7, ())).unwrap(), 7));
            batch.check("a timer", workers, || runtime.run(naps(1)).unwrap());
            batch.check("the third timer of a body", workers, || runtime.run(naps(3)).unwrap());
            batch.check("a timeout", workers, || {
                let error = runtime.run(sleeps().timeout(Duration::from_millis(1))).unwrap_err();
                assert!(error.is_timeout());
            });
            batch.check("a deadline", workers, || {
                let error = runtime.spawn(sleeps()).deadline(Instant::now()).join().unwrap_err();
                assert!(error.is_timeout());
            });
            batch.check("the end of many that sleep", workers, || {
                let many = runtime.spawn(all((0..500).map(|_| sleeps())));
                many.cancel();
                assert!(many.join().unwrap_err().is_cancelled());
            });
            batch.check("a body that gives way", workers, || {
                #[delayed]
                async fn gives_way() {
                    tokio::task::yield_now().await;
                }
                runtime.run(gives_way()).unwrap();
            });
        }
    });
}

#[test]
fn in_one_run_a_timer_rings_beside_long_bodies() {
    #[delayed]
    async fn first_of_both(batch: DC<Vec<()>>, ended: Arc<AtomicU64>) -> Result<u64, Error> {
        let mut batch = std::pin::pin!(batch.into_future());
        let nap = std::pin::pin!(async { naps(3).await.map(|()| ended.load(Relaxed)) });
        std::future::poll_fn(|context| {
            let _ = std::future::Future::poll(batch.as_mut(), context);
            std::task::Poll::Ready(())
        })
        .await;
        nap.await
    }
    wait::ends(|| {
        let ended = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&ended);
        let body = move |_| {
            let counts = Arc::clone(&counts);
            DC::new(
                move || {
                    spin(BODY);
                    counts.fetch_add(1, Relaxed);
                },
                (),
            )
        };
        let batch = DC::value(all((0..1_000).map(body)));
        let before = runtime(2).run(first_of_both(batch, ended)).unwrap();
        assert!(before <= 2 * TURNS_MAX, "after {before} bodies");
    });
}

/// The other way round: what comes from outside without end does not keep a run from going on.
#[test]
fn beside_much_from_outside_a_run_goes_on() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(1));
        let batch = Batch::start(&runtime);
        let before = batch.ended.load(Relaxed);
        let spins = || DC::new(|| spin(BODY), ());
        let many: Vec<_> = (0..200).map(|_| runtime.spawn(spins())).collect();
        many.into_iter().for_each(|run| run.join().unwrap());
        let ended = batch.ended.load(Relaxed) - before;
        assert!((100..400).contains(&ended), "{ended} bodies beside 200");
    });
}
