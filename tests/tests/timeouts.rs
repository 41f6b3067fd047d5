//! Timeouts: of a computation, of a function's body and what it makes, and of a whole run.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use taskgraph::testing::run_seeded;
use taskgraph::{DC, Error, delayed, is_cancelled};
use taskgraph_tests::bodies::at_any_width;
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{asking, failing, log, process, run, runtime};
use tokio::time;

const SOON: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

#[delayed]
async fn pending() -> u64 {
    std::future::pending().await
}

/// Waits this long, by the clock of the runtime around it.
#[delayed]
async fn wait(seconds: u64) -> u64 {
    time::sleep(Duration::from_secs(seconds)).await;
    seconds
}

#[delayed]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// Holds its worker until it finds that nobody wants it any more.
#[delayed]
fn busy() -> u64 {
    while !is_cancelled() {
        thread::yield_now();
    }
    7
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_time_of_a_function_is_that_of_its_body_and_of_what_comes_of_it() {
    #[delayed(timeout = "10s")]
    fn returning(x: u64) -> DC<u64> {
        wait(x)
    }
    #[delayed(timeout = "10s")]
    fn yielding(x: u64) -> Vec<u64> {
        yield_!(wait(x));
        yield_!(wait(1));
    }
    #[delayed(timeout = "10s")]
    async fn awaiting(x: u64) -> Result<u64, Error> {
        Ok(wait(x / 2).await? + wait(x - x / 2).await?)
    }
    #[delayed(timeout = "10s")]
    async fn sleeping(x: u64) -> u64 {
        time::sleep(seconds(x)).await;
        x
    }
    for seed in 0..20 {
        let all =
            |x: u64| [returning(wait(x)), yielding(wait(x)).map(|all| all[0]), awaiting(wait(x)), sleeping(wait(x))];
        for in_time in all(9) {
            // The argument takes as long again, but does not count.
            assert_eq!(run_seeded(in_time, seed).unwrap(), 9);
        }
        for (late, name) in all(11).into_iter().zip(["returning", "yielding", "awaiting", "sleeping"]) {
            let error = run_seeded(late, seed).unwrap_err();
            assert!(error.is_timeout());
            let task = error.task().unwrap();
            assert_eq!((task.name(), task.file()), (name, file!()));
            let text = format!("task {task} timed out after 10s; its timeout is 10s");
            assert!(
                error.to_string() == text || error.to_string() == text.replace("after 10s", "after 10.001s"),
                "{error}"
            );
        }
    }
}

#[test]
fn the_time_of_a_computation_includes_its_arguments() {
    for seed in 0..20 {
        assert_eq!(run_seeded(add(wait(5), wait(6)).timeout(seconds(7)), seed).unwrap(), 11);
        let error = run_seeded(add(1, add(wait(5), wait(8))).timeout(seconds(7)), seed).unwrap_err();
        assert_eq!(error.task().unwrap().name(), "add");
        // Time does not start when it is made, but when it starts.
        let after = wait(100).then(|_| wait(5).timeout(seconds(7)));
        assert_eq!(run_seeded(after, seed).unwrap(), 5);
    }
}

#[test]
fn a_limited_functions_time_starts_with_its_first_turn_and_goes_on_without_it() {
    #[delayed(limit = 1, timeout = "10s")]
    async fn in_turn(x: u64) -> u64 {
        time::sleep(seconds(x)).await;
        x
    }
    #[delayed(limit = 1, timeout = "10s")]
    async fn gives_way(x: u64) -> Result<u64, Error> {
        wait(x).await
    }
    for seed in 0..20 {
        let all = taskgraph::all((0..20).map(|_| in_turn(9)));
        assert_eq!(run_seeded(all, seed).unwrap(), [9; 20]);
        let error = run_seeded(taskgraph::all([in_turn(9), in_turn(11)]), seed).unwrap_err();
        assert!(error.is_timeout());
        assert!(run_seeded(gives_way(11), seed).unwrap_err().is_timeout());
        assert_eq!(run_seeded(taskgraph::all((0..5).map(|_| gives_way(9))), seed).unwrap(), [9; 5]);
    }
}

#[test]
fn a_timeout_names_the_computation_by_function_call_and_label() {
    let line = line!();
    let late = [
        pending().timeout(SOON),
        pending().named("slow").timeout(SOON),
        pending().timeout(SOON).named("slow"),
        pending().named("fast").timeout(SOON).named("slow"),
        pending().priority(3).timeout(SOON),
        pending().named("slow").timeout(LONG).timeout(SOON),
    ];
    for (i, late) in late.into_iter().enumerate() {
        let error = run(late, 1).unwrap_err();
        assert!(error.is_timeout() && !error.is_cancelled() && !error.is_panic());
        let task = error.task().unwrap();
        let label = [None, Some("slow"), Some("slow"), Some("slow"), None, None][i];
        let name = if i == 5 { "timeout" } else { "pending" }; // as whoever wrote two of them finds it
        assert_eq!((task.name(), task.label()), (name, label), "{error}, number {i}");
        assert_eq!((task.file(), task.line()), (file!(), line + 2 + i as u32));
        assert!(error.trace().is_empty(), "{error:#}");
    }
    // A computation without a name of its own is called by its kind.
    let error = run(taskgraph::all([pending(), pending()]).timeout(SOON), 1).unwrap_err();
    assert_eq!(error.task().unwrap().line(), line!() - 1);
    assert!(error.to_string().contains("timed out after"), "{error}");
}

#[test]
fn the_tasks_that_needed_what_timed_out_are_told() {
    #[delayed(timeout = "5ms")]
    async fn slow() -> u64 {
        std::future::pending().await
    }
    #[delayed(timeout = "1h", retries = 1, backoff = "1ms..1ms")]
    fn outer(x: u64) -> u64 {
        x
    }
    #[delayed]
    async fn awaits() -> Result<u64, Error> {
        slow().await
    }
    #[track_caller]
    fn check(late: DC<u64>, names: &[&str]) {
        let error = run(late, 2).unwrap_err();
        assert!(error.is_timeout());
        let told: Vec<_> = error.task().into_iter().chain(error.trace()).map(|task| task.name()).collect();
        assert_eq!(told, names, "{error:#}");
        assert_eq!(format!("{error:#}").matches("needed by").count(), names.len() - 1);
    }
    check(slow(), &["slow"]);
    check(add(outer(add(slow(), 1)), 1), &["slow", "add", "outer", "add"]);
    check(add(pending().timeout(SOON), 1).map(|x| x), &["pending", "add", "map"]);
    check(add(awaits(), 1), &["slow", "awaits", "add"]);
    check(add(slow(), 1).timeout(LONG), &["slow", "add"]);
    check(add(add(slow(), 1).timeout(LONG).timeout(LONG), 2).named("sum").timeout(LONG), &["slow", "add", "add"]);
}

#[test]
fn another_failure_passes_through_as_it_is() {
    #[delayed(timeout = "1h")]
    fn timed(text: &str) -> Result<u64, std::num::ParseIntError> {
        text.parse()
    }
    let plain = run(add(failing("no"), 1).map(|x| x), 1).unwrap_err();
    let through = run(add(failing("no"), 1).timeout(LONG).map(|x| x), 1).unwrap_err();
    let lines = |error: &Error| {
        format!("{error:#}").lines().map(|line| line.split(" (").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&plain), lines(&through));
    let error = run(add(timed("x"), 1), 1).unwrap_err();
    assert!(error.downcast_ref::<std::num::ParseIntError>().is_some() && !error.is_timeout());
    assert!(error.attempts().is_empty(), "it was not tried again");
    assert_eq!(error.trace().len(), 1, "{error:#}");
    let panics = DC::<u64>::new(|| -> u64 { panic!("by purpose") }, ()).timeout(LONG);
    assert!(run(panics, 1).unwrap_err().is_panic());
    let slow = DC::<u64>::new(|| -> io::Result<u64> { Err(io::ErrorKind::TimedOut.into()) }, ()).timeout(LONG);
    let error = run(slow, 1).unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("failed: "), "{error}");
}

#[test]
fn others_go_on_while_a_late_body_still_runs_and_its_result_is_dropped() {
    let (census, stages) = (Census::new(), Arc::new(Stages::new()));
    #[delayed]
    fn stubborn(census: Census, stages: Arc<Stages>) -> Counted {
        stages.wait_for(1);
        assert!(is_cancelled());
        census.counted()
    }
    let fallback = {
        let stages = Arc::clone(&stages);
        move |result: Result<Counted, Error>| {
            assert!(result.is_err_and(|error| error.is_timeout()));
            stages.signal(1); // only now does the body go on
            42
        }
    };
    let late = stubborn(census.clone(), stages).timeout(SOON).attempt().map(fallback);
    assert_eq!(wait::ends(move || run(late, 2)).unwrap(), 42);
    census.assert_balanced(1);
}

/// A process has one log.
#[test]
fn a_late_body_is_told_in_the_log() {
    process::alone("a_late_body_is_told_in_the_log", || {
        let lines = log::told_by_all();
        for max_workers in [1, 2] {
            let late = DC::new(|| thread::sleep(Duration::from_millis(200)), ()).named("sleepy").timeout(SOON);
            let started = Instant::now();
            assert!(run(late, max_workers).unwrap_err().is_timeout());
            assert!(Duration::from_millis(200) <= started.elapsed(), "the run does not end before its bodies");
            let lines = std::mem::take(&mut *lines.lock().unwrap());
            let [line] = lines.as_slice() else { panic!("{lines:?}") };
            assert!(line.starts_with("WARN `closure` \"sleepy\" (tests/tests/timeouts.rs:"), "{line}");
            assert!(line.contains(" after its timeout of 5ms; its result was dropped"), "{line}");
        }
        assert!(run(pending().timeout(SOON), 1).unwrap_err().is_timeout());
        assert!(lines.lock().unwrap().is_empty(), "what ends at once was not late");
    });
}

/// However it is reached: with one worker, only the timer can stop it.
#[test]
fn a_late_body_finds_out_even_on_the_only_worker() {
    #[delayed]
    async fn awaits() -> Result<u64, Error> {
        busy().await
    }
    #[delayed]
    async fn awaits_deeply(depth: u32) -> Result<u64, Error> {
        if depth == 0 { busy().await } else { awaits_deeply(depth - 1).await }
    }
    #[delayed(timeout = "1h", retries = 3)]
    fn timed() -> DC<u64> {
        busy()
    }
    #[delayed]
    fn yields() -> Vec<u64> {
        yield_!(busy());
        while !is_cancelled() {}
    }
    #[delayed(limit = 1)]
    fn limited() -> u64 {
        while !is_cancelled() {}
        1
    }
    let ways: [fn() -> DC<u64>; 12] = [
        || busy(),
        || add(busy(), 1),
        || awaits(),
        || awaits_deeply(50),
        || timed(),
        || yields().map(|all| all.len() as u64),
        || limited(),
        || busy().timeout(LONG).timeout(LONG),
        || busy().attempt().map(|_| 0),
        || awaits().attempt().map(|_| 0),
        || awaits().shared().dc(),
        || busy().timeout(LONG).shared().dc().timeout(LONG).attempt().map(|_| 0),
    ];
    for (i, way) in ways.into_iter().enumerate() {
        at_any_width(move |max_workers| {
            let error = run(way().timeout(SOON), max_workers).unwrap_err();
            assert!(error.is_timeout(), "way {i}: {error:#}");
            let runtime = runtime(max_workers);
            let handle = runtime.spawn(way()).deadline(Instant::now() + SOON);
            let error = handle.join().unwrap_err();
            assert!(error.is_timeout(), "way {i}: {error:#}");
            let handle = runtime.spawn(way());
            thread::sleep(SOON);
            handle.cancel();
            assert!(handle.join().is_err_and(|error| error.is_cancelled()), "way {i}");
        });
    }
}

#[test]
fn what_others_need_too_goes_on() {
    for seed in 0..100 {
        let shared = wait(20).shared();
        let [a, b, c] = [(); 3].map(|()| shared.clone());
        let late = a.dc().timeout(seconds(10)).attempt().map(|result| u64::from(result.is_err_and(|e| e.is_timeout())));
        let sum = DC::new(|a: u64, b: u64, c: u64| (a, b, c), (late, b, c.dc().timeout(seconds(30))));
        assert_eq!(run_seeded(sum, seed).unwrap(), (1, 20, 20), "with the seed {seed}");
    }
    // The one that asked first, and so has started it, is the one that leaves.
    #[delayed]
    fn looks(stages: Arc<Stages>) -> bool {
        stages.signal(1);
        stages.wait_for(2);
        !is_cancelled()
    }
    let stages = Arc::new(Stages::new());
    let shared = looks(Arc::clone(&stages)).shared();
    let (left, stays) = (runtime(2), runtime(1));
    let (timed_out, has_timed_out) = channel();
    let in_time = shared.dc().timeout(Duration::from_secs(3)).attempt();
    let first = left.spawn(in_time.map(move |result| timed_out.send(result.is_err()).unwrap()));
    stages.wait_for(1);
    let (second, asked) = asking(shared);
    let second = stays.spawn(second);
    asked();
    assert!(has_timed_out.recv().unwrap());
    stages.signal(2);
    first.join().unwrap();
    assert!(second.join().unwrap(), "the body is wanted");
}

#[test]
fn a_shared_result_that_timed_out_has_for_all_who_need_it() {
    for seed in 0..50 {
        let shared = wait(20).timeout(seconds(10)).shared();
        let [a, b] = [shared.dc().map(|x| x), add(shared, 1)].map(DC::attempt);
        let (a, b) = run_seeded(DC::new(|a: Result<u64, Error>, b: Result<u64, Error>| (a, b), (a, b)), seed).unwrap();
        for error in [a.unwrap_err(), b.unwrap_err()] {
            assert!(error.is_timeout());
            assert_eq!((error.task().unwrap().name(), error.trace().last().is_some()), ("wait", true), "{error:#}");
        }
    }
}

#[test]
fn the_innermost_time_that_is_up_is_told() {
    for seed in 0..50 {
        for (inner, outer, told) in [(10, 20, 10), (20, 10, 10)] {
            let error = run_seeded(wait(30).timeout(seconds(inner)).timeout(seconds(outer)), seed).unwrap_err();
            assert!(error.to_string().ends_with(&format!("; its timeout is {told}s")), "{error}");
            let tried =
                wait(30).timeout(seconds(inner)).attempt().map(|result| result.is_err()).timeout(seconds(outer));
            match run_seeded(tried, seed) {
                Ok(is_err) => assert!(is_err && inner < outer),
                Err(error) => assert!(error.is_timeout() && outer < inner, "{error:#}"),
            }
        }
    }
}

#[test]
fn what_a_generator_yields_and_a_stream_makes_may_time_out() {
    #[delayed]
    fn some(n: u64, late: u64) -> Vec<u64> {
        for x in 0..n {
            let one = if x == late { wait(20) } else { wait(1) };
            yield_!(one.timeout(seconds(10)).attempt().map(|result| result.unwrap_or(7)));
        }
    }
    #[delayed]
    fn endless() -> Vec<u64> {
        loop {
            yield_!(wait(1));
        }
    }
    for seed in 0..10 {
        let mut expected = vec![1; 50];
        expected[30] = 7;
        assert_eq!(run_seeded(some(50, 30), seed).unwrap(), expected);
        assert_eq!(run_seeded(some(50, 30).into_stream().fold(0, |a, b| a + b), seed).unwrap(), 56);
    }
    at_any_width(|max_workers| {
        let stream = || DC::new(|x: u64| x, (1,)).then(|_| endless().into_stream().fold(0, |a, _| a));
        assert!(run(stream().timeout(SOON), max_workers).unwrap_err().is_timeout());
        assert!(run(endless().timeout(SOON), max_workers).unwrap_err().is_timeout());
    });
}

#[test]
fn a_body_may_await_what_has_a_timeout() {
    #[delayed]
    async fn first_in_time(census: Census) -> Result<u64, Error> {
        let late = wait(20).timeout(seconds(10)).await.unwrap_err();
        assert!(late.is_timeout() && late.trace().is_empty(), "{late:#}");
        let (a, b) = taskgraph::join!(wait(5).timeout(seconds(10)), holds(census).timeout(seconds(10)));
        assert!(b.is_err());
        Ok(a? + wait(5).timeout(LONG).await?)
    }
    #[delayed]
    async fn holds(census: Census) {
        let _held = census.counted();
        std::future::pending().await
    }
    for seed in 0..50 {
        let census = Census::new();
        assert_eq!(run_seeded(first_in_time(census.clone()), seed).unwrap(), 10);
        census.assert_balanced(1);
    }
}

async fn awaited_in_tokio() {
    let runtime = runtime(2);
    let error = runtime.run_async(pending().timeout(SOON)).await.unwrap_err();
    assert!(error.is_timeout());
    let both = add(pending().timeout(SOON).attempt().map(|result| u64::from(result.is_err())), 1);
    assert_eq!(taskgraph::run_async(both, 1).await.unwrap(), 2);
    // The body keeps its thread, not that of the one that awaits.
    let late = busy().timeout(SOON);
    assert!(runtime.run_async(late).await.unwrap_err().is_timeout());
    assert!(runtime.spawn(pending()).deadline(Instant::now() + SOON).await.unwrap_err().is_timeout());
}

#[test]
fn timeouts_are_told_within_tokio() {
    wait::ends(|| {
        for mut builder in [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()]
        {
            builder.enable_all().build().unwrap().block_on(awaited_in_tokio());
        }
    });
}

#[test]
fn a_runtime_of_tokio_that_ends_ends_no_time_early() {
    let census = Census::new();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = runtime(2);
    let (started, is_started) = std::sync::mpsc::channel();
    let held = census.counted();
    let body = move || {
        held.check();
        started.send(()).unwrap();
        while !is_cancelled() {}
        held
    };
    let run = runtime.run_async(DC::new(body, ()).timeout(LONG).map(drop));
    let awaiting = tokio.spawn(run);
    is_started.recv().unwrap();
    tokio.shutdown_background();
    wait::ends(move || drop(runtime));
    wait::until(|| awaiting.is_finished());
    census.assert_balanced(1);
}

/// A run may be awaited from within one tokio runtime first, and from within another one after that has ended.
#[test]
fn time_goes_on_when_the_runtime_of_tokio_ends() {
    wait::ends(|| {
        let runtime = runtime(1);
        let tokio = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let first = tokio();
        let mut run = Box::pin(runtime.run_async(pending().timeout(Duration::from_secs(2))));
        let early = first.block_on(async { tokio::time::timeout(Duration::from_millis(10), run.as_mut()).await });
        assert!(early.is_err());
        drop(first);
        assert!(tokio().block_on(run).unwrap_err().is_timeout());
    });
}

#[test]
fn what_starts_after_the_end_of_the_runtime_of_tokio_has_time_too() {
    #[delayed]
    async fn is_late(result: Result<u64, Error>) -> bool {
        time::sleep(SOON).await;
        result.is_err_and(|error| error.is_timeout())
    }
    wait::ends(|| {
        let (runtime, stages) = (runtime(1), Arc::new(Stages::new()));
        let gate = Arc::clone(&stages);
        let holds_the_worker = runtime.spawn(DC::new(
            move || {
                gate.signal(1);
                gate.wait_for(2);
            },
            (),
        ));
        stages.wait_for(1);
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut run = Box::pin(runtime.run_async(is_late(pending().timeout(SOON).attempt())));
        tokio.block_on(async { assert!(run.as_mut().now_or_never().is_none()) });
        drop(tokio);
        stages.signal(2);
        holds_the_worker.join().unwrap();
        assert!(wait::block_on(run).unwrap());
    });
}

#[test]
fn a_result_and_its_timeout_race_and_nothing_is_lost() {
    let census = Census::new();
    let (in_time, late) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let at_once = {
        let census = census.clone();
        move |i: u64| {
            let census = census.clone();
            let body = move || {
                let until = Instant::now() + Duration::from_micros(1000 + i % 200 * 10);
                while Instant::now() < until && (i.is_multiple_of(3) || !is_cancelled()) {}
                census.counted()
            };
            DC::new(body, ()).timeout(Duration::from_millis(1)).attempt()
        }
    };
    let all = taskgraph::all((0..1000).map(at_once));
    let (counted, lost) = (Arc::clone(&in_time), Arc::clone(&late));
    let count = move |results: Vec<Result<Counted, Error>>| {
        for result in &results {
            match result {
                Ok(value) => {
                    value.check();
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    assert!(error.is_timeout(), "{error:#}");
                    lost.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    };
    let scaled = all.map(count);
    wait::ends(move || {
        let runtime = runtime(2);
        let handle = runtime.spawn(scaled);
        let mut width = 0;
        while !handle.is_finished() {
            width += 1;
            runtime.set_max_workers(1 + width % 4).unwrap();
            thread::sleep(Duration::from_millis(3));
        }
        handle.join().unwrap();
    });
    assert_eq!(in_time.load(Ordering::SeqCst) + late.load(Ordering::SeqCst), 1000);
    assert_eq!(census.live(), 0);
}

#[test]
fn a_large_graph_is_given_up_when_its_time_is_up() {
    #[delayed]
    fn step(x: u64) -> u64 {
        thread::sleep(Duration::from_micros(if x == 0 { 50_000 } else { 0 }));
        x
    }
    for max_workers in [1, 2] {
        let census = Census::new();
        let chain = (0..300_000).fold(step(0), |before, x| add(before, x));
        let wide = taskgraph::all((0..300_000).map(step)).map(|all| all.len() as u64);
        let held = census.counted();
        let all = DC::new(move |a: u64, b: u64| (a + b, drop(held)).0, (chain, wide));
        let error = wait::ends(move || run(all.timeout(Duration::from_millis(10)), max_workers)).unwrap_err();
        assert!(error.is_timeout());
        census.assert_balanced(1);
    }
}

#[test]
fn any_duration_will_do() {
    at_any_width(|max_workers| {
        let long = [Duration::MAX, Duration::from_secs(u64::MAX), seconds(1000 * 365 * 24 * 3600), LONG];
        for limit in long {
            assert_eq!(run(add(1, 2).timeout(limit), max_workers).unwrap(), 3);
            assert_eq!(runtime(max_workers).spawn(add(1, 2)).deadline(Instant::now() + LONG).join().unwrap(), 3);
        }
        for short in [Duration::ZERO, Duration::from_nanos(1)] {
            assert!(run(pending().timeout(short), max_workers).unwrap_err().is_timeout());
            assert!(runtime(max_workers).spawn(pending()).deadline(Instant::now()).join().unwrap_err().is_timeout());
        }
        // A plain value need not be waited for; whether it is in time is a matter of luck.
        let _ = run(DC::value(1).timeout(Duration::ZERO), max_workers);
    });
    for seed in 0..10 {
        assert_eq!(run_seeded(wait(100).timeout(Duration::MAX), seed).unwrap(), 100);
        let century = seconds(99 * 365 * 24 * 3600);
        assert!(run_seeded(pending().timeout(century), seed).unwrap_err().is_timeout());
    }
}

#[test]
fn a_runtime_may_be_dropped_while_time_passes() {
    for max_workers in [1, 2] {
        for i in 0..20 {
            let census = Census::new();
            let body = |held: Counted| {
                DC::new(move || (0..1000).take_while(|_| !is_cancelled()).map(|_| held.check()).count(), ())
            };
            let all = (0..20).map(|_| body(census.counted()).timeout(Duration::from_micros(500)).attempt());
            let runtime = runtime(max_workers);
            runtime.spawn(taskgraph::all(all.collect::<Vec<_>>())).detach();
            runtime.spawn(pending().timeout(SOON)).deadline(Instant::now() + SOON).detach();
            thread::sleep(Duration::from_micros(100 * i));
            wait::ends(move || drop(runtime));
            census.assert_balanced(20);
        }
    }
}

/// Timers, and whatever they need, go with what they were for.
#[test]
fn what_ends_in_time_leaves_nothing_behind() {
    process::alone("what_ends_in_time_leaves_nothing_behind", || {
        #[delayed(timeout = "1h")]
        fn timed(x: u64) -> u64 {
            x
        }
        let runtime = runtime(2);
        let some = |n: u64| {
            let sum = taskgraph::each(0..n, |x| timed(x).timeout(LONG)).into_stream().fold(0, |a, b| a + b);
            assert_eq!(runtime.run(sum.timeout(LONG)).unwrap(), n * (n - 1) / 2);
        };
        some(20_000);
        let before = process::resident_bytes();
        some(100_000);
        let after = process::resident_bytes();
        println!("measured: {before} bytes before, {after} after 200,000 timeouts");
        assert!(after < before + (8 << 20), "{before} bytes before, {after} after");
    });
}

#[test]
fn a_timed_out_try_is_not_in_the_way_of_its_run() {
    let tries = Arc::new(AtomicU32::new(0));
    #[delayed(timeout = "10ms", retries = 2, backoff = "1ms..1ms")]
    fn slow_at_first(tries: Arc<AtomicU32>) -> u32 {
        let number = tries.fetch_add(1, Ordering::SeqCst);
        while number < 2 && !is_cancelled() {}
        number
    }
    at_any_width({
        let tries = Arc::clone(&tries);
        move |max_workers| {
            tries.store(0, Ordering::SeqCst);
            assert_eq!(run(slow_at_first(Arc::clone(&tries)), max_workers).unwrap(), 2);
        }
    });
}
