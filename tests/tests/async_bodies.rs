//! Tasks with async bodies, as the rest of a graph sees them.

use std::cell::Cell;
use std::future::{self, Future, IntoFuture};
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use taskgraph::{DC, Error, all, delayed};
use taskgraph_tests::bodies::{Event, add, at_any_width, check, later, through};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{self, Stages, give_way};
use taskgraph_tests::{failing, run, runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
    // Each level is six times the one below: four times in `middle`, whose second item is twice, and two times in
    // `plain`.
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
            let waker = first.first_waker();
            // For no reason: each may cause one more poll, and one more waker.
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
        Pinned { at: Cell::new(0), moved, started, _pinned: PhantomPinned }.await;
    }
    check_pinned(waits);
}

#[test]
fn of_a_generator_stays_where_it_is_until_it_is_dropped() {
    #[delayed]
    async fn yields(moved: Arc<AtomicBool>, started: Arc<Stages>) -> Vec<u64> {
        yield_!(1);
        Pinned { at: Cell::new(0), moved, started, _pinned: PhantomPinned }.await;
    }
    check_pinned(|moved, started| yields(moved, started).map(drop));
}

/// A future that never ends, and notes if it is dropped elsewhere than it was polled.
struct Pinned {
    at: Cell<usize>,
    moved: Arc<AtomicBool>,
    started: Arc<Stages>,
    _pinned: PhantomPinned,
}

impl Future for Pinned {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let this = self.into_ref().get_ref();
        this.at.set(std::ptr::from_ref(this).addr());
        this.started.signal(1);
        Poll::Pending
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if ![0, std::ptr::from_ref(self).addr()].contains(&self.at.get()) {
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
