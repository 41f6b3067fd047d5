//! Tasks with async bodies, async generators, and runs that async code awaits.

use std::fmt::Debug;
use std::future::{self, Future, IntoFuture};
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use taskgraph::{DC, Error, all, delayed};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, Stages, give_way};
use taskgraph_tests::{failing, process, run, runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, mpsc, oneshot};

/// Checks something at one worker and at more; it has to come to an end.
#[track_caller]
fn at_any_width(check: impl Fn(usize) + Clone + Send + 'static) {
    for max_workers in [1, 2, 4] {
        let check = check.clone();
        wait::ends(move || check(max_workers));
    }
}

#[track_caller]
fn check<T: Clone + Debug + PartialEq + Send + 'static>(
    computation: impl Fn() -> DC<T> + Clone + Send + 'static,
    expected: T,
) {
    at_any_width(move |max_workers| match run(computation(), max_workers) {
        Ok(value) => assert_eq!(value, expected.clone()),
        Err(error) => panic!("{error:#}"),
    });
}

/// Panics without the noise of the panic hook.
fn quiet_panic<T>(message: &'static str) -> T {
    std::panic::resume_unwind(Box::new(message))
}

/// Something that happens once, and that futures wait for; it can be woken in ways in which no decent one is.
#[derive(Clone, Default)]
struct Event(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Event {
    /// Is polled until it has happened; every waker is kept.
    fn wait(&self) -> impl Future<Output = ()> + Send + 'static {
        let this = self.clone();
        future::poll_fn(move |context| {
            let mut inner = this.0.lock().unwrap();
            if inner.0 {
                return Poll::Ready(());
            }
            inner.1.push(context.waker().clone());
            Poll::Pending
        })
    }

    fn waits(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    /// It happens; gives the wakers.
    fn happen(&self) -> Vec<Waker> {
        let mut inner = self.0.lock().unwrap();
        inner.0 = true;
        std::mem::take(&mut inner.1)
    }
}

#[delayed]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[delayed]
async fn later(value: u64) -> u64 {
    through(value).await.expect("it cannot fail")
}

#[delayed]
async fn through<T: Send + 'static>(value: T) -> T {
    give_way().await;
    value
}

mod an_async_body {
    use super::*;

    #[test]
    fn returns_what_any_body_may_return() {
        #[delayed]
        async fn value(x: u64) -> u64 {
            give_way().await;
            x
        }
        #[delayed]
        async fn fallible(text: &str) -> Result<u64, std::num::ParseIntError> {
            give_way().await;
            let value = text.parse()?;
            Ok(value)
        }
        #[delayed]
        async fn growing(n: u64) -> DC<u64> {
            give_way().await;
            if n == 0 { DC::value(7) } else { growing(n - 1) }
        }
        #[delayed]
        async fn fallible_growing(n: u64) -> Result<DC<u64>, String> {
            give_way().await;
            if n < 10 { Ok(growing(n)) } else { Err("too much".to_owned()) }
        }
        #[delayed]
        async fn nothing() {}
        check(|| value(3), 3);
        check(|| fallible("12"), 12);
        check(|| growing(20), 7);
        check(|| fallible_growing(2), 7);
        check(nothing, ());
        at_any_width(|max_workers| {
            let error = run(fallible("x"), max_workers).unwrap_err();
            assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
            let error = run(fallible_growing(20), max_workers).unwrap_err();
            assert!(error.to_string().ends_with("failed: too much"), "{error}");
        });
    }

    #[test]
    fn takes_computations_as_arguments_and_gives_one() {
        check(|| add(later(later(1)), later(DC::value(2_u64).shared())), 3);
        check(|| later(add(1, 2)).map(|x| x + 1).then(later), 4);
        check(|| all((0..100).map(later)), (0..100).collect());
    }

    #[test]
    fn may_be_a_method_and_generic() {
        struct Scale(u64);
        impl Scale {
            #[delayed]
            async fn of(self, x: u64) -> u64 {
                give_way().await;
                self.0 * x
            }
            #[delayed]
            async fn held(self: Arc<Self>, x: &u64) -> u64 {
                give_way().await;
                self.0 * x
            }
        }
        check(|| Scale(3).of(4), 12);
        check(|| Arc::new(Scale(3)).held(4), 12);
        check(|| through("text"), "text");
    }

    #[test]
    fn borrows_its_parameters_across_awaits() {
        #[delayed]
        async fn len(text: &str, list: &[Counted], shared: &Counted) -> usize {
            let halves = text.split_at(text.len() / 2);
            give_way().await;
            list.iter().for_each(Counted::check);
            shared.check();
            let more = later(1).await.unwrap();
            shared.check();
            halves.0.len() + halves.1.len() + list.len() + more as usize
        }
        let census = Census::new();
        let counted = census.clone();
        let build = move || {
            let list = through(vec![counted.counted(), counted.counted()]);
            len(String::from("abcde"), list, through(counted.counted()).shared())
        };
        check(build, 8);
        census.assert_balanced(9);
    }

    #[test]
    fn runs_nothing_until_it_is_run() {
        let census = Census::new();
        #[delayed]
        async fn never(_held: Counted) {
            panic!("this was not to run");
        }
        drop(never(census.counted()));
        drop(through::<()>(never(through(census.counted()))));
        drop(never(census.counted()).into_future());
        census.assert_balanced(3);
    }

    #[test]
    fn awaits_computations_of_every_kind() {
        #[delayed]
        async fn awaits() -> Result<u64, Error> {
            let ready = DC::value(1).await?;
            let sync = add(ready, 1).await?;
            let longer = later(add(later(sync), 1)).named("named").await?;
            let shared = later(longer).shared();
            let one = shared.clone().await?;
            let other = shared.await?;
            let many = all((0..100).map(later)).await?;
            Ok(one + other + many.len() as u64)
        }
        check(awaits, 106);
    }

    #[test]
    fn gets_a_failure_as_a_value() {
        #[delayed]
        async fn awaits(census: Census) -> String {
            let held = census.counted();
            let failed = failing::<u64>("no luck").await.unwrap_err();
            let panicked = DC::<u64>::new(|| -> u64 { quiet_panic("out of luck") }, ()).await.unwrap_err();
            let attempt = failing::<u64>("kept").attempt().await.unwrap().unwrap_err();
            let shared = failing::<u64>("shared").shared().await.unwrap_err();
            assert!(panicked.is_panic());
            held.check();
            let ends = |error: Error| error.to_string().rsplit("failed: ").next().unwrap().to_owned();
            [failed, attempt, shared].map(ends).join(", ")
        }
        let census = Census::new();
        let counted = census.clone();
        check(move || awaits(counted.clone()), "no luck, kept, shared".to_owned());
        census.assert_balanced(3);
    }

    #[test]
    fn nests_with_generators_and_other_bodies() {
        #[delayed]
        async fn outer(depth: u32) -> Result<u64, Error> {
            if depth == 0 {
                return Ok(1);
            }
            let list = middle(depth).await?;
            let sync = plain(depth).await?;
            Ok(list.iter().sum::<u64>() + sync.iter().sum::<u64>())
        }
        #[delayed]
        async fn middle(depth: u32) -> Result<Vec<u64>, Error> {
            let first = yield_!(outer(depth - 1));
            give_way().await;
            yield_!(add(first, outer(depth - 1)));
            let again = outer(depth - 1).await?;
            yield_!(again);
            Ok(())
        }
        #[delayed]
        fn plain(depth: u32) -> Vec<u64> {
            let first = yield_!(outer(depth - 1));
            yield_!(first);
        }
        // Each is six of the one below: two in the middle's second, one in the plain one's each.
        check(|| outer(4), 6 * 6 * 6 * 6);
    }

    #[test]
    fn awaits_many_at_once() {
        #[delayed]
        async fn fib(n: u64) -> Result<u64, Error> {
            if n < 2 {
                return Ok(n);
            }
            let (a, b) = join(fib(n - 1).into_future(), fib(n - 2).into_future()).await;
            Ok(a? + b?)
        }
        #[delayed]
        async fn sum(len: u64) -> Result<u64, Error> {
            let all = join_all((0..len).map(|i| later(i).into_future())).await;
            let mut unordered: FuturesUnordered<_> = (0..len).map(|i| later(add(i, 1)).into_future()).collect();
            let mut sum = all.into_iter().sum::<Result<u64, Error>>()?;
            while let Some(next) = unordered.next().await {
                sum += next?;
            }
            Ok(sum)
        }
        check(|| fib(12), 144);
        check(|| sum(1000), 1000 * 1000);
    }

    #[test]
    fn finds_the_timers_and_the_io_of_tokio_around_it() {
        #[delayed]
        async fn serve() -> io::Result<String> {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let addr = listener.local_addr()?;
            let client = tokio::spawn(async move {
                let mut stream = TcpStream::connect(addr).await?;
                stream.write_all(b"over the wire").await
            });
            let mut text = String::new();
            listener.accept().await?.0.read_to_string(&mut text).await?;
            client.await??;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let blocking = tokio::task::spawn_blocking(|| "!").await?;
            let late = tokio::time::timeout(Duration::from_millis(1), future::pending::<()>()).await;
            assert!(late.is_err());
            Ok(text + blocking)
        }
        check(serve, "over the wire!".to_owned());
    }

    #[test]
    fn may_be_woken_from_any_thread_late_and_twice() {
        #[delayed]
        async fn waits(first: Event, second: Event) -> u64 {
            first.wait().await;
            second.wait().await;
            7
        }
        at_any_width(|max_workers| {
            let runtime = runtime(max_workers);
            let (first, second) = (Event::default(), Event::default());
            let handle = runtime.spawn(waits(first.clone(), second.clone()));
            let kept = thread::spawn(move || {
                wait::until(|| first.waits() != 0);
                let waker = first.0.lock().unwrap().1[0].clone();
                // For nothing: each may give one more poll, and one more waker.
                (0..100).for_each(|_| waker.wake_by_ref());
                let wakers = first.happen();
                wakers.iter().for_each(Waker::wake_by_ref);
                wakers.iter().for_each(Waker::wake_by_ref);
                wait::until(|| second.waits() != 0);
                let more = second.happen();
                more.iter().chain(&wakers).for_each(Waker::wake_by_ref);
                [wakers, more].concat()
            });
            assert_eq!(handle.join().unwrap(), 7);
            let kept = kept.join().unwrap();
            kept.iter().for_each(Waker::wake_by_ref);
            drop(runtime);
            // Nobody is there any more.
            kept.iter().for_each(Waker::wake_by_ref);
            thread::spawn(|| kept.into_iter().for_each(Waker::wake)).join().unwrap();
        });
    }

    #[test]
    fn may_be_woken_while_it_is_polled() {
        // Each poll hands its waker to a thread that rings it at once, during the poll or after it.
        #[delayed]
        async fn waits(rounds: usize, send: std::sync::mpsc::Sender<Waker>, rang: Arc<AtomicUsize>) -> usize {
            for round in 1..=rounds {
                let mut is_sent = false;
                future::poll_fn(|context| {
                    if !std::mem::replace(&mut is_sent, true) {
                        send.send(context.waker().clone()).unwrap();
                    }
                    if rang.load(Ordering::Relaxed) < round { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
            }
            rounds
        }
        at_any_width(|max_workers| {
            let (send, receive) = std::sync::mpsc::channel::<Waker>();
            let rang = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&rang);
            let ringer = thread::spawn(move || {
                for waker in receive {
                    count.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                }
            });
            assert_eq!(run(waits(20_000, send, rang), max_workers).unwrap(), 20_000);
            ringer.join().unwrap();
        });
    }

    #[test]
    fn may_block_for_a_run_of_its_own() {
        #[delayed]
        async fn blocks(depth: u64) -> Result<u64, Error> {
            give_way().await;
            if depth == 0 {
                return Ok(1);
            }
            let blocked = run(later(blocks(depth - 1)), 1)?;
            give_way().await;
            let awaited = taskgraph_tests::runtime(1).run_async(later(1)).await?;
            Ok(blocked + awaited)
        }
        check(|| blocks(3), 4);
    }

    #[test]
    fn may_block_for_a_run_of_the_same_runtime() {
        at_any_width(|max_workers| {
            let runtime = Arc::new(runtime(max_workers));
            #[delayed]
            async fn blocks(runtime: Arc<taskgraph::Runtime>) -> Result<u64, Error> {
                let a = runtime.run(later(1))?;
                let b = runtime.spawn(later(2)).await?;
                let c = runtime.run_async(later(3)).await?;
                Ok(a + b + c)
            }
            assert_eq!(runtime.run(blocks(Arc::clone(&runtime))).unwrap(), 6);
        });
    }

    #[test]
    fn stays_where_it_is_until_it_is_dropped() {
        #[delayed]
        async fn waits(moved: Arc<AtomicBool>, started: Arc<Stages>) {
            Pinned { at: 0, moved, started, _pinned: PhantomPinned }.await;
        }
        check_pinned(waits);
    }

    #[test]
    fn of_a_generator_stays_where_it_is_until_it_is_dropped() {
        #[delayed]
        async fn yields(moved: Arc<AtomicBool>, started: Arc<Stages>) -> Vec<u64> {
            yield_!(1);
            Pinned { at: 0, moved, started, _pinned: PhantomPinned }.await;
        }
        check_pinned(|moved, started| yields(moved, started).map(drop));
    }

    /// A future that never ends, and tells if it is dropped elsewhere than it was polled.
    struct Pinned {
        at: usize,
        moved: Arc<AtomicBool>,
        started: Arc<Stages>,
        _pinned: PhantomPinned,
    }

    impl Future for Pinned {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            // SAFETY: nothing is moved out.
            let this = unsafe { self.get_unchecked_mut() };
            this.at = std::ptr::from_ref(this).addr();
            this.started.signal(1);
            Poll::Pending
        }
    }

    impl Drop for Pinned {
        fn drop(&mut self) {
            if self.at != 0 && self.at != std::ptr::from_ref(self).addr() {
                self.moved.store(true, Ordering::SeqCst);
            }
        }
    }

    #[track_caller]
    fn check_pinned(build: impl Fn(Arc<AtomicBool>, Arc<Stages>) -> DC<()> + Clone + Send + 'static) {
        at_any_width(move |max_workers| {
            let (moved, started) = (Arc::new(AtomicBool::new(false)), Arc::new(Stages::new()));
            let runtime = runtime(max_workers);
            let handle = runtime.spawn(build(Arc::clone(&moved), Arc::clone(&started)));
            started.wait_for(1);
            handle.cancel();
            assert!(handle.join().unwrap_err().is_cancelled());
            assert!(!moved.load(Ordering::SeqCst), "a future was moved after it was polled");
        });
    }
}

mod a_waiting_body {
    use super::*;

    #[test]
    fn holds_no_worker() {
        const BODIES: usize = 10_000;
        #[delayed]
        async fn meet(barrier: Arc<Barrier>) -> usize {
            barrier.wait().await;
            1
        }
        // None goes on before all of them wait.
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

    /// More than are plenty: only a worker without anything to do goes on with the generator, and this one never is.
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
            async fn ping(
                out: mpsc::UnboundedSender<u64>,
                mut back: mpsc::UnboundedReceiver<u64>,
                is_first: bool,
            ) -> u64 {
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
}

mod constant_stack_and_memory {
    use super::*;

    /// Each level is a task of its own, and waits for the next.
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

    const DEEP: u64 = 100_000;

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
                assert_eq!(run(chain(1_000_000), max_workers).unwrap(), 1_000_000);
                assert_eq!(run(chain_of_waits(200_000), max_workers).unwrap(), 200_000);
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
                assert_eq!(run(grow(1_000_000, false), max_workers).unwrap(), 7);
                assert_eq!(run(grow(200_000, true), max_workers).unwrap(), 7);
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

mod a_failure {
    use super::*;

    /// Says that it has started, and never ends.
    #[delayed]
    async fn forever(started: Arc<Stages>, held: Counted) -> u64 {
        started.arrive();
        future::pending::<()>().await;
        held.check();
        0
    }

    /// Yields something, says that it has started, and never ends.
    #[delayed]
    async fn yields_forever(started: Arc<Stages>, census: Census) -> Vec<u64> {
        let held = census.counted();
        yield_!(forever(Arc::clone(&started), census.counted()));
        started.arrive();
        future::pending::<()>().await;
        held.check();
    }

    /// Fails as soon as so many have started.
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

    /// A body that awaits, in its turn, what never ends.
    #[delayed]
    async fn awaits_forever(started: Arc<Stages>, census: Census) -> u64 {
        let held = census.counted();
        let result = forever(started, census.counted()).await;
        held.check();
        result.unwrap_or(0)
    }

    /// Every way to wait for ever, for five who start.
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

    /// As long as somebody keeps a handle the computation may be wanted again; when he drops it, it is not.
    #[test]
    fn ends_an_attempt_when_the_last_handle_on_its_shared_body_goes() {
        at_any_width(|max_workers| {
            let (census, started) = (Census::new(), Arc::new(Stages::new()));
            let shared = forever(Arc::clone(&started), census.counted()).shared();
            let kept = shared.clone();
            let runtime = runtime(max_workers);
            let attempt = runtime.spawn(add(shared.clone(), fails_after(&started, 1)).attempt());
            drop(shared);
            // The attempt has failed, and everything but the sleeper is through.
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
            // The generator's body and its child both need it, and it fails with whichever hears of it first.
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
            // A task of tokio's is none of ours, even if one of ours has started it.
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
}

mod a_future_that_is_dropped {
    use super::*;

    /// Signals, then waits for ever.
    #[delayed]
    async fn forever(started: Event, held: Counted) -> u64 {
        started.happen().into_iter().for_each(Waker::wake);
        future::pending::<()>().await;
        held.check();
        0
    }

    /// The winner is there when all losers have started.
    #[delayed]
    async fn races(losers: Vec<Lost>, started: Vec<Event>) -> u64 {
        let losers = losers.into_iter().map(|lost| lost.0.into_future());
        let winner = async {
            for started in &started {
                started.wait().await;
            }
        };
        match select(std::pin::pin!(winner), join_all(losers)).await {
            Either::Left(_) => 1,
            Either::Right(_) => panic!("it waits for ever"),
        }
    }

    struct Lost(DC<u64>);

    #[track_caller]
    fn check_race(lose: impl Fn(DC<u64>) -> DC<u64> + Clone + Send + 'static) {
        at_any_width(move |max_workers| {
            let census = Census::new();
            let started: Vec<_> = (0..10).map(|_| Event::default()).collect();
            let losers = started.iter().map(|started| Lost(lose(forever(started.clone(), census.counted()))));
            let race = races(losers.collect::<Vec<_>>(), started.clone());
            // The task that has dropped them is through when nothing of them is left.
            let counted = census.clone();
            let after = race.map(move |won| (won, counted.live()));
            assert_eq!(run(after, max_workers).unwrap(), (1, 0));
            census.assert_balanced(10);
        });
    }

    #[test]
    fn stops_its_computation() {
        check_race(|forever| forever);
        check_race(|forever| add(1, forever).map(|x| x));
        check_race(|forever| all(vec![forever, later(1)]).map(|all| all[0]));
    }

    #[test]
    fn stops_what_that_awaits() {
        #[delayed]
        async fn awaits(lost: Lost) -> Result<u64, Error> {
            lost.0.await
        }
        check_race(|forever| awaits(Lost(awaits(Lost(forever)))));
    }

    #[test]
    fn stops_the_generators_in_it() {
        #[delayed]
        async fn yields(lost: Lost) -> Vec<u64> {
            yield_!(lost.0);
            future::pending::<()>().await;
        }
        #[delayed]
        fn yields_and_ends(lost: Lost) -> Vec<u64> {
            yield_!(lost.0);
        }
        check_race(|forever| yields(Lost(forever)).map(|_| 1));
        check_race(|forever| yields_and_ends(Lost(forever)).map(|_| 1));
    }

    #[test]
    fn stops_the_attempts_in_it() {
        check_race(|forever| forever.attempt().map(|_| 1));
        check_race(|forever| forever.attempt().map(|_| 1).attempt().map(|_| 1));
    }

    #[test]
    fn before_it_was_polled_runs_nothing() {
        #[delayed]
        async fn drops(held: Counted) -> u64 {
            let never: DC<u64> = DC::new(|_: Counted| -> u64 { panic!("this was not to run") }, (held,));
            drop(never.into_future());
            1
        }
        let census = Census::new();
        let counted = census.clone();
        check(move || drops(counted.counted()), 1);
        census.assert_balanced(3);
    }

    #[test]
    fn with_its_result_drops_that_once() {
        // The result is there when the future goes, or comes later, or never.
        #[delayed]
        async fn drops(census: Census, give_ways: usize) -> u64 {
            let made = census.clone();
            let mut value = DC::new(move || made.counted(), ()).into_future();
            let polled = future::poll_fn(|context| Poll::Ready(Pin::new(&mut value).poll(context).is_ready())).await;
            // Another worker may have been quick.
            for _ in 0..if polled { 0 } else { give_ways } {
                give_way().await;
            }
            drop(value);
            1
        }
        let census = Census::new();
        let counted = census.clone();
        at_any_width(move |max_workers| {
            let many = all((0..300).map(|i| drops(counted.clone(), i % 4)).collect::<Vec<_>>());
            assert_eq!(run(many, max_workers).unwrap().len(), 300);
            assert_eq!(counted.live(), 0);
        });
        census.assert_balanced(0);
    }

    /// Whoever has the future then.
    #[test]
    fn ends_with_the_body_that_started_it() {
        type Sent = taskgraph::Awaited<Counted>;
        #[delayed]
        async fn makes(census: Census, event: Event) -> Counted {
            let counted = census.counted();
            event.wait().await;
            counted
        }
        #[delayed]
        async fn starts(census: Census, event: Event, send: oneshot::Sender<Sent>) -> u64 {
            let mut value = makes(census, event).into_future();
            let _ = future::poll_fn(|context| Poll::Ready(Pin::new(&mut value).poll(context).is_ready())).await;
            give_way().await;
            assert!(send.send(value).is_ok());
            1
        }
        #[delayed]
        async fn ends(receive: oneshot::Receiver<Sent>) -> u64 {
            let ended = receive.await.unwrap().await;
            assert!(ended.is_err_and(|error| error.is_cancelled()));
            1
        }
        at_any_width(|max_workers| {
            let census = Census::new();
            let (send, receive) = oneshot::channel();
            let never = Event::default();
            assert_eq!(run(add(starts(census.clone(), never.clone(), send), ends(receive)), max_workers).unwrap(), 2);
            let (send, mut receive) = oneshot::channel();
            assert_eq!(run(starts(census.clone(), never, send), max_workers).unwrap(), 1);
            drop(receive.try_recv().unwrap());
            census.assert_balanced(0);
        });
    }

    #[test]
    fn in_a_race_of_a_shared_computation_leaves_the_others_their_result() {
        #[delayed]
        async fn races(shared: taskgraph::Shared<u64>, event: Event, is_lost: Arc<AtomicBool>) -> u64 {
            match select(shared.into_future(), std::pin::pin!(event.wait())).await {
                Either::Left(_) => panic!("it is not there yet"),
                Either::Right(_) => is_lost.store(true, Ordering::SeqCst),
            }
            0
        }
        #[delayed]
        async fn waits(event: Event) -> u64 {
            event.wait().await;
            7
        }
        at_any_width(|max_workers| {
            let (event, lost) = (Event::default(), Event::default());
            let shared = waits(event.clone()).shared();
            let runtime = runtime(max_workers);
            let is_lost = Arc::new(AtomicBool::new(false));
            let racing = runtime.spawn(races(shared.clone(), lost.clone(), Arc::clone(&is_lost)));
            let other = runtime.spawn(shared.dc());
            wait::until(|| event.waits() != 0 && lost.waits() != 0);
            lost.happen().into_iter().for_each(Waker::wake);
            wait::until(|| is_lost.load(Ordering::SeqCst));
            event.happen().into_iter().for_each(Waker::wake);
            assert_eq!(racing.join().unwrap(), 0);
            assert_eq!(other.join().unwrap(), 7);
        });
    }
}

mod a_shared_computation {
    use super::*;

    #[delayed]
    async fn waits(event: Event, held: Counted) -> u64 {
        event.wait().await;
        held.check();
        7
    }

    #[test]
    fn goes_on_for_one_run_when_another_is_cancelled() {
        for (first_is_cancelled, same_runtime) in [(true, true), (true, false), (false, true), (false, false)] {
            at_any_width(move |max_workers| {
                let (census, event) = (Census::new(), Event::default());
                let shared = waits(event.clone(), census.counted()).map(|x| x).shared();
                let one = runtime(max_workers);
                let another = runtime(max_workers);
                let first = one.spawn(add(1, shared.clone()));
                wait::until(|| event.waits() != 0);
                let second = if same_runtime { &one } else { &another }.spawn(add(2, shared));
                // The second has asked when what is queued behind it has run.
                let (cancelled, kept, sum) = if first_is_cancelled { (first, second, 9) } else { (second, first, 8) };
                cancelled.cancel();
                event.happen().into_iter().for_each(Waker::wake);
                let result = kept.join();
                let needed = result.as_ref().is_ok_and(|x| *x == sum);
                // The second may come too late, when nobody needed it any more.
                let given_up = first_is_cancelled && result.as_ref().is_err_and(Error::is_cancelled);
                assert!(needed || given_up, "{result:?}");
                drop(cancelled.join());
                census.assert_balanced(1);
            });
        }
    }

    #[test]
    fn is_given_up_when_all_runs_are_cancelled() {
        at_any_width(|max_workers| {
            let (census, event) = (Census::new(), Event::default());
            let shared = waits(event.clone(), census.counted()).map(|x| x).shared();
            let runtimes = [runtime(max_workers), runtime(1), runtime(2)];
            let handles = runtimes.each_ref().map(|runtime| runtime.spawn(add(1, shared.clone())));
            drop(shared);
            wait::until(|| event.waits() != 0);
            handles.iter().for_each(taskgraph::Handle::cancel);
            handles.into_iter().for_each(|handle| assert!(handle.join().unwrap_err().is_cancelled()));
            census.assert_balanced(1);
        });
    }
}

mod async_code {
    use super::*;
    use tokio::runtime::Builder;

    /// In both kinds of tokio's runtimes, and in an executor of somebody else's.
    #[track_caller]
    fn everywhere<F: Future<Output = ()> + Send + 'static>(code: impl Fn(usize) -> F + Clone + Send + 'static) {
        at_any_width(move |max_workers| {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(code(max_workers));
            let multi = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            multi.block_on(code(max_workers));
            multi.block_on(async { tokio::spawn(code(max_workers)).await.unwrap() });
            drop(multi);
            let code = code.clone();
            let thread = thread::spawn(move || pollster(code(max_workers)));
            thread.join().unwrap();
        });
    }

    /// The smallest executor.
    fn pollster<F: Future>(future: F) -> F::Output {
        struct Unpark(thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
            thread::park();
        }
    }

    #[delayed]
    async fn naps() -> Result<u64, Error> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        add(1, later(2)).await
    }

    #[test]
    fn awaits_a_run() {
        everywhere(|max_workers| async move {
            let runtime = runtime(max_workers);
            assert_eq!(runtime.run_async(naps()).await.unwrap(), 3);
            assert_eq!(runtime.spawn(naps()).await.unwrap(), 3);
            let (a, b) = join(runtime.run_async(naps()), runtime.spawn(naps())).await;
            assert_eq!(a.unwrap() + b.unwrap(), 6);
            assert_eq!(taskgraph::run_async(naps(), max_workers).await.unwrap(), 3);
            let error = runtime.run_async(failing::<u64>("no luck")).await.unwrap_err();
            assert!(error.to_string().ends_with("failed: no luck"));
            let error = taskgraph::run_async(naps(), 0).await.unwrap_err();
            assert!(error.to_string().contains("max_workers is 0"));
        });
    }

    #[test]
    fn finds_its_own_runtime_in_the_tasks_of_a_run() {
        at_any_width(|max_workers| {
            let tokio = Builder::new_current_thread().enable_all().build().unwrap();
            tokio.block_on(async move {
                let here = tokio::runtime::Handle::current().id();
                #[delayed]
                async fn id() -> tokio::runtime::Id {
                    tokio::task::yield_now().await;
                    tokio::runtime::Handle::current().id()
                }
                let runtime = runtime(max_workers);
                assert_eq!(runtime.run_async(id()).await.unwrap(), here);
                assert_ne!(runtime.spawn(id()).await.unwrap(), here);
            });
        });
    }

    #[test]
    fn cancels_a_run_by_dropping_the_future() {
        #[delayed]
        async fn forever(event: Event, held: Counted) -> u64 {
            event.happen().into_iter().for_each(Waker::wake);
            future::pending::<()>().await;
            held.check();
            0
        }
        everywhere(|max_workers| async move {
            let (census, started) = (Census::new(), Event::default());
            let runtime = runtime(max_workers);
            // It starts at the first poll.
            drop(runtime.run_async(forever(started.clone(), census.counted())));
            census.assert_balanced(1);
            for own in [false, true] {
                let started = Event::default();
                let body = forever(started.clone(), census.counted());
                let run: Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>> = if own {
                    Box::pin(taskgraph::run_async(body, max_workers))
                } else {
                    Box::pin(runtime.run_async(body))
                };
                match select(run, std::pin::pin!(started.wait())).await {
                    Either::Left(_) => panic!("it waits for ever"),
                    Either::Right(((), run)) => drop(run),
                }
                // It ends behind our back, since nobody waits for it here.
                wait::until(|| census.live() == 0);
            }
            // A handle that is dropped lets its run go on.
            drop(runtime.spawn(later(1)));
            assert_eq!(runtime.spawn(later(1)).await.unwrap(), 1);
        });
    }

    #[test]
    fn may_drop_a_runtime_that_is_at_work() {
        everywhere(|max_workers| async move {
            let runtime = runtime(max_workers);
            let handle = runtime.spawn(DC::new(|_: u64| (), (through::<u64>(never()),)));
            drop(runtime);
            assert!(handle.await.unwrap_err().is_cancelled());
        });
        #[delayed]
        async fn never() -> u64 {
            future::pending().await
        }
    }

    #[test]
    fn runs_many_at_once() {
        everywhere(|max_workers| async move {
            let runtime = Arc::new(runtime(max_workers));
            let runs = (0..200).map(|_| runtime.run_async(naps()));
            let sum: u64 = join_all(runs).await.into_iter().map(Result::unwrap).sum();
            assert_eq!(sum, 600);
        });
    }

    #[test]
    fn leaves_no_thread_behind() {
        process::alone("async_code::leaves_no_thread_behind", || {
            wait::ends(|| {
                // One that waits, the one that runs the test, and this.
                let before = process::threads();
                for max_workers in [1, 2, 4] {
                    let runtime = runtime(max_workers);
                    runtime.run(add(1, 2)).unwrap();
                    assert_eq!(process::threads(), before + max_workers as u64, "nobody has polled anything");
                    runtime.run(naps()).unwrap();
                    assert_eq!(process::threads(), before + max_workers as u64 + 1);
                    drop(runtime.spawn(DC::new(|_: u64| (), (naps(),))));
                    drop(runtime);
                    assert_eq!(process::threads(), before);
                    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
                    tokio.block_on(taskgraph::run_async(naps(), max_workers)).unwrap();
                    drop(tokio);
                    wait::until(|| process::threads() == before);
                }
            });
        });
    }
}

mod an_async_generator {
    use super::*;

    #[delayed]
    async fn yields_and_awaits(n: u64) -> Result<Vec<u64>, Error> {
        let mut last = 0;
        for i in 0..n {
            let sum = yield_!(add(last, i));
            if i % 2 == 0 {
                last = sum.await?;
            }
            yield_!(later(i));
            if i % 10 == 3 {
                give_way().await;
            }
        }
        Ok(())
    }

    #[test]
    fn may_yield_and_await_in_any_order() {
        let mut expected = Vec::new();
        let mut last = 0;
        for i in 0..1000 {
            expected.extend([last + i, i]);
            if i % 2 == 0 {
                last += i;
            }
        }
        check(|| yields_and_awaits(1000), expected);
    }

    #[test]
    fn goes_on_while_what_it_has_yielded_is_at_work() {
        // The child ends only after its generator has gone on.
        #[delayed]
        async fn waits(receive: oneshot::Receiver<u64>) -> u64 {
            receive.await.unwrap()
        }
        #[delayed]
        async fn yields() -> Result<Vec<u64>, Error> {
            let (send, receive) = oneshot::channel();
            let first = yield_!(waits(receive));
            give_way().await;
            send.send(7).unwrap();
            let seven = first.await?;
            yield_!(add(seven, 1));
            Ok(())
        }
        check(yields, vec![7, 8]);
    }

    #[test]
    fn shares_what_it_yields_with_its_body_and_with_others() {
        #[delayed]
        fn len(text: &str) -> String {
            text.len().to_string()
        }
        #[delayed]
        async fn yields() -> Result<Vec<String>, Error> {
            let text = yield_!(through(String::from("abc")));
            let length = yield_!(len(text.clone()));
            let there: taskgraph::Shared<String> = yield_!("there".to_owned());
            assert_eq!(length.await? + &there.await?, "3there");
            yield_!(text);
            Ok(())
        }
        #[delayed]
        fn yields_sync() -> Vec<String> {
            let text = yield_!(through(String::from("abc")));
            yield_!(len(text.clone()));
            yield_!(text);
        }
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        check(yields, texts(&["abc", "3", "there", "abc"]));
        check(yields_sync, texts(&["abc", "3", "abc"]));
    }

    #[test]
    fn awaits_with_a_full_window() {
        // Each child waits for the one before, and all of them for the first.
        #[delayed]
        async fn waits(before: u64, event: Event) -> u64 {
            event.wait().await;
            before + 1
        }
        #[delayed]
        async fn yields(len: u64, event: Event) -> Result<Vec<u64>, Error> {
            let opener = event.clone();
            thread::spawn(move || {
                wait::until(|| opener.waits() != 0);
                opener.happen().into_iter().for_each(Waker::wake);
            });
            let mut last = yield_!(0);
            for i in 0..len {
                let next = yield_!(waits(last, event.clone()));
                if i % 100 == 99 {
                    assert_eq!(next.clone().await?, i + 1);
                }
                last = next;
            }
            Ok(())
        }
        check(|| yields(1000, Event::default()), (0..=1000).collect());
    }

    #[test]
    fn keeps_a_window_however_often_it_waits() {
        #[delayed]
        async fn naps(held: Counted) -> u64 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            held.check();
            1
        }
        #[delayed]
        async fn yields(census: Census, len: u64) -> Vec<u64> {
            for _ in 0..len {
                give_way().await;
                yield_!(naps(census.counted()));
                give_way().await;
            }
        }
        at_any_width(|max_workers| {
            let census = Census::new();
            let sum: u64 = run(yields(census.clone(), 20_000), max_workers).unwrap().iter().sum();
            assert_eq!(sum, 20_000);
            // Those that sleep are many, but not all.
            assert!(census.live_max() < 17_000, "{} children were in flight", census.live_max());
        });
    }

    #[test]
    fn ends_in_any_way() {
        #[delayed]
        async fn yields(census: Census, way: u32) -> Result<Vec<Counted>, String> {
            let held = census.counted();
            for i in 0..100 {
                let value = yield_!(through(census.counted()));
                if i % 3 == 0 {
                    value.await.map_err(|error| error.to_string())?.check();
                }
                yield_!(census.counted());
                held.check();
            }
            match way {
                0 => Ok(()),
                1 => Err("no luck".to_owned()),
                2 => quiet_panic("out of luck"),
                _ => {
                    yield_!(failing("no child"));
                    give_way().await;
                    Ok(())
                }
            }
        }
        at_any_width(|max_workers| {
            let census = Census::new();
            let told = |way: u32| run(yields(census.clone(), way), max_workers).map(|list| list.len());
            assert_eq!(told(0).unwrap(), 200);
            assert!(told(1).unwrap_err().to_string().ends_with("failed: no luck"));
            assert!(told(2).unwrap_err().to_string().ends_with("panicked: out of luck"));
            assert!(told(3).unwrap_err().to_string().ends_with("failed: no child"));
            drop(yields(census.clone(), 0));
            census.assert_balanced(800);
        });
    }
}
