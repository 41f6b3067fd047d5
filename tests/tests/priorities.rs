//! Priorities: what starts first among what is ready.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::testing::run_seeded;
use taskgraph::{DC, Error, Runtime, all, delayed, each};
use taskgraph_tests::census::Census;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{blocker, failing, runtime};

/// What ran, in order.
type Log = Arc<Mutex<Vec<i32>>>;

/// Logs its number, which is also its priority.
fn say(log: &Log, x: i32) -> DC<i32> {
    let log = Arc::clone(log);
    DC::new(
        move || {
            log.lock().unwrap().push(x);
            x
        },
        (),
    )
    .priority(x)
}

fn said(log: &Log) -> Vec<i32> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// Numbers from -3 to 3, mixed.
fn mixed(len: i32) -> impl Iterator<Item = i32> + Clone {
    (0..len).map(|i| (i * 5 + 2) % 7 - 3)
}

fn highest_first(numbers: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by_key(|x| -x);
    numbers
}

/// What was said in a run that was short. In a long one, and a worker may be interrupted for long on a busy machine, what is
/// not urgent has its turns as well.
fn said_soon(log: &Log, run: impl Fn()) -> Vec<i32> {
    let soon = |_: &usize| {
        said(log);
        let start = Instant::now();
        run();
        Duration::from_millis(8) < start.elapsed()
    };
    (0..200).take_while(soon).for_each(drop);
    said(log)
}

#[test]
fn of_a_list_the_highest_run_first_and_results_keep_their_places() {
    let runtime = runtime(1);
    let log = Log::default();
    for len in [1, 2, 7, 16] {
        let said = said_soon(&log, || {
            let results = runtime.run(all(mixed(len).map(|x| say(&log, x)))).unwrap();
            assert_eq!(results, mixed(len).collect::<Vec<_>>());
        });
        assert_eq!(said, highest_first(mixed(len)), "{len}");
    }
    // Computations without a priority lie above those that are not handed out yet.
    let results = runtime.run(all(mixed(1_000).map(|x| say(&log, x)))).unwrap();
    assert_eq!(results, mixed(1_000).collect::<Vec<_>>());
    let said = said(&log);
    assert_eq!(said[..4], [3; 4]);
    assert!(said[said.len() - 100..].iter().all(|&x| x < 0), "{said:?}");
}

#[test]
fn a_long_list_of_nothing_but_urgent_ones_is_sorted_as_a_whole() {
    let runtime = runtime(1);
    let log = Log::default();
    let numbers = || (0..5_000).map(|i| (i * 7_919) % 5_003 + 1);
    runtime.run(all(numbers().map(|x| say(&log, x)))).unwrap();
    assert_eq!(said(&log), highest_first(numbers()));
}

#[test]
fn a_list_of_nothing_but_patient_ones_is_sorted_as_a_whole() {
    let log = Log::default();
    let numbers = || (0..1_000).map(|i| -((i * 7) % 11) - 1);
    runtime(1).run(all(numbers().map(|x| say(&log, x)))).unwrap();
    assert_eq!(said(&log), highest_first(numbers()));
}

#[test]
fn an_urgent_run_passes_what_a_busy_worker_has_to_do() {
    wait::ends(|| {
        let runtime = runtime(1);
        let log = Log::default();
        let said = said_soon(&log, || {
            let stages = Arc::new(Stages::new());
            let first = runtime.spawn(all([blocker(&stages)]));
            stages.wait_for(1);
            let ordinary: Vec<_> = (0..100).map(|_| runtime.spawn(say(&log, 0))).collect();
            let patient = runtime.spawn(say(&log, -1));
            let urgent: Vec<_> = [3, 9, 3, 5].into_iter().map(|x| runtime.spawn(say(&log, x).map(|x| x))).collect();
            stages.signal(2);
            first.join().unwrap();
            for handle in ordinary.into_iter().chain(urgent).chain([patient]) {
                handle.join().unwrap();
            }
        });
        assert_eq!(said[..4], [9, 5, 3, 3]);
        assert!(said[4..104].iter().all(|&x| x == 0));
        assert_eq!(said[104..], [-1]);
    });
}

#[test]
fn a_run_of_a_function_with_a_priority_has_it() {
    #[delayed(priority = 5)]
    fn urgent(log: Log) {
        log.lock().unwrap().push(5);
    }
    #[delayed(priority = -1, retries = 1)]
    fn patient(log: Log) {
        log.lock().unwrap().push(-1);
    }
    wait::ends(|| {
        let runtime = runtime(1);
        let log = Log::default();
        let said = said_soon(&log, || {
            let stages = Arc::new(Stages::new());
            let first = runtime.spawn(blocker(&stages));
            stages.wait_for(1);
            let patient = runtime.spawn(patient(Arc::clone(&log)));
            let ordinary: Vec<_> = (0..10).map(|_| runtime.spawn(say(&log, 0))).collect();
            let urgent = runtime.spawn(urgent(Arc::clone(&log)));
            stages.signal(2);
            first.join().unwrap();
            urgent.join().unwrap();
            patient.join().unwrap();
            ordinary.into_iter().for_each(|handle| assert_eq!(handle.join().unwrap(), 0));
        });
        assert_eq!(said, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1]);
    });
}

/// Computations made in several steps, or of several parts, which start with one of them.
#[test]
fn whatever_a_computation_is_made_of_the_highest_is_computed_first() {
    #[delayed]
    async fn awaits(log: Log, x: i32) -> i32 {
        let one = DC::new(|| 1, ()).await.unwrap();
        log.lock().unwrap().push(x);
        one
    }
    #[delayed(limit = 1)]
    fn limited(log: Log, x: i32) -> i32 {
        log.lock().unwrap().push(x);
        1
    }
    #[delayed(timeout = "1h", retries = 3)]
    fn timed(log: Log, x: i32) -> i32 {
        log.lock().unwrap().push(x);
        1
    }
    #[delayed]
    fn plain(log: Log, x: i32) -> i32 {
        log.lock().unwrap().push(x);
        1
    }
    #[delayed(priority = 1)]
    fn with_its_own(log: Log, x: i32) -> i32 {
        log.lock().unwrap().push(x);
        1
    }
    #[delayed]
    fn grows(log: Log, x: i32, depth: u32) -> DC<i32> {
        if depth == 0 { plain(log, x) } else { grows(log, x, depth - 1) }
    }
    #[delayed]
    fn yields(log: Log, x: i32) -> Vec<i32> {
        yield_!(DC::value(1));
        yield_!(plain(log, x));
    }
    type Make = fn(Log, i32) -> DC<i32>;
    let kinds: [(&str, Make); 12] = [
        ("a call", |log, x| plain(log, x)),
        ("an async body", |log, x| awaits(log, x)),
        ("a limit", |log, x| limited(log, x)),
        ("a timeout and tries", |log, x| timed(log, x)),
        ("a priority of its own", |log, x| with_its_own(log, x)),
        ("growing", |log, x| grows(log, x, 5)),
        ("an attempt", |log, x| plain(log, x).attempt().map(Result::unwrap)),
        ("a timeout", |log, x| plain(log, x).timeout(Duration::from_secs(3600))),
        ("arguments", |log, x| plain(DC::new(|log: Log| log, (log,)), DC::new(move || x, ()))),
        ("shared results", |log, x| plain(DC::new(|log: Log| log, (log,)).shared(), x)),
        ("what comes then", |log, x| DC::new(move || x, ()).then(move |x| plain(log, x))),
        ("a generator", |log, x| yields(log, x).map(|ones| ones[1])),
    ];
    for (kind, make) in kinds {
        let runtime = runtime(1);
        let log = Log::default();
        let numbers = [1, 5, 3, 9, 7, 3];
        let list = all(numbers.map(|x| make(Arc::clone(&log), x).priority(x)));
        assert_eq!(runtime.run(list).unwrap(), [1; 6]);
        assert_eq!(said(&log), [9, 7, 5, 3, 3, 1], "{kind}");
        // And so with runs.
        wait::ends(move || {
            let stages = Arc::new(Stages::new());
            let first = runtime.spawn(blocker(&stages));
            stages.wait_for(1);
            let handles = numbers.map(|x| runtime.spawn(make(Arc::clone(&log), x).priority(x)));
            stages.signal(2);
            first.join().unwrap();
            assert_eq!(handles.map(|handle| handle.join().unwrap()), [1; 6]);
            assert_eq!(said(&log), [9, 7, 5, 3, 3, 1], "runs of {kind}");
        });
    }
}

#[test]
fn a_function_with_a_priority_passes_others() {
    #[delayed(priority = 9)]
    fn nine(log: Log) {
        log.lock().unwrap().push(9);
    }
    #[delayed(priority = 2)]
    fn two(log: Log, _: i32) {
        log.lock().unwrap().push(2);
    }
    let log = Log::default();
    let new = || Arc::clone(&log);
    runtime(1).run(all([two(new(), 0), two(new(), DC::new(|| 0, ())), two(new(), 0), nine(new())])).unwrap();
    assert_eq!(said(&log), [9, 2, 2, 2]);
}

#[test]
fn what_is_more_urgent_passes_what_an_urgent_computation_makes() {
    #[delayed]
    fn grows(log: Log, depth: i32) -> DC<i32> {
        log.lock().unwrap().push(5);
        if depth == 0 { DC::value(0) } else { grows(log, depth - 1) }
    }
    #[delayed]
    fn makes_more(log: Log) -> Vec<i32> {
        yield_!(say(&log, 3));
        yield_!(say(&log, 9));
        yield_!(grows(log, 3));
    }
    let log = Log::default();
    runtime(1).run(all([makes_more(Arc::clone(&log)).map(|_| 0).priority(5), say(&log, 4)])).unwrap();
    assert_eq!(said(&log), [9, 5, 5, 5, 5, 4, 3]);
}

const LEN: u32 = 1_000_000;

/// Steps of a chain, the first of which holds its worker.
#[derive(Clone, Default)]
struct Chain {
    steps: Arc<AtomicUsize>,
    stages: Arc<Stages>,
}

#[delayed]
fn count_down(n: u32, chain: Chain) -> DC<u32> {
    if chain.steps.fetch_add(1, Ordering::SeqCst) == 0 {
        chain.stages.signal(1);
        chain.stages.wait_for(2);
    }
    if n == 0 { DC::value(0) } else { count_down(n - 1, chain) }
}

/// `make` counts down along the chain; something urgent that comes meanwhile must be next.
#[track_caller]
fn check_that_urgent_ones_pass(make: fn(Chain) -> DC<u32>) {
    wait::ends(move || {
        let (runtime, chain) = (runtime(1), Chain::default());
        let Chain { steps, stages } = chain.clone();
        let ordinary = runtime.spawn(make(chain));
        stages.wait_for(1);
        let seen = Arc::clone(&steps);
        let urgent = runtime.spawn(DC::new(move || seen.load(Ordering::SeqCst), ()).priority(1));
        stages.signal(2);
        assert!(urgent.join().unwrap() <= 2, "it was next");
        assert_eq!((ordinary.join().unwrap(), steps.load(Ordering::SeqCst)), (0, LEN as usize + 1));
    });
}

/// What follows from a result is ordinary, and so is what has its turn meanwhile: anything urgent passes it.
#[test]
fn what_only_needs_an_urgent_computation_is_not_urgent() {
    #[delayed]
    async fn awaits(chain: Chain) -> Result<u32, Error> {
        let len = DC::new(|| LEN, ()).priority(1).await?;
        count_down(len, chain).await
    }
    check_that_urgent_ones_pass(|chain| DC::new(|| LEN, ()).priority(1).then(move |len| count_down(len, chain)));
    check_that_urgent_ones_pass(|chain| count_down(DC::new(|| LEN, ()).priority(1), chain));
    check_that_urgent_ones_pass(|chain| awaits(chain));
}

#[test]
fn an_ordinary_run_that_has_its_turn_beside_an_urgent_one_is_passed_as_ever() {
    #[delayed]
    fn urgent(n: u32) -> DC<u32> {
        if n == 0 { DC::value(0) } else { urgent(n - 1) }
    }
    #[delayed]
    fn endless(ends: Arc<AtomicBool>, turns: Arc<Stages>) -> DC<u32> {
        turns.signal(1);
        if ends.load(Ordering::SeqCst) { DC::value(1) } else { endless(ends, turns) }
    }
    wait::ends(|| {
        let runtime = runtime(1);
        let (ends, turns, stages) =
            (Arc::new(AtomicBool::new(false)), Arc::new(Stages::new()), Arc::new(Stages::new()));
        // Both wait for the same worker, and the second has its turn while the first is at work.
        let first = runtime.spawn(blocker(&stages));
        stages.wait_for(1);
        let long = runtime.spawn(urgent(10_000_000).priority(1));
        let ordinary = runtime.spawn(endless(Arc::clone(&ends), Arc::clone(&turns)));
        stages.signal(2);
        turns.wait_for(1);
        assert_eq!(runtime.run(DC::new(|| 2, ()).priority(1)).unwrap(), 2);
        ends.store(true, Ordering::SeqCst);
        assert_eq!(ordinary.join().unwrap(), 1);
        long.cancel();
        first.join().unwrap();
    });
}

#[test]
fn an_urgent_computation_comes_between_the_steps_of_a_chain_that_is_at_work() {
    check_that_urgent_ones_pass(|chain| count_down(LEN, chain));
}

#[test]
fn several_workers_take_the_highest_that_wait() {
    const WORKERS: usize = 4;
    wait::ends(|| {
        let runtime = runtime(WORKERS);
        let (inside, out) = (Arc::new(Stages::new()), Arc::new(Stages::new()));
        let hold = all((0..WORKERS).map(|_| {
            let (inside, out) = (Arc::clone(&inside), Arc::clone(&out));
            DC::new(
                move || {
                    inside.arrive();
                    out.wait_for(1);
                },
                (),
            )
        }));
        let hold = runtime.spawn(hold);
        inside.wait_for(WORKERS as u32);
        let log = Log::default();
        let handles: Vec<_> = (1..=200).map(|x| runtime.spawn(say(&log, x))).collect();
        out.signal(1);
        hold.join().unwrap();
        handles.into_iter().for_each(|handle| assert!(0 < handle.join().unwrap()));
        let said = said(&log);
        // A worker that took one may be interrupted before it logs that: some may be, not all.
        assert!(said[..WORKERS].iter().any(|&x| 200 - 2 * (WORKERS as i32) < x), "{said:?}");
        let mut sorted = said.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=200).collect::<Vec<_>>());
    });
}

#[test]
fn a_patient_computation_waits_for_what_a_busy_worker_keeps_for_itself() {
    wait::ends(|| {
        let runtime = runtime(2);
        let log = Log::default();
        let slow = |x| {
            let log = Arc::clone(&log);
            DC::new(
                move || {
                    log.lock().unwrap().push(x);
                    thread::sleep(Duration::from_millis(1));
                    x
                },
                (),
            )
        };
        for _ in 0..5 {
            // A worker from which nobody had to take anything for long shows only a few of its oldest nodes.
            runtime.run(each(0..200_000, |x| DC::new(|x: u64| x, (x,)))).unwrap();
            runtime.run(all([say(&log, -1)].into_iter().chain((0..14).map(slow)))).unwrap();
            let said = said(&log);
            // The other worker may have taken the last of them, and not started it yet.
            assert!(said[said.len() - 2..].contains(&-1), "{said:?}");
        }
    });
}

#[test]
fn priorities_hold_inside_of_generators_and_of_each() {
    #[delayed]
    fn yields(log: Log, len: i32) -> Vec<i32> {
        for x in 1..=len {
            yield_!(say(&log, x));
        }
    }
    for workers in [1, 3] {
        let runtime = runtime(workers);
        let log = Log::default();
        let expected: Vec<_> = (1..=10_000).collect();
        assert_eq!(runtime.run(yields(Arc::clone(&log), 10_000)).unwrap(), expected);
        let generated = said(&log);
        let of_each = Arc::clone(&log);
        assert_eq!(runtime.run(each(1..10_001, move |x| say(&of_each, x))).unwrap(), expected);
        let made = said(&log);
        for said in [generated, made] {
            assert_eq!(said.len(), 10_000);
            if workers == 1 {
                let falling = said.windows(2).filter(|pair| pair[1] < pair[0]).count();
                assert!(7_000 < falling, "what is ready together falls from the highest: {falling}");
            }
        }
    }
}

#[test]
fn what_waits_for_others_is_not_started_before_them() {
    let log = Log::default();
    let (below, above) = (Arc::clone(&log), Arc::clone(&log));
    let first = DC::new(move || below.lock().unwrap().push(1), ());
    let second = DC::new(move |()| above.lock().unwrap().push(2), (first,)).priority(100);
    runtime(1).run(all([second, DC::new(|| (), ())])).unwrap();
    assert_eq!(said(&log), [1, 2]);
}

#[test]
fn the_last_priority_counts_and_0_is_none() {
    let log = Log::default();
    let said = said_soon(&log, || {
        let list = [say(&log, 1).priority(9), say(&log, 2).priority(3), say(&log, 3).priority(0), say(&log, 4)];
        runtime(1).run(all(list)).unwrap();
    });
    assert_eq!(said, [1, 4, 2, 3]);
}

#[test]
fn a_name_an_error_and_a_value_pass_through() {
    let error = runtime(1).run(failing::<u32>("broken").priority(3).named("the third")).unwrap_err();
    assert_eq!(error.task().unwrap().label(), Some("the third"));
    assert!(error.to_string().contains("broken"), "{error}");
    let shown = format!("{:?}", failing::<u32>("broken").priority(4));
    assert!(shown.starts_with("DC(") && shown.contains("priorities.rs"), "{shown}");
    assert_eq!(runtime(1).run(DC::value(7u8).priority(-4)).unwrap(), 7);
    assert!(runtime(1).run(failing::<u32>("broken").priority(-1).attempt()).unwrap().is_err());
}

#[test]
fn a_stream_with_a_priority_is_still_a_stream() {
    #[delayed]
    fn numbers(n: u64) -> Vec<u64> {
        for x in 0..n {
            yield_!(DC::value(x));
        }
    }
    let sum = numbers(100_000).priority(2).into_stream().fold(0, |sum, x| sum + x);
    assert_eq!(runtime(2).run(sum).unwrap(), 4_999_950_000);
}

#[test]
fn what_is_never_run_is_dropped_once() {
    let census = Census::new();
    let holds = |priority| {
        let held = census.counted();
        DC::new(move || drop(held), ()).priority(priority)
    };
    drop(all([holds(1), holds(-1)]));
    drop(holds(2));
    assert_eq!(census.live(), 0);
}

const MANY: i32 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

#[test]
fn a_cancelled_run_gives_up_all_that_are_queued() {
    for sign in [1, -1] {
        wait::ends(move || {
            let runtime = runtime(1);
            let census = Census::new();
            let stages = Arc::new(Stages::new());
            let members: Vec<_> = (0..MANY).map(|i| (i, census.counted())).collect();
            let queued =
                members.into_iter().map(move |(i, held)| DC::new(move || drop(held), ()).priority(sign * (i % 7 + 1)));
            let first = blocker(&stages).priority(i32::MAX);
            let handle = runtime.spawn(all(std::iter::once(first).chain(queued)));
            stages.wait_for(1);
            handle.cancel();
            stages.signal(2);
            assert!(handle.join().unwrap_err().is_cancelled());
            wait::until(|| census.live() == 0);
            assert_eq!(runtime.run(DC::new(|| 1, ())).unwrap(), 1);
        });
    }
}

#[test]
fn a_failed_run_and_a_dropped_runtime_give_up_all_that_are_queued() {
    wait::ends(|| {
        let runtime = runtime(2);
        let log = Log::default();
        let failing = all(mixed(100).map(|x| say(&log, x)).chain([failing("broken").priority(2)]));
        assert!(runtime.run(failing).unwrap_err().to_string().contains("broken"));
        let stages = Arc::new(Stages::new());
        let _first = runtime.spawn(all([blocker(&stages), blocker(&stages)]));
        stages.wait_for(1);
        let handles: Vec<_> = mixed(100).map(|x| runtime.spawn(say(&log, x))).collect();
        stages.signal(2);
        drop(runtime);
        handles.into_iter().for_each(|handle| drop(handle.join()));
    });
}

#[test]
fn nothing_is_lost_or_run_twice_while_the_number_of_workers_changes() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(2));
        let ran: Arc<Vec<AtomicUsize>> = Arc::new((0..20_000).map(|_| AtomicUsize::new(0)).collect());
        let tasks = {
            let ran = Arc::clone(&ran);
            all((0..20_000usize).map(move |i| {
                let ran = Arc::clone(&ran);
                DC::new(move || ran[i].fetch_add(1, Ordering::SeqCst), ()).priority((i % 5) as i32 - 2)
            }))
        };
        let handle = runtime.spawn(tasks);
        for max_workers in [1, 4, 2, 8, 1, 3].into_iter().cycle().take(60) {
            runtime.set_max_workers(max_workers).unwrap();
        }
        handle.join().unwrap();
        assert!(ran.iter().all(|ran| ran.load(Ordering::SeqCst) == 1));
    });
}

#[test]
fn a_body_that_awaits_starts_urgent_ones_first() {
    #[delayed]
    async fn body(log: Log) -> i32 {
        let both = taskgraph::join!(say(&log, 1), say(&log, 4), say(&log, -2));
        both.0.unwrap() + both.1.unwrap() + both.2.unwrap()
    }
    let log = Log::default();
    assert_eq!(runtime(1).run(body(Arc::clone(&log))).unwrap(), 3);
    assert_eq!(said(&log).len(), 3);
}

#[test]
fn simulated_runs_keep_to_priorities_and_draw_among_equals() {
    let mut orders = BTreeMap::new();
    for seed in 0..200 {
        let order = Arc::new(Mutex::new(Vec::new()));
        let push = |i: i32, priority| {
            let order = Arc::clone(&order);
            DC::new(move || order.lock().unwrap().push(i), ()).priority(priority)
        };
        let list = [push(0, 0), push(1, 5), push(2, -1), push(3, 5), push(4, 0), push(5, 7)];
        run_seeded(all(list), seed).unwrap();
        let order = order.lock().unwrap().clone();
        assert_eq!((order[0], order[5]), (5, 2), "seed {seed}");
        assert_eq!(order[1] + order[2], 4, "seed {seed}: {order:?}");
        *orders.entry(order).or_insert(0) += 1;
    }
    assert_eq!(orders.len(), 4, "{orders:?}");
}

#[test]
fn waiting_for_a_timer_keeps_no_priority() {
    #[delayed]
    async fn slow(x: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(x)).await;
        x
    }
    let runtime = Runtime::builder().max_workers(1).no_control().build().unwrap();
    let list = all([slow(3).priority(3), slow(1), slow(2).priority(-2)]);
    assert_eq!(runtime.run(list).unwrap(), [3, 1, 2]);
}
