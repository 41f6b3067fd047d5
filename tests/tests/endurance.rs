//! A long-lived service: ten million tasks through one runtime, in a thousand runs of everything there is.
//!
//! Each run is steered over the port, some are cancelled, and many fail in part. Memory, threads and file descriptors are the
//! same at the end as after warming up.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use taskgraph::{DC, Error, Runtime, all, delayed};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{self, give_way};
use taskgraph_tests::{process, size};

const RUNS: u64 = size::of(1_000, 100, 10);
/// After this many runs, everything that is kept has been allocated.
const WARM_AFTER: u64 = RUNS / 10;
const TASKS_A_RUN: u64 = 10_000;
/// The number of tasks in each of the [parts](parts) of a run.
const TASKS_A_PART: u64 = TASKS_A_RUN / 8;
/// At the start, and when it is measured.
const WORKERS: usize = 2;
/// Besides the workers: the thread of the control port, the one that drives timers, and the one that watches for stalls.
const OTHER_THREADS: u64 = 3;
/// Less than one byte a task, and 10 KiB a run. What the allocator keeps in the arenas of threads that come and go varies by as
/// much.
const GROWTH_MAX: u64 = 8 << 20;

/// Counts the bodies that have run.
#[derive(Clone, Default)]
struct Steps(Arc<AtomicU64>);

impl Steps {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[delayed]
fn one(steps: Steps) -> u64 {
    steps.count();
    1
}

/// A tree of this many calls, which return calls.
#[delayed]
fn tree(steps: Steps, tasks: u64) -> DC<u64> {
    steps.count();
    let (left, right) = ((tasks - 1) / 2, tasks / 2);
    if left == 0 {
        return if right == 0 { DC::value(1) } else { tree(steps, right) + 1 };
    }
    tree(steps.clone(), left) + tree(steps, right) + 1
}

#[delayed]
fn ones(steps: Steps, tasks: u64) -> Vec<u64> {
    for _ in 0..tasks {
        yield_!(one(steps.clone()));
    }
}

#[delayed]
fn numbers(steps: Steps) -> Vec<u64> {
    steps.count();
    vec![1; 100]
}

#[delayed]
fn first(steps: Steps, numbers: &[u64]) -> u64 {
    steps.count();
    numbers[0]
}

#[delayed]
fn fails(steps: Steps, i: u64) -> Result<u64, String> {
    steps.count();
    Err(format!("the {i}th does not work"))
}

#[delayed]
fn panics(steps: Steps) -> u64 {
    steps.count();
    quiet_panic("it gives up")
}

/// Every tenth call waits for a timer.
#[delayed]
async fn waits(steps: Steps, i: u64) -> u64 {
    if i.is_multiple_of(10) {
        tokio::time::sleep(Duration::from_micros(100)).await;
    } else {
        give_way().await;
    }
    steps.count();
    1
}

/// Runs until it is cancelled.
#[delayed]
fn endless(begun: Arc<wait::Stages>) -> Vec<u64> {
    for i in 0.. {
        begun.signal(1);
        if i % 2 == 0 {
            yield_!(DC::new(|| 1, ()));
        } else {
            yield_!(forever());
        }
    }
}

#[delayed]
async fn forever() -> u64 {
    std::future::pending().await
}

fn sum(results: DC<Vec<u64>>) -> DC<u64> {
    results.map(|results| results.iter().sum())
}

fn listed(task: impl Fn(u64) -> DC<u64>) -> DC<u64> {
    sum(all((0..TASKS_A_PART).map(task).collect::<Vec<_>>()))
}

/// 1 if it has failed.
fn failed(task: DC<u64>) -> DC<u64> {
    task.attempt().map(|result: Result<u64, Error>| u64::from(result.is_err()))
}

/// One run; its result is how many tasks went as expected.
fn parts(steps: &Steps) -> DC<u64> {
    let steps = || steps.clone();
    let shared = numbers(steps()).shared();
    let parts = [
        tree(steps(), TASKS_A_PART),
        sum(ones(steps(), TASKS_A_PART)),
        listed(|_| one(steps())),
        // The shared computation is a task, too.
        sum(all((1..TASKS_A_PART).map(|_| first(steps(), shared.clone())).collect::<Vec<_>>())) + 1,
        listed(|i| failed(fails(steps(), i))),
        listed(|_| failed(panics(steps()))),
        listed(|i| waits(steps(), i)),
        ones(steps(), TASKS_A_PART).into_stream().fold(0, |sum, one| sum + one),
    ];
    sum(all(parts))
}

/// Sends a command to the port.
fn set_max_workers(port: SocketAddr, max_workers: usize) {
    let mut stream = TcpStream::connect(port).unwrap();
    stream.write_all(format!("set_max_workers {max_workers}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, format!("setting max workers to {max_workers}\r\n"));
}

#[derive(Debug)]
struct Needs {
    bytes: u64,
    descriptors: usize,
}

/// The process's resources between two runs. Threads and connections that have ended take a moment to go.
fn needs(threads: u64, descriptors_max: Option<usize>) -> Needs {
    wait::until(|| process::threads() == threads);
    wait::until(|| descriptors_max.is_none_or(|max| process::descriptors() <= max));
    Needs { bytes: process::resident_bytes(), descriptors: process::descriptors() }
}

#[test]
fn ten_million_tasks_in_a_thousand_runs_leave_nothing_behind() {
    process::alone("ten_million_tasks_in_a_thousand_runs_leave_nothing_behind", || {
        let (threads_before, descriptors_before) = (process::threads(), process::descriptors());
        let runtime = Runtime::builder().max_workers(WORKERS).control("127.0.0.1:0".parse().unwrap());
        let runtime = runtime.build().unwrap();
        let port = runtime.control_addr().expect("a port was asked for");
        let threads = threads_before + WORKERS as u64 + OTHER_THREADS;
        let steps = Steps::default();
        let mut idle_descriptors = None;
        let mut warm = None;
        for run in 1..=RUNS {
            let max_workers = 1 + run as usize % 4;
            if run % 2 == 0 {
                set_max_workers(port, max_workers)
            } else {
                runtime.set_max_workers(max_workers).unwrap()
            }
            assert_eq!(runtime.run(parts(&steps)).unwrap(), TASKS_A_RUN);
            if run % 10 == 0 {
                cancel_one(&runtime);
            }
            if run == 1 {
                runtime.set_max_workers(WORKERS).unwrap();
                idle_descriptors = Some(needs(threads, None).descriptors);
            }
            if run % WARM_AFTER.max(1) == 0 {
                runtime.set_max_workers(WORKERS).unwrap();
                let now = needs(threads, idle_descriptors);
                println!("measured after {run} runs: {now:?}, {threads} threads");
                warm.get_or_insert(now);
            }
        }
        assert_eq!(steps.0.load(Ordering::Relaxed), RUNS * TASKS_A_RUN, "every task has run once");
        let (warm, end) = (warm.expect("it is measured ten times"), needs(threads, idle_descriptors));
        assert_eq!(end.descriptors, warm.descriptors);
        let growth = end.bytes.saturating_sub(warm.bytes);
        println!("measured {} KiB more at the end than when warm", growth >> 10);
        assert!(growth < GROWTH_MAX, "{} KiB more than when warm", growth >> 10);
        drop(runtime);
        let after = needs(threads_before, Some(descriptors_before));
        assert_eq!(after.descriptors, descriptors_before);
    });
}

/// Cancels a run in the midst of its work, and a stream that is not read to its end.
fn cancel_one(runtime: &Runtime) {
    let begun = Arc::new(wait::Stages::new());
    let run = runtime.spawn(endless(Arc::clone(&begun)));
    begun.wait_for(1);
    run.cancel();
    assert!(run.join().is_err_and(|error| error.is_cancelled()));
    let mut results = runtime.stream((0..).map(|i: u64| DC::new(|i| i, (i,))));
    assert!(results.next().expect("there is no end").is_ok());
}
