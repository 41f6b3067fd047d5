//! `limit = n` and `limit = "name"`: at most this many bodies of a function, or of all functions that name it, run at
//! once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::stream::StreamExt;
use taskgraph::testing::run_seeded;
use taskgraph::{DC, Error, Runtime, delayed};
use taskgraph_tests::bodies::{Event, at_any_width};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::{failing, inside, log, process, run, runtime, wait as waiting};
use tokio::time;

#[delayed]
async fn wait(seconds: u64) -> u64 {
    time::sleep(Duration::from_secs(seconds)).await;
    seconds
}

/// How many bodies run at once, and the most that ever did.
type Inside = Arc<inside::Inside>;

#[delayed(limit = 3)]
async fn asleep(inside: Inside) {
    let _inside = inside.enter();
    time::sleep(Duration::from_millis(1)).await;
}

/// Is inside until it is dropped, which takes a while.
struct Lingering<L>(L);

impl<L> Drop for Lingering<L> {
    fn drop(&mut self) {
        let _inside = &self.0;
        thread::sleep(Duration::from_millis(20));
    }
}

#[delayed(limit = 1)]
async fn lingers(inside: Inside, begun: Arc<AtomicUsize>, seconds: u64) {
    let _inside = Lingering(inside.enter());
    begun.fetch_add(1, Ordering::SeqCst);
    time::sleep(Duration::from_secs(seconds)).await;
}

#[test]
fn a_body_that_is_dropped_keeps_its_turn_until_it_is_gone() {
    waiting::ends(|| {
        let runtime = runtime(2);
        let (inside, begun) = (Inside::default(), Arc::new(AtomicUsize::new(0)));
        let body = |seconds| lingers(inside.clone(), Arc::clone(&begun), seconds);
        let has_begun = |before| {
            let begun = Arc::clone(&begun);
            DC::new(move || waiting::until(|| before < begun.load(Ordering::SeqCst)), ())
        };
        type End = fn(DC<()>, DC<()>) -> DC<()>;
        let ends: [End; 3] = [
            |body, _| body.timeout(Duration::from_secs(1)).attempt().map(|_| ()),
            |body, has_begun| taskgraph::race([body, has_begun]),
            |body, has_begun| taskgraph::select_ok([body, has_begun]),
        ];
        for end in ends {
            let before = begun.load(Ordering::SeqCst);
            let ended = runtime.spawn(end(body(3600), has_begun(before)));
            waiting::until(|| before < begun.load(Ordering::SeqCst));
            let after = runtime.spawn(body(0));
            ended.join().unwrap();
            after.join().unwrap();
        }
        let before = begun.load(Ordering::SeqCst);
        let cancelled = runtime.spawn(body(3600));
        waiting::until(|| before < begun.load(Ordering::SeqCst));
        let after = runtime.spawn(body(0));
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        after.join().unwrap();
        assert_eq!(inside.max(), 1);
    });
}

/// A destructor may wait for others that need the turn of its body.
#[test]
fn a_body_that_is_dropped_gives_its_turn_away_while_it_blocks() {
    #[delayed(limit = "one")]
    fn inner() -> u64 {
        8
    }
    struct Runs(Arc<Runtime>);
    impl Drop for Runs {
        fn drop(&mut self) {
            assert_eq!(self.0.run(inner()).unwrap(), 8);
        }
    }
    #[delayed(limit = "one")]
    async fn outer(runtime: Runs) {
        let _runs = runtime;
        std::future::pending::<()>().await;
    }
    waiting::ends(|| {
        let runtime = Arc::new(Runtime::builder().max_workers(2).limit("one", 1).no_control().build().unwrap());
        let runs = || Runs(Arc::clone(&runtime));
        let error = runtime.run(outer(runs()).timeout(Duration::from_millis(5))).unwrap_err();
        assert!(error.is_timeout());
        let handle = runtime.spawn(outer(runs()));
        thread::sleep(Duration::from_millis(5));
        handle.cancel();
        assert!(handle.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn no_more_bodies_than_that_run_at_once() {
    for max_workers in [1, 2, 8] {
        let inside = Inside::default();
        run(taskgraph::all((0..100).map(|_| asleep(inside.clone()))), max_workers).unwrap();
        assert_eq!(inside.max(), 3);
    }
    for seed in 0..20 {
        let inside = Inside::default();
        run_seeded(taskgraph::all((0..20).map(|_| asleep(inside.clone()))), seed).unwrap();
        assert!(inside.max() <= 3);
    }
}

#[delayed(limit = 1, name = "parse one")]
fn parse(inside: Inside, text: &str) -> Result<u32, std::num::ParseIntError> {
    let _inside = inside.enter();
    thread::yield_now();
    text.parse()
}

#[test]
fn a_body_that_cannot_wait_waits_for_its_turn_all_the_same() {
    let inside = Inside::default();
    let numbers = run(taskgraph::all((0..100).map(|x: u32| parse(inside.clone(), x.to_string()))), 8).unwrap();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert_eq!(inside.max(), 1);
    let error = run(parse(inside, "x"), 1).unwrap_err();
    assert_eq!(error.task().unwrap().label(), Some("parse one"));
}

#[delayed(limit = 1)]
fn countdown(n: u64) -> DC<u64> {
    if n == 0 { DC::value(0) } else { countdown(n - 1) }
}

#[delayed(limit = 1)]
fn doubled(n: u64) -> Vec<u64> {
    for x in 0..n {
        yield_!(countdown(x).map(move |zero| zero + 2 * x));
    }
}

#[test]
fn a_turn_ends_with_the_body_not_with_what_it_returns() {
    for max_workers in [1, 4] {
        assert_eq!(run(countdown(1_000), max_workers).unwrap(), 0);
        assert_eq!(run(taskgraph::all([doubled(2), doubled(3)]), max_workers).unwrap(), [vec![0, 2], vec![0, 2, 4]]);
    }
}

#[delayed(limit = 1)]
async fn depth(n: u64) -> Result<u64, taskgraph::Error> {
    if n == 0 { Ok(0) } else { Ok(depth(n - 1).await? + 1) }
}

#[delayed(limit = 1)]
async fn joined(n: u64) -> Result<u64, taskgraph::Error> {
    if n == 0 {
        return Ok(1);
    }
    let (a, b) = taskgraph::join!(joined(n - 1), ping(n - 1));
    Ok(a? + b?)
}

#[delayed(limit = 1)]
async fn ping(n: u64) -> Result<u64, taskgraph::Error> {
    if n == 0 { Ok(1) } else { joined(n - 1).await }
}

/// Far more calls than may be in flight, all with the same limit.
#[delayed(limit = 1)]
fn tree(depth: u64) -> Vec<u64> {
    for x in 0..100 {
        if depth == 0 { yield_!(x) } else { yield_!(tree(depth - 1).map(|below| below.iter().sum())) }
    }
}

#[test]
fn a_body_that_waits_for_others_of_its_limit_gives_them_its_turn() {
    for max_workers in [1, 4] {
        assert_eq!(run(depth(100), max_workers).unwrap(), 100);
        let expected = run_seeded(joined(10), 1).unwrap();
        assert_eq!(run(joined(10), max_workers).unwrap(), expected);
        assert_eq!(run(tree(2), max_workers).unwrap().iter().sum::<u64>(), 100 * 100 * 4950);
    }
    for seed in 0..20 {
        assert_eq!(run_seeded(depth(20), seed).unwrap(), 20);
        assert_eq!(run_seeded(tree(1), seed).unwrap().len(), 100);
    }
}

#[test]
fn a_body_that_awaits_a_run_gives_its_turn_to_that() {
    #[derive(Clone, Copy)]
    enum By {
        Spawn,
        RunAsync,
        Stream,
    }
    #[delayed(limit = 1)]
    async fn fact(runtime: Arc<Runtime>, by: By, n: u64) -> Result<u64, Error> {
        if n == 0 {
            return Ok(1);
        }
        let before = fact(Arc::clone(&runtime), by, n - 1);
        let before = match by {
            By::Spawn => runtime.spawn(before).await,
            By::RunAsync => runtime.run_async(before).await,
            By::Stream => StreamExt::next(&mut runtime.stream([before])).await.expect("there is one"),
        };
        Ok(n * before?)
    }
    waiting::ends(|| {
        for (max_workers, by) in [1, 4].into_iter().flat_map(|n| [(n, By::Spawn), (n, By::RunAsync), (n, By::Stream)]) {
            let runtime = Arc::new(runtime(max_workers));
            assert_eq!(runtime.run(fact(Arc::clone(&runtime), by, 5)).unwrap(), 120);
        }
    });
}

#[test]
fn who_waits_for_a_turn_does_not_hold_up_the_end() {
    #[delayed(limit = 1)]
    async fn holds() -> u64 {
        wait(1_000).await.unwrap_or(0)
    }
    let all = || DC::new(|_: Vec<u64>, _: u64| (), (taskgraph::all([holds(), holds()]), failing::<u64>("stop")));
    for max_workers in [1, 4] {
        assert!(run(all(), max_workers).unwrap_err().to_string().ends_with("stop"));
    }
}

#[test]
fn a_panic_gives_the_turn_back() {
    #[delayed(limit = 1)]
    fn panics(at: u32, x: u32) -> u32 {
        assert_ne!(x, at, "not this one");
        x
    }
    let attempts = (0..10).map(|x| panics(3, x).attempt()).collect::<Vec<_>>();
    let results = run(taskgraph::all(attempts), 2).unwrap();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 9);
}

/// Its clock does not wait for other runs.
#[test]
fn a_simulated_run_has_its_limits_for_itself() {
    #[delayed(limit = 1)]
    async fn alone() -> u64 {
        time::sleep(Duration::from_secs(3600)).await;
        1
    }
    let alone_elsewhere: Vec<_> = (0..4)
        .map(|i| {
            thread::spawn(move || {
                for seed in 0..50 {
                    let all = taskgraph::all((0..5).map(|_| alone()));
                    assert_eq!(run_seeded(all, 50 * i + seed).unwrap(), [1; 5]);
                }
            })
        })
        .collect();
    alone_elsewhere.into_iter().for_each(|thread| thread.join().unwrap());
}

#[delayed(limit = "db")]
async fn query(inside: Inside, until: Event) {
    let _inside = inside.enter();
    until.wait().await;
}

#[delayed(limit = "db")]
fn write(inside: Inside) {
    let _inside = inside.enter();
    thread::yield_now();
}

fn limited(max_workers: usize, limits: &[(&str, usize)]) -> Runtime {
    let builder = Runtime::builder().max_workers(max_workers).no_control();
    limits.iter().fold(builder, |builder, (name, size)| builder.limit(*name, *size)).build().unwrap()
}

#[test]
fn functions_that_name_a_limit_have_it_together_and_runtimes_do_not() {
    at_any_width(|max_workers| {
        let (inside, elsewhere, never) = (Inside::default(), Inside::default(), Event::default());
        let (runtime, other) = (limited(max_workers, &[("db", 3)]), limited(1, &[("db", 1)]));
        let held = other.spawn(query(elsewhere.clone(), never.clone()));
        waiting::until(|| never.waits() == 1);
        // The other runtime's only turn is taken; here all bodies go on.
        let queries = taskgraph::all((0..50).map(|_| asleep_in_db(inside.clone())));
        let writes = taskgraph::all((0..50).map(|_| write(inside.clone())));
        runtime.run(DC::new(|_: Vec<()>, _: Vec<()>| (), (queries, writes))).unwrap();
        assert!(inside.max() <= 3);
        assert_eq!(elsewhere.max(), 1);
        drop(held);
    });
}

#[delayed(limit = "db")]
async fn asleep_in_db(inside: Inside) {
    let _inside = inside.enter();
    time::sleep(Duration::from_millis(1)).await;
}

#[test]
fn a_limit_may_change_while_bodies_run_and_wait() {
    at_any_width(|max_workers| {
        let runtime = limited(max_workers, &[("db", 2)]);
        let (inside, go) = (Inside::default(), Event::default());
        let now = |inside: &Inside| inside.now();
        let run = runtime.spawn(taskgraph::all((0..10).map(|_| query(inside.clone(), go.clone()))));
        waiting::until(|| now(&inside) == 2);
        runtime.set_limit("db", 5).unwrap();
        waiting::until(|| now(&inside) == 5); // those that wait start at once
        runtime.set_limit("db", 1).unwrap();
        assert_eq!(now(&inside), 5); // and those that run go on
        runtime.set_limit("db", 6).unwrap();
        waiting::until(|| now(&inside) == 6);
        runtime.set_limit("db", 1).unwrap();
        go.happen().into_iter().for_each(std::task::Waker::wake);
        run.join().unwrap();
        assert_eq!(inside.max(), 6);
        // The surplus has ended.
        let after = Inside::default();
        runtime.run(taskgraph::all((0..20).map(|_| asleep_in_db(after.clone())))).unwrap();
        assert_eq!(after.max(), 1);
    });
}

#[test]
fn however_a_limit_changes_it_holds_in_the_end_and_nobody_starves() {
    at_any_width(|max_workers| {
        let runtime = limited(max_workers, &[("db", 1)]);
        for round in 0..20 {
            let all = || taskgraph::all((0..50).map(|_| asleep_in_db(Inside::default())));
            let runs: Vec<_> = (0..3).map(|_| runtime.spawn(all())).collect();
            let mut size = round;
            for (i, run) in runs.into_iter().enumerate() {
                for _ in 0..20 {
                    size = (size * 7 + 3) % 11;
                    runtime.set_limit("db", 1 + size).unwrap();
                    thread::yield_now();
                }
                if i == 1 {
                    run.cancel(); // with those who wait, and those who have just been given a turn
                } else {
                    run.join().unwrap();
                }
            }
            runtime.set_limit("db", 2).unwrap();
            let inside = Inside::default();
            runtime.run(taskgraph::all((0..20).map(|_| asleep_in_db(inside.clone())))).unwrap();
            assert!(inside.max() <= 2, "{} ran at once", inside.max());
        }
    });
}

#[test]
fn a_body_that_blocks_for_a_run_gives_its_turn_away() {
    #[delayed(limit = "nested")]
    fn nested(runtime: Arc<Runtime>, depth: u32) -> u32 {
        if depth == 0 { 0 } else { runtime.run(nested(Arc::clone(&runtime), depth - 1)).unwrap() + 1 }
    }
    #[delayed(limit = 1)]
    async fn nested_async(runtime: Arc<Runtime>, depth: u32) -> u32 {
        if depth == 0 {
            return 0;
        }
        let handles = [(); 2].map(|()| runtime.spawn(nested_async(Arc::clone(&runtime), depth - 1)));
        handles.into_iter().map(|handle| handle.join().unwrap()).max().unwrap() + 1
    }
    at_any_width(|max_workers| {
        let runtime = Arc::new(limited(max_workers, &[("nested", 1)]));
        assert_eq!(runtime.run(nested(Arc::clone(&runtime), 10)).unwrap(), 10);
        assert_eq!(runtime.run(nested_async(Arc::clone(&runtime), 4)).unwrap(), 4);
    });
}

macro_rules! nests {
    ($($name:ident $limit:literal)*) => {
        $(#[delayed(limit = $limit)]
        async fn $name(way: Vec<u8>, inside: [Inside; 3]) -> Result<u64, taskgraph::Error> {
            let _inside = [inside[0].clone(), inside[1].clone(), inside[2].clone()];
            nest(way, inside).await
        })*
    };
}
nests!(nests_a "nest-a" nests_b "nest-b" nests_c "nest-c");

#[delayed(limit = "nest-a", timeout = "1h", retries = 1)]
fn returns_nest(way: Vec<u8>, inside: [Inside; 3]) -> Vec<u64> {
    for _ in 0..2 {
        yield_!(nest(way.clone(), inside.clone()));
    }
}

/// Each byte of the way selects the next call.
fn nest(mut way: Vec<u8>, inside: [Inside; 3]) -> DC<u64> {
    match way.pop() {
        None => DC::value(1),
        Some(next) => match next % 5 {
            0 => nests_a(way, inside),
            1 => nests_b(way, inside),
            2 => nests_c(way, inside),
            3 => returns_nest(way, inside).map(|all| all.iter().sum()),
            _ => nests_a(way.clone(), inside.clone()) + nests_b(way, inside),
        },
    }
}

#[test]
fn limits_nested_in_each_other_in_any_order_come_to_an_end() {
    let ways = |seed: u64| {
        let mut state = seed * 2 + 1;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..4).map(move |_| (0..6).map(|_| next()).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let all =
        move |seed| taskgraph::all(ways(seed).into_iter().map(|way| nest(way, Default::default())).collect::<Vec<_>>());
    let expected: Vec<_> = (0..40).map(|seed| run_seeded(all(seed), seed).unwrap()).collect();
    at_any_width(move |max_workers| {
        for (seed, expected) in (0..40).zip(&expected) {
            let runtime = limited(max_workers, &[("nest-a", 1), ("nest-b", 1 + seed as usize % 2), ("nest-c", 1)]);
            assert_eq!(runtime.run(all(seed)).unwrap(), *expected);
        }
    });
}

#[test]
fn a_waiter_that_goes_and_a_body_that_panics_keep_no_turn() {
    #[delayed(limit = "db")]
    async fn panics() {
        quiet_panic("by purpose")
    }
    at_any_width(|max_workers| {
        let runtime = limited(max_workers, &[("db", 1)]);
        for _ in 0..20 {
            let (inside, go) = (Inside::default(), Event::default());
            let holds = runtime.spawn(query(inside.clone(), go.clone()));
            waiting::until(|| go.waits() == 1);
            let waits: Vec<_> = (0..5).map(|_| runtime.spawn(query(inside.clone(), Event::default()))).collect();
            go.happen().into_iter().for_each(std::task::Waker::wake);
            drop(waits);
            holds.join().unwrap();
            assert!(runtime.run(panics()).unwrap_err().is_panic());
            let (ended, now) = (Event::default(), Inside::default());
            ended.happen();
            runtime.run(query(now, ended)).unwrap();
        }
    });
}

#[test]
fn what_is_not_a_limit_is_told_with_what_is() {
    let runtime = runtime(1);
    for name in ["", "two words", "new\nline", &"x".repeat(101)] {
        let error = runtime.set_limit(name, 1).unwrap_err().to_string();
        assert!(error.starts_with("the name of a limit is one word of at most 100 bytes, not "), "{error}");
    }
    for size in [0, usize::MAX, 1 << 32] {
        let error = runtime.set_limit("db", size).unwrap_err().to_string();
        assert_eq!(error, format!("the limit db must be from 1 to 4294967295, not {size}"));
        assert!(Runtime::builder().no_control().limit("db", size).build().is_err());
    }
    runtime.set_limit("db", u32::MAX as usize).unwrap();
    (1..1024).for_each(|i| runtime.set_limit(&format!("limit-{i}"), 1).unwrap());
    let error = runtime.set_limit("another", 1).unwrap_err().to_string();
    assert_eq!(error, "the limit another would be one more than the 1024 that a runtime may have; set one of those");
    runtime.set_limit("db", 2).unwrap();
}

/// A process has one log.
#[test]
fn a_limit_that_nobody_has_set_is_one_and_is_told_once() {
    process::alone("a_limit_that_nobody_has_set_is_one_and_is_told_once", || {
        let lines = log::told_by_all();
        let inside = Inside::default();
        run(taskgraph::all((0..20).map(|_| asleep_in_db(inside.clone()))), 2).unwrap();
        assert_eq!(inside.max(), 1);
        let lines = lines.lock().unwrap();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(
            line.starts_with("WARN a limit is used and was never set, so one body runs at a time; set it with"),
            "{line}"
        );
        assert!(line.ends_with(" name=\"db\""), "{line}");
    });
}
