//! Streams: made while they are consumed, and only as long as they are wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use taskgraph::{DC, Error, Stream, delayed};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::{failing, run, runtime, wait};
use tokio::time::sleep;

const WORKERS: [usize; 3] = [1, 2, 4];

#[delayed]
fn square(x: u64) -> u64 {
    x * x
}

#[delayed]
fn squares(n: u64) -> Vec<u64> {
    for x in 0..n {
        yield_!(square(x));
    }
}

/// Values and computations, in turn.
#[delayed]
fn mixed(n: u64) -> Vec<u64> {
    for x in 0..n {
        if x.is_multiple_of(2) { yield_!(x * x) } else { yield_!(square(x)) }
    }
}

#[delayed]
async fn nap(ms: u64) -> u64 {
    sleep(Duration::from_millis(ms)).await;
    ms
}

/// A generator whose body has ended, and which waits for naps.
#[delayed]
fn naps(ms: Vec<u64>) -> Vec<u64> {
    for ms in ms {
        yield_!(nap(ms));
    }
}

fn collected<T: Send + 'static>(stream: Stream<T>) -> DC<Vec<T>> {
    stream.fold(Vec::new(), |mut all, item| {
        all.push(item);
        all
    })
}

#[test]
fn a_fold_has_every_item_once_and_in_order() {
    for workers in WORKERS {
        for n in [0, 1, 2, 100, 20_000] {
            let expected: Vec<_> = (0..n).map(|x| x * x).collect();
            assert_eq!(run(collected(squares(n).into_stream()), workers).unwrap(), expected);
            assert_eq!(run(collected(mixed(n).into_stream()), workers).unwrap(), expected);
            let mut completed = run(collected(squares(n).into_stream().as_completed()), workers).unwrap();
            completed.sort_unstable();
            assert_eq!(completed, expected);
        }
    }
}

#[test]
fn what_no_generator_makes_becomes_items_too() {
    for workers in WORKERS {
        let given = DC::value(vec![3, 1, 2]);
        assert_eq!(run(collected(given.into_stream()), workers).unwrap(), [3, 1, 2]);
        let mapped = squares(100).map(|squares| squares.into_iter().rev().collect::<Vec<_>>());
        assert_eq!(run(collected(mapped.into_stream()), workers).unwrap()[0], 99 * 99);
    }
}

/// A collection made from no items, since its generator feeds a stream, need not be empty.
#[test]
fn what_a_collection_adds_comes_after_the_items() {
    struct Ended(Vec<u64>);
    impl FromIterator<u64> for Ended {
        fn from_iter<I: IntoIterator<Item = u64>>(items: I) -> Self {
            Self(items.into_iter().chain([u64::MAX]).collect())
        }
    }
    impl IntoIterator for Ended {
        type Item = u64;
        type IntoIter = std::vec::IntoIter<u64>;
        fn into_iter(self) -> Self::IntoIter {
            self.0.into_iter()
        }
    }
    #[delayed]
    fn ended(n: u64) -> Ended {
        for x in 0..n {
            if x.is_multiple_of(2) { yield_!(x) } else { yield_!(DC::value(x).map(|x| x)) }
        }
    }
    for workers in WORKERS {
        for n in [0, 1, 10, 5_000] {
            let expected: Vec<_> = (0..n).chain([u64::MAX]).collect();
            assert_eq!(run(collected(ended(n).into_stream()), workers).unwrap(), expected);
            let completed = run(collected(ended(n).into_stream().as_completed()), workers).unwrap();
            assert_eq!((completed.len(), completed.last()), (expected.len(), expected.last()));
        }
    }
}

#[test]
fn a_generator_is_found_behind_names_and_other_computations() {
    let started = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&started);
    #[delayed]
    fn endless(started: Arc<AtomicU64>) -> Vec<u64> {
        for x in 0.. {
            started.fetch_add(1, Ordering::Relaxed);
            yield_!(square(x));
        }
    }
    let behind = DC::value(started).then(endless).named("squares");
    let runtime = runtime(2);
    let first: Vec<_> = runtime.stream(behind.into_stream()).take(10).map(Result::unwrap).collect();
    assert_eq!(first, (0..10).map(|x| x * x).collect::<Vec<_>>());
    drop(runtime);
    assert!(seen.load(Ordering::Relaxed) < 100_000, "it has run far ahead of its consumer");
}

#[test]
fn results_come_as_they_are_completed() {
    for workers in WORKERS {
        let naps = || naps(vec![80, 5, 40]);
        let order = run(collected(naps().into_stream().as_completed()), workers).unwrap();
        assert_eq!(order, [5, 40, 80]);
        assert_eq!(run(collected(naps().into_stream()), workers).unwrap(), [80, 5, 40]);
        let runtime = runtime(workers);
        let outside: Vec<_> = runtime.stream([80, 5, 40].map(nap)).map(Result::unwrap).collect();
        assert_eq!(outside, [5, 40, 80]);
    }
}

#[test]
fn a_failure_ends_a_stream_after_what_came_before() {
    #[delayed]
    fn broken() -> Vec<u64> {
        yield_!(1);
        yield_!(2);
        yield_!(failing("no third"));
    }
    for workers in WORKERS {
        let error = run(collected(broken().into_stream()), workers).unwrap_err();
        assert!(error.to_string().contains("no third"), "{error}");
        assert!(error.trace().iter().any(|task| task.name() == "fold"), "{error:#}");
        let runtime = runtime(workers);
        let results: Vec<_> = runtime.stream(broken().into_stream()).collect();
        let (last, before) = results.split_last().unwrap();
        assert!(last.as_ref().unwrap_err().to_string().contains("no third"));
        assert!(before.len() <= 2 && before.iter().all(Result::is_ok));
    }
}

#[test]
fn of_computations_each_fails_by_itself() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        let computations = (0..100u64).map(|x| if x.is_multiple_of(3) { failing("no") } else { DC::value(x) });
        let (good, bad): (Vec<_>, Vec<_>) = runtime.stream(computations).partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (66, 34));
    }
}

#[test]
fn a_panic_in_a_fold_is_blamed_on_it() {
    let error = run(squares(10).into_stream().fold(0u64, |_, _| panic!("too much")), 2).unwrap_err();
    assert!(error.is_panic());
    assert_eq!(error.task().unwrap().name(), "fold");
    assert_eq!(error.task().unwrap().file(), file!());
}

#[test]
fn what_consumes_may_fail_and_then_nothing_more_is_made() {
    #[delayed]
    fn counting(census: Census) -> Vec<Counted> {
        loop {
            yield_!(census.counted());
        }
    }
    let ways: [fn(Stream<Counted>) -> DC<u64>; 2] = [
        |items| items.try_fold(0, |n, _| if n < 500 { Ok(n + 1) } else { Err("disk full") }),
        |items| {
            let mut left = 500;
            let consumed = items.try_for_each(move |_| {
                left -= 1;
                if 0 < left { Ok(()) } else { Err("disk full") }
            });
            consumed.map(|()| 0)
        },
    ];
    for max_workers in [1, 4] {
        for way in ways {
            wait::ends(move || {
                let census = Census::new();
                let error = run(way(counting(census.clone()).into_stream()), max_workers).unwrap_err();
                assert!(error.to_string().ends_with("failed: disk full"), "{error}");
                assert!(error.task().unwrap().name().starts_with("try_f"));
                census.assert_balanced(500);
            });
        }
    }
    let sum = taskgraph::stream((1..=100).map(DC::value)).try_fold(0, |sum, x| Ok::<_, Error>(sum + x));
    assert_eq!(run(sum, 2).unwrap(), 5_050);
}

/// The consumer stands still; the items made meanwhile are counted.
#[test]
fn a_generator_waits_for_a_slow_consumer() {
    for workers in WORKERS {
        let made = Arc::new(AtomicU64::new(0));
        #[delayed]
        fn counted(made: Arc<AtomicU64>) -> Vec<u64> {
            for x in 0..1_000_000u64 {
                made.fetch_add(1, Ordering::Relaxed);
                if x.is_multiple_of(3) { yield_!(x) } else { yield_!(square(x)) }
            }
        }
        let runtime = runtime(workers);
        let mut results = runtime.stream(counted(Arc::clone(&made)).into_stream());
        assert_eq!(results.next().unwrap().unwrap(), 0);
        let mut before = 0;
        // It stops at some point; otherwise it would come to the end.
        while before != made.load(Ordering::Relaxed) {
            before = made.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(before < 100_000, "{before} were made for one that was taken, at {workers} workers");
        assert_eq!(results.count(), 999_999);
    }
}

#[test]
fn an_item_is_consumed_while_its_generator_still_runs() {
    for workers in WORKERS {
        let (tell, told) = mpsc::channel();
        #[delayed]
        async fn waits(seen: Arc<AtomicBool>) -> Vec<u64> {
            yield_!(1);
            while !seen.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(1)).await;
            }
            yield_!(2);
        }
        let seen = Arc::new(AtomicBool::new(false));
        let stream = waits(Arc::clone(&seen)).into_stream();
        let all = stream.for_each(move |item| {
            seen.store(true, Ordering::SeqCst);
            tell.send(item).unwrap();
        });
        run(all, workers).unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), [1, 2]);
    }
}

#[test]
fn every_value_is_dropped_once_however_a_stream_ends() {
    #[delayed]
    fn make(census: Census) -> Counted {
        census.counted()
    }
    #[delayed]
    fn many(census: Census, n: u64) -> Vec<Counted> {
        for x in 0..n {
            if x.is_multiple_of(5) { yield_!(census.counted()) } else { yield_!(make(census.clone())) }
        }
    }
    for workers in WORKERS {
        for taken in [0, 1, 50, 1_000, 2_000] {
            let census = Census::new();
            let runtime = runtime(workers);
            let results = runtime.stream(many(census.clone(), 1_000).into_stream());
            results.take(taken).for_each(|item| item.unwrap().check());
            drop(runtime);
            census.assert_balanced(0);
        }
        let census = Census::new();
        let stream = many(census.clone(), 1_000).into_stream().as_completed();
        let fails = stream.fold(0, |n, item| {
            item.check();
            assert_ne!(n, 500, "enough");
            n + 1
        });
        assert!(run(fails, workers).unwrap_err().is_panic());
        census.assert_balanced(500);
        drop(many(census.clone(), 10).into_stream());
        census.assert_balanced(500);
    }
}

/// A consumer that is slower than its producer has the next item whenever it asks.
#[test]
fn a_consumer_that_never_has_to_wait_hears_that_it_is_over() {
    #[delayed]
    fn numbers() -> Vec<u64> {
        for x in 0.. {
            yield_!(x);
        }
    }
    for workers in WORKERS {
        let runtime = runtime(workers);
        let consumed = |tell: mpsc::Sender<u64>| {
            numbers().into_stream().for_each(move |x| {
                let _ = tell.send(x);
                thread::sleep(Duration::from_micros(100));
            })
        };
        let (tell, told) = mpsc::channel();
        let cancelled = runtime.spawn(consumed(tell));
        assert!(told.iter().any(|x| x == 200));
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());

        // The attempt is not stopped itself, but what is around it is.
        let (tell, told) = mpsc::channel();
        let fails = move || if told.iter().any(|x| x == 200) { Err("enough") } else { Ok(()) };
        let both = DC::new(|_: Result<(), Error>, ()| (), (consumed(tell).attempt(), DC::<()>::new(fails, ())));
        // The one that fails blocks its worker.
        if 1 < workers {
            assert!(runtime.run(both.attempt()).unwrap().unwrap_err().to_string().contains("enough"));
        }
    }
}

#[test]
fn a_stream_is_one_of_the_futures_crate_too() {
    use futures_util::StreamExt;

    #[delayed]
    async fn sum_of_even() -> Result<u64, Error> {
        let even = squares(100).into_stream().filter_map(async |x| x.ok().filter(|x| x.is_multiple_of(2)));
        Ok(even.fold(0, async |sum, x| sum + x).await)
    }
    let expected: u64 = (0..100u64).map(|x| x * x).filter(|x| x.is_multiple_of(2)).sum();
    assert_eq!(run(sum_of_even(), 2).unwrap(), expected);
}

#[tokio::test]
async fn results_are_a_stream_for_async_code() {
    let runtime = runtime(2);
    let mut results = runtime.stream((0..1_000).map(square));
    let mut sum = 0;
    while let Some(square) = futures_util::StreamExt::next(&mut results).await {
        sum += square.unwrap();
    }
    assert_eq!(sum, (0..1_000).map(|x| x * x).sum());
}

#[test]
fn a_stream_that_is_dropped_in_the_middle_stops_what_makes_it() {
    #[delayed]
    fn endless() -> Vec<u64> {
        for x in 0.. {
            yield_!(square(x));
        }
    }
    #[delayed]
    async fn first(n: usize) -> Result<Vec<u64>, Error> {
        let mut stream = endless().into_stream();
        let mut first = Vec::new();
        while first.len() < n {
            first.push(stream.next().await.expect("it is endless")?);
        }
        Ok(first)
    }
    for workers in WORKERS {
        assert_eq!(run(first(3), workers).unwrap(), [0, 1, 4]);
        assert!(run(first(0), workers).unwrap().is_empty());
    }
}

#[test]
fn the_order_is_chosen_before_the_first_item() {
    #[delayed]
    async fn too_late() {
        let mut stream = squares(10).into_stream();
        let _ = stream.next().await;
        drop(stream.as_completed());
    }
    assert!(run(too_late(), 1).unwrap_err().to_string().contains("has begun"));
}

/// Each item is the fold of a stream of its own, some behind attempts, some awaited, and so on inwards.
#[test]
fn streams_may_be_in_streams() {
    #[delayed]
    fn sums(depth: u64) -> Vec<u64> {
        for x in 0..6 {
            let sum = || sums(depth - 1).into_stream().fold(0, |sum, x| sum + x);
            match (depth, x % 3) {
                (0, _) => yield_!(x),
                (_, 0) => yield_!(sum()),
                (_, 1) => yield_!(sum().attempt().map(Result::unwrap)),
                _ => yield_!(awaited(depth)),
            }
        }
    }
    #[delayed]
    async fn awaited(depth: u64) -> Result<u64, Error> {
        let (mut left, mut right) = (sums(depth - 1).into_stream(), sums(depth - 1).into_stream().as_completed());
        let mut sum = 0;
        while let Some(x) = left.next().await {
            sum += x?;
            right.next().await.expect("both have as many")?;
        }
        Ok(sum)
    }
    let expected = |depth: u64| 15 * 6u64.pow(depth as u32);
    for workers in WORKERS {
        assert_eq!(run(sums(3), workers).unwrap().iter().sum::<u64>(), expected(3));
    }
    for seed in 0..50 {
        let sums = taskgraph::testing::run_seeded(sums(2), seed).unwrap();
        assert_eq!(sums.iter().sum::<u64>(), expected(2), "seed {seed}");
    }
}

/// Dropped before they run, and while they run, however deep.
#[test]
fn a_deep_nest_of_streams_is_dropped_in_little_stack() {
    let nested = || {
        (0..100_000).fold(DC::value(vec![1u64]), |inner, _| {
            inner.into_stream().fold(vec![], |mut all, x| {
                all.push(x);
                all
            })
        })
    };
    let code = move || {
        drop(nested());
        assert_eq!(run(nested(), 2).unwrap(), [1]);
        let runtime = runtime(1);
        let handle = runtime.spawn(nested());
        handle.cancel();
        // It may have ended before.
        let ended = handle.join();
        assert!(ended.as_ref().is_ok_and(|all| *all == [1]) || ended.is_err_and(|error| error.is_cancelled()));
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(code).unwrap().join().unwrap();
}
