//! Async bodies that wait for timers, for I/O, for whatever wakes them.

use std::future::{self, Future};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use taskgraph::{DC, Error, Shared, all, delayed};
use taskgraph_tests::bodies::{Event, at_any_width, later};
use taskgraph_tests::wait::{self, give_way};
use taskgraph_tests::{failing, run, runtime};
use tokio::sync::{Barrier, mpsc};

#[test]
fn holds_no_worker() {
    const BODIES: usize = 10_000;
    #[delayed]
    async fn meet(barrier: Arc<Barrier>) -> usize {
        barrier.wait().await;
        1
    }
    // None goes on before all of them are waiting.
    at_any_width(|max_workers| {
        let barrier = Arc::new(Barrier::new(BODIES));
        let met = run(all((0..BODIES).map(|_| meet(Arc::clone(&barrier)))), max_workers).unwrap();
        assert_eq!(met.len(), BODIES);
    });
}

#[test]
fn holds_no_worker_in_a_run_inside_of_a_task() {
    const BODIES: usize = 1_000;
    #[delayed]
    async fn meet(barrier: Arc<Barrier>) {
        barrier.wait().await;
    }
    #[delayed]
    fn all_meet() -> Vec<()> {
        let barrier = Arc::new(Barrier::new(BODIES));
        for _ in 0..BODIES {
            yield_!(meet(Arc::clone(&barrier)));
        }
    }
    at_any_width(|max_workers| {
        let runtime = Arc::new(runtime(max_workers));
        let same = Arc::clone(&runtime);
        assert_eq!(runtime.run(DC::new(move || same.run(all_meet()).unwrap().len(), ())).unwrap(), BODIES);
    });
}

#[test]
fn holds_no_worker_while_it_sleeps() {
    #[delayed]
    async fn nap() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wait::ends(|| {
        let start = Instant::now();
        run(all((0..10_000).map(|_| nap())), 1).unwrap();
        assert!(start.elapsed() < Duration::from_secs(20), "one after the other they would sleep for 1000 seconds");
    });
}

/// The children are more than plenty, so only an idle worker goes on with the generator, and this one is never idle.
#[test]
fn has_its_generator_go_on_where_the_workers_are_never_idle() {
    fn endless(until: Arc<AtomicBool>) -> DC<u64> {
        DC::value(0).then(|n| if until.load(Ordering::SeqCst) { DC::value(n) } else { endless(until) })
    }
    #[delayed]
    async fn nap() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    #[delayed]
    fn naps(n: usize) -> Vec<()> {
        for _ in 0..n {
            yield_!(nap());
        }
    }
    wait::ends(|| {
        let (runtime, until) = (runtime(1), Arc::new(AtomicBool::new(false)));
        let busy = runtime.spawn(endless(Arc::clone(&until)));
        assert_eq!(runtime.run(naps(300)).unwrap().len(), 300);
        until.store(true, Ordering::SeqCst);
        busy.join().unwrap();
    });
}

#[test]
fn that_wakes_itself_without_end_leaves_its_worker_to_others() {
    #[delayed]
    async fn spins(until: Arc<AtomicBool>) -> u64 {
        future::poll_fn(|context| {
            if until.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        1
    }
    #[delayed]
    async fn ends_it(until: Arc<AtomicBool>) -> u64 {
        for _ in 0..100 {
            give_way().await;
            later(0).await.unwrap();
        }
        until.store(true, Ordering::SeqCst);
        1
    }
    at_any_width(|max_workers| {
        let until = Arc::new(AtomicBool::new(false));
        let spinning = all((0..3).map(|_| spins(Arc::clone(&until))).collect::<Vec<_>>());
        let both = DC::new(|a: Vec<u64>, b: u64| a.len() as u64 + b, (spinning, ends_it(Arc::clone(&until))));
        assert_eq!(run(both, max_workers).unwrap(), 4);
    });
    // And to another run, whose first node comes from outside.
    at_any_width(|max_workers| {
        let until = Arc::new(AtomicBool::new(false));
        let runtime = runtime(max_workers);
        let spinning = runtime.spawn(all((0..3).map(|_| spins(Arc::clone(&until))).collect::<Vec<_>>()));
        assert_eq!(runtime.run(ends_it(until)).unwrap(), 1);
        assert_eq!(spinning.join().unwrap().len(), 3);
    });
}

#[test]
fn is_there_after_every_change_of_the_number_of_workers() {
    wait::ends(|| {
        let event = Event::default();
        #[delayed]
        async fn waits(event: Event) -> u64 {
            event.wait().await;
            later(1).await.unwrap()
        }
        let runtime = runtime(4);
        let handle = runtime.spawn(all((0..1000).map(|_| waits(event.clone())).collect::<Vec<_>>()));
        wait::until(|| 1000 <= event.waits());
        for max_workers in [1, 8, 2, 1, 3] {
            runtime.set_max_workers(max_workers).unwrap();
            assert_eq!(runtime.run(later(1)).unwrap(), 1);
        }
        event.happen().into_iter().for_each(Waker::wake);
        assert_eq!(handle.join().unwrap().len(), 1000);
    });
}

#[test]
fn goes_on_while_the_number_of_workers_changes() {
    wait::ends(|| {
        #[delayed]
        async fn works(rounds: u64) -> Result<u64, Error> {
            let mut sum = 0;
            for _ in 0..rounds {
                give_way().await;
                sum += later(1).await?;
            }
            Ok(sum)
        }
        let runtime = runtime(1);
        let handle = runtime.spawn(all((0..50).map(|_| works(200)).collect::<Vec<_>>()));
        for max_workers in (1..=4).cycle() {
            runtime.set_max_workers(max_workers).unwrap();
            if handle.is_finished() {
                break;
            }
        }
        assert_eq!(handle.join().unwrap(), [200; 50]);
    });
}

#[test]
fn of_another_runtime_stays_there() {
    // Each of two runtimes needs what the other computes, and wakes the bodies of the other.
    wait::ends(|| {
        #[delayed]
        async fn ping(out: mpsc::UnboundedSender<u64>, mut back: mpsc::UnboundedReceiver<u64>, is_first: bool) -> u64 {
            let mut x = 0;
            if is_first {
                out.send(0).unwrap();
            }
            while x < 2000 {
                let Some(next) = back.recv().await else { break };
                x = next + 1;
                if out.send(x).is_err() {
                    break;
                }
            }
            x
        }
        let (one, other) = (runtime(1), runtime(2));
        let ((to_other, from_one), (to_one, from_other)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let a = one.spawn(ping(to_other, from_other, true));
        let b = other.spawn(ping(to_one, from_one, false));
        assert_eq!((a.join().unwrap() + b.join().unwrap()) / 2, 2000);
    });
}

/// Counts how often it is polled.
#[delayed]
async fn sleeps(event: Event, polls: Arc<AtomicUsize>) -> u64 {
    let mut event = pin!(event.wait());
    future::poll_fn(|context| {
        polls.fetch_add(1, Ordering::SeqCst);
        event.as_mut().poll(context)
    })
    .await;
    7
}

/// In a shared computation, which any run may need: runs that do not need it do not disturb it.
#[test]
fn is_left_alone_by_what_others_do() {
    at_any_width(|max_workers| {
        let (event, polls) = (Event::default(), Arc::new(AtomicUsize::new(0)));
        let shared = sleeps(event.clone(), Arc::clone(&polls)).shared();
        let runtime = runtime(max_workers);
        let sleeping = runtime.spawn(shared.dc());
        wait::until(|| event.waits() != 0);
        let failing = all((0..1_000).map(|_| failing::<u64>("no luck").attempt()));
        assert!(runtime.run(failing).unwrap().iter().all(Result::is_err));
        assert!(runtime.run(all([failing_late(), failing_late()])).is_err());
        assert!(polls.load(Ordering::SeqCst) <= 2, "{} polls", polls.load(Ordering::SeqCst));
        event.happen().into_iter().for_each(Waker::wake);
        assert_eq!(sleeping.join().unwrap(), 7);
    });
    #[delayed(retries = 2, backoff = "1ms..1ms")]
    fn failing_late() -> Result<u64, &'static str> {
        Err("no luck")
    }
}

/// If many sleep in shared computations, many stops do not wake all of them each time.
#[test]
fn where_many_sleep_many_may_stop() {
    const SLEEPERS: usize = 20_000;
    const STOPS: u64 = 2_000;
    at_any_width(|max_workers| {
        let runtime = runtime(max_workers);
        let (event, polls) = (Event::default(), Arc::new(AtomicUsize::new(0)));
        let shared: Vec<_> = (0..SLEEPERS).map(|_| sleeps(event.clone(), Arc::clone(&polls)).shared()).collect();
        let all_of = |shared: &[Shared<u64>]| all(shared.iter().map(Shared::dc));
        let (first, second) = (runtime.spawn(all_of(&shared)), runtime.spawn(all_of(&shared)));
        wait::until(|| SLEEPERS <= event.waits());

        let started = Instant::now();
        let asks_and_fails = |i| (DC::new(move || i, ()).shared().dc() + failing::<u64>("no")).attempt().map(|_| ());
        runtime.run(all((0..STOPS).map(asks_and_fails))).unwrap();
        let polled = polls.load(Ordering::SeqCst);
        // They are called at once, and then every 80 milliseconds.
        let calls = 3 + started.elapsed().as_millis() as usize / 60;
        assert!(polled <= calls * SLEEPERS, "{polled} polls of {SLEEPERS} sleepers for {STOPS} stops");

        // They still hear when nobody needs them any more.
        drop(shared);
        first.cancel();
        second.cancel();
        assert!(first.join().unwrap_err().is_cancelled() && second.join().unwrap_err().is_cancelled());
    });
}
