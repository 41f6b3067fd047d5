//! One work of a given size, on one worker and without a control port: what `tests/instructions.rs` counts.
//!
//! The tasks do next to nothing, and the answers have formulas, so that what is counted is this library.

use std::env;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use taskgraph::{DC, Error, Runtime, Shared, all, delayed, each};
use taskgraph_tests::runtime;

fn main() {
    let mut args = env::args().skip(1);
    let (Some(work), Some(size)) = (args.next(), args.next()) else { panic!("usage: nodes WORK SIZE") };
    let n: u64 = size.parse().expect("a size is a number");
    let (answer, expected) = match work.as_str() {
        "fib" => (run(fib(n)), (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0),
        "fib-counted" => (run_counted(fib(n)), (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0),
        "fan-list" => (run(all((0..n).map(trivial)).map(sum)), n * (n - 1) / 2),
        "fan-each" => (run(each(0..n, trivial).map(sum)), n * (n - 1) / 2),
        "fan-generator" => (run(generated(n).map(sum)), n * (n - 1) / 2),
        "chain" => (run((0..n).fold(trivial(0), |before, _| link(before))), n),
        "grow" => (run(grow(n, 0)), n),
        "wave" => (run(wave(n)), 2 * n - 1),
        "async" => (run(each(0..n, asynchronous).map(sum)), n * (n - 1) / 2),
        "await" => (run(awaited(n)), n * (n - 1) / 2),
        "stream" => (run(generated(n).into_stream().fold(0, |sum, x| sum + x)), n * (n - 1) / 2),
        "start" => (start(n), n * (n - 1) / 2),
        "rescale" => (rescale(n), n),
        _ => panic!("there is no work {work}"),
    };
    assert_eq!(answer, expected, "{work} {n}");
}

fn run(work: DC<u64>) -> u64 {
    runtime(1).run(work).expect("no task fails")
}

/// While tasks are counted by function.
fn run_counted(work: DC<u64>) -> u64 {
    let runtime = Runtime::builder().max_workers(1).count_tasks().no_control().build().expect("a runtime can be built");
    runtime.run(work).expect("no task fails")
}

#[delayed]
fn trivial(i: u64) -> u64 {
    i
}

fn sum(results: Vec<u64>) -> u64 {
    results.into_iter().sum()
}

#[delayed]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[delayed]
fn fib(n: u64) -> DC<u64> {
    if n < 2 { DC::value(n) } else { add(fib(n - 1), fib(n - 2)) }
}

#[delayed]
fn generated(n: u64) -> Vec<u64> {
    for i in 0..n {
        yield_!(trivial(i));
    }
}

#[delayed]
fn link(before: u64) -> u64 {
    before + 1
}

#[delayed]
fn grow(left: u64, before: u64) -> DC<u64> {
    if left == 0 { DC::value(before) } else { grow(left - 1, before + 1) }
}

/// The longest way to a cell of a square.
#[delayed]
fn cell(up: u64, left: u64) -> u64 {
    up.max(left) + 1
}

fn wave(side: u64) -> DC<u64> {
    let mut above: Vec<Shared<u64>> = (0..side).map(DC::value).map(DC::shared).collect();
    for row in 0..side {
        let mut left = DC::value(row).shared();
        for up in &mut above {
            left = cell(up.clone(), left).shared();
            *up = left.clone();
        }
    }
    let last = above.pop().expect("a side is not 0");
    DC::new(|last: u64| last, (last,))
}

#[delayed]
async fn asynchronous(i: u64) -> u64 {
    i
}

#[delayed]
async fn awaited(n: u64) -> Result<u64, Error> {
    let mut sum = 0;
    for i in 0..n {
        sum += trivial(i).await?;
    }
    Ok(sum)
}

/// Runs one after the other, each asked for by a thread that is not a worker. It sleeps until it is woken: how often a thread
/// in `join` looks for its result before it sleeps is chance.
fn start(runs: u64) -> u64 {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let runtime = runtime(1);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let run = |i| {
        let mut handle = pin!(runtime.spawn(trivial(i)));
        loop {
            match handle.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result.expect("no task fails"),
                Poll::Pending => thread::park(),
            }
        }
    };
    (0..runs).map(run).sum()
}

/// Changes the number of workers while there is nothing to do.
fn rescale(times: u64) -> u64 {
    let runtime = runtime(1);
    let changed = (0..times).filter(|i| {
        let max_workers = 2 - *i as usize % 2;
        runtime.set_max_workers(max_workers).expect("two threads can be started");
        runtime.max_workers() == max_workers
    });
    changed.count() as u64
}
