//! Tasks with async bodies, and async generators.

use std::cell::Cell;
use std::future::{self, Future, IntoFuture};
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

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
use tokio::sync::{Barrier, mpsc, oneshot};

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
                let waker = first.first_waker();
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

    /// A future that never ends, and tells if it is dropped elsewhere than it was polled.
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
