//! Progress: the tasks of each function that have ended, exact for every kind of body, at any width, whatever happens.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use taskgraph::{DC, Progress, Runtime, delayed};
use taskgraph_tests::bodies::at_any_width;
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{Stages, ends, until};
use taskgraph_tests::{blocker, runtime};
use tokio::time;

/// The functions with what has ended of them: how many well, how many badly.
fn ended(progress: &Progress) -> Vec<(String, u64, u64)> {
    let functions = progress.functions().iter();
    functions.map(|function| (function.name().to_owned(), function.done(), function.failed())).collect()
}

fn counting(max_workers: usize) -> Runtime {
    Runtime::builder().max_workers(max_workers).count_tasks().no_control().build().unwrap()
}

/// What has ended, once nothing runs any more.
fn ended_at_last(runtime: &Runtime) -> Vec<(String, u64, u64)> {
    until(|| runtime.progress().functions().iter().all(|function| function.running() == 0));
    ended(&runtime.progress())
}

/// What is counted while `dc` runs, whether it fails or not.
fn counts<T: Send + 'static>(dc: DC<T>, max_workers: usize) -> Vec<(String, u64, u64)> {
    let runtime = counting(max_workers);
    let _ = runtime.run(dc);
    ended_at_last(&runtime)
}

fn check<T: Send + 'static>(make: fn() -> DC<T>, expected: &[(&str, u64, u64)]) {
    let expected = Vec::from_iter(expected.iter().map(|&(name, done, failed)| (name.to_owned(), done, failed)));
    at_any_width(move |max_workers| assert_eq!(counts(make(), max_workers), expected));
}

#[delayed]
fn value(x: u64) -> u64 {
    x
}

#[delayed]
fn sum(a: u64, b: u64) -> u64 {
    a + b
}

#[delayed]
fn fib(n: u64) -> DC<u64> {
    if n < 2 { DC::value(n) } else { sum(fib(n - 1), fib(n - 2)) }
}

#[delayed]
fn odd(x: u64) -> Result<u64, String> {
    if x % 2 == 1 { Ok(x) } else { Err(format!("{x} is even")) }
}

#[delayed]
fn panics() -> u64 {
    quiet_panic("no")
}

#[delayed]
async fn waits(x: u64) -> u64 {
    time::sleep(Duration::from_micros(x)).await;
    x
}

#[delayed]
async fn awaits(x: u64) -> Result<u64, taskgraph::Error> {
    Ok(waits(x).await? + odd(x).await?)
}

#[delayed]
fn several(n: u64) -> Vec<u64> {
    for x in 0..n {
        yield_!(value(x));
    }
}

#[delayed]
async fn several_awaited(n: u64) -> Vec<u64> {
    for x in 0..n {
        yield_!(value(waits(x)));
        time::sleep(Duration::from_micros(1)).await;
    }
}

#[delayed]
fn no_more(n: u64) -> Result<Vec<u64>, String> {
    for x in 0..n {
        yield_!(x);
    }
    Err("no more".to_owned())
}

#[test]
fn each_task_is_counted_once() {
    check(|| value(1), &[("value", 1, 0)]);
    check(|| fib(10), &[("fib", 177, 0), ("sum", 88, 0)]);
    check(|| waits(value(10)), &[("value", 1, 0), ("waits", 1, 0)]);
    check(|| awaits(1), &[("awaits", 1, 0), ("odd", 1, 0), ("waits", 1, 0)]);
    check(|| several(1_000), &[("several", 1, 0), ("value", 1_000, 0)]);
    check(|| several_awaited(100), &[("several_awaited", 1, 0), ("value", 100, 0), ("waits", 100, 0)]);
    check(|| several(value(0)).into_stream().fold(0, u64::max), &[("fold", 1, 0), ("several", 1, 0), ("value", 1, 0)]);
    check(|| taskgraph::each(0..1_000, value), &[("value", 1_000, 0)]);
    check(|| taskgraph::all((0..100).map(value)), &[("value", 100, 0)]);
    check(|| DC::value(1).map(|x| x + 1).then(value), &[("map", 1, 0), ("then", 1, 0), ("value", 1, 0)]);
    let shared = || {
        let once = value(1).shared();
        sum(once.clone(), sum(once.clone(), once))
    };
    check(shared, &[("sum", 2, 0), ("value", 1, 0)]);
}

#[test]
fn failures_are_counted_where_they_happen() {
    check(|| sum(odd(2), 1), &[("odd", 0, 1)]);
    check(|| value(panics()), &[("panics", 0, 1)]);
    check(|| awaits(2), &[("awaits", 0, 1), ("odd", 0, 1), ("waits", 1, 0)]);
    check(|| no_more(10), &[("no_more", 0, 1)]);
    check(|| taskgraph::all((0..100).map(|x| odd(x).attempt())), &[("odd", 50, 50)]);
}

static TRIES: AtomicU64 = AtomicU64::new(0);

#[delayed(retries = 4, backoff = "1us..1us", timeout = "600s")]
fn third_time(x: u64) -> Result<u64, String> {
    if TRIES.fetch_add(1, Ordering::Relaxed) % 3 == 2 { Ok(x) } else { Err("not yet".to_owned()) }
}

#[delayed(priority = 3, limit = 2, name = "a page")]
fn ranked(x: u64) -> u64 {
    x
}

#[test]
fn tasks_with_options_are_counted_by_try() {
    check(|| value(third_time(value(1))), &[("third_time", 1, 2), ("value", 2, 0)]);
    check(|| taskgraph::all((0..50).map(|x| ranked(value(x)))), &[("ranked", 50, 0), ("value", 50, 0)]);
}

#[test]
fn what_is_cancelled_is_not_counted() {
    ends(|| {
        let (runtime, stages) = (counting(1), Arc::new(Stages::new()));
        let run = runtime.spawn(taskgraph::all((0..100).map(value)).zip(blocker(&stages)).then(|_| fib(3)));
        stages.wait_for(1);
        run.cancel();
        stages.signal(2);
        assert!(run.join().unwrap_err().is_cancelled());
        let names = Vec::from_iter(ended(&runtime.progress()).into_iter().map(|(name, ..)| name));
        assert!(names.iter().all(|name| ["value", "closure"].contains(&name.as_str())), "{names:?}");
    });
}

#[test]
fn a_function_is_shown_with_its_place_and_its_name() {
    let runtime = counting(1);
    runtime.run(value(ranked(1))).unwrap();
    ended_at_last(&runtime);
    let progress = runtime.progress();
    let [ranked, value] = progress.functions() else { panic!("{progress}") };
    assert_eq!((ranked.label(), value.label()), (Some("a page"), None));
    let (file, line) = value.place().unwrap();
    let source = include_str!("progress.rs");
    assert!(file.ends_with("progress.rs"));
    assert!(source.lines().nth(line as usize - 1).unwrap().contains("fn value"), "line {line}");
    assert_eq!(value.to_string(), format!("value ({file}:{line})  1 done, 0 failed, 0 running"));
    assert!(progress.to_string().contains(&format!("\n{value}, ")), "{progress}");
}

#[test]
fn what_runs_now_is_shown() {
    ends(|| {
        let (runtime, stages) = (counting(2), Arc::new(Stages::new()));
        let run = runtime.spawn(blocker(&stages));
        stages.wait_for(1);
        let progress = runtime.progress();
        let running = progress.functions().iter().map(|function| (function.done(), function.running()));
        assert_eq!(Vec::from_iter(running), [(0, 1)], "{progress}");
        stages.signal(2);
        run.join().unwrap();
    });
}

#[test]
fn nothing_is_counted_before_somebody_asks() {
    let runtime = runtime(2);
    runtime.run(fib(10)).unwrap();
    let progress = runtime.progress();
    assert_eq!(progress.counted_for(), Duration::ZERO);
    assert!(progress.functions().iter().all(|function| function.done() + function.failed() == 0), "{progress}");
    runtime.run(fib(10)).unwrap();
    assert!(Duration::ZERO < runtime.progress().counted_for());
    assert_eq!(ended_at_last(&runtime), [("fib".to_owned(), 177, 0), ("sum".to_owned(), 88, 0)]);
}

/// One round after the other until there are enough of them.
#[delayed]
fn rounds(is_enough: Arc<AtomicBool>, n: u64) -> DC<u64> {
    if is_enough.load(Ordering::Relaxed) { DC::value(n) } else { rounds(is_enough, sum(n, 1)) }
}

#[test]
fn workers_that_are_under_way_begin_to_count() {
    ends(|| {
        let (runtime, is_enough) = (runtime(2), Arc::new(AtomicBool::new(false)));
        let run = runtime.spawn(rounds(Arc::clone(&is_enough), 0));
        runtime.progress();
        let counted = || ended(&runtime.progress()).iter().map(|(_, done, _)| done).sum::<u64>();
        until(|| 1_000 < counted());
        is_enough.store(true, Ordering::Relaxed);
        let n = run.join().unwrap();
        assert!(counted() <= 2 * n + 1, "each round is one task of each function");
    });
}

/// Between bodies there may be nothing at hand.
#[test]
fn workers_with_long_bodies_begin_to_count_before_long() {
    #[delayed]
    fn slow(begun: Arc<AtomicU64>) {
        begun.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
    ends(|| {
        let (runtime, begun) = (runtime(1), Arc::new(AtomicU64::new(0)));
        let new = Arc::clone(&begun);
        let run = runtime.spawn(taskgraph::each(0..1_000_000, move |_| slow(Arc::clone(&new))));
        until(|| 20 < begun.load(Ordering::Relaxed));
        runtime.progress();
        let before = begun.load(Ordering::Relaxed);
        until(|| ended(&runtime.progress()).iter().any(|(_, done, _)| 0 < *done));
        let now = begun.load(Ordering::Relaxed);
        let [done] = ended(&runtime.progress()).iter().map(|(_, done, _)| *done).collect::<Vec<_>>()[..] else {
            panic!()
        };
        let missed = (now - before).saturating_sub(done);
        assert!(missed < 10, "{missed} bodies were not counted");
        run.cancel();
    });
}

#[test]
fn nothing_is_missed_while_workers_come_and_go() {
    ends(|| {
        let runtime = counting(4);
        let run = runtime.spawn(fib(20));
        for max_workers in [1, 100, 3, 70, 2, 5].into_iter().cycle() {
            if run.is_finished() {
                break;
            }
            runtime.set_max_workers(max_workers).unwrap();
            thread::sleep(Duration::from_micros(100));
            let progress = ended(&runtime.progress());
            assert!(progress.iter().all(|(_, done, _)| *done <= 21_891), "{progress:?}");
        }
        run.join().unwrap();
        assert_eq!(ended_at_last(&runtime), [("fib".to_owned(), 21_891, 0), ("sum".to_owned(), 10_945, 0)]);
    });
}

#[test]
fn runs_inside_tasks_are_counted_too() {
    ends(|| {
        let runtime = Arc::new(counting(1));
        let inner = Arc::clone(&runtime);
        let outer: DC<u64> = DC::new(move || inner.run(fib(3)), ());
        runtime.run(taskgraph::all([outer.map(drop), fib(3).map(drop)])).unwrap();
        let ended = ended_at_last(&runtime);
        let fibs = ended.iter().find(|(name, ..)| name == "fib");
        assert_eq!(fibs, Some(&("fib".to_owned(), 10, 0)));
    });
}

#[test]
fn the_port_tells_progress() {
    ends(|| {
        let any_port = "127.0.0.1:0".parse().unwrap();
        let runtime = Runtime::builder().max_workers(2).control(any_port).build().unwrap();
        let mut client = BufReader::new(TcpStream::connect(runtime.control_addr().unwrap()).unwrap());
        let mut say = |line: &str, answers: usize| {
            client.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
            Vec::from_iter((0..answers).map(|_| {
                let mut answer = String::new();
                client.read_line(&mut answer).unwrap();
                answer.trim_end().to_owned()
            }))
        };
        assert_eq!(say("progress", 1), ["tasks are counted from now on, ask again"]);
        assert_eq!(say("progress", 2)[1], "no task has ended yet");
        runtime.run(fib(10)).unwrap();
        assert_eq!(ended_at_last(&runtime), [("fib".to_owned(), 177, 0), ("sum".to_owned(), 88, 0)]);
        let answer = say("progress", 3);
        assert!(answer[0].starts_with("counted for ") && answer[0].ends_with(" s:"), "{answer:?}");
        for (line, function) in answer[1..].iter().zip(runtime.progress().functions()) {
            assert!(line.starts_with(&format!("{function}, ")) && line.ends_with("/s"), "{line}");
        }
    });
}
