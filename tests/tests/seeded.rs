//! Simulated runs: one thread, any order, virtual time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::testing::run_seeded;
use taskgraph::{DC, Error, delayed, join};
use taskgraph_tests::census::Census;
use taskgraph_tests::{failing, size};
use tokio::time;

const SEEDS: u64 = size::of(2_000, 200, 20);

/// What ran, in order.
type Log = Arc<Mutex<Vec<u64>>>;

#[delayed]
fn say(log: Log, x: u64) -> u64 {
    log.lock().unwrap().push(x);
    x
}

#[delayed]
fn say_all(log: Log, n: u64) -> Vec<u64> {
    for x in 0..n {
        yield_!(say(Arc::clone(&log), x));
    }
}

#[delayed]
async fn wait(hours: u64) -> u64 {
    time::sleep(Duration::from_secs(3600 * hours)).await;
    hours
}

#[test]
fn what_stops_elsewhere_does_not_change_the_order() {
    #[delayed]
    async fn hours(log: Log, hours: u64) -> u64 {
        for x in 0..5 {
            log.lock().unwrap().push(10 * hours + x);
            time::sleep(Duration::from_secs(3600 * hours)).await;
        }
        hours
    }
    let order = || {
        let log = Log::default();
        let shared = (0..8).map(|x| hours(Arc::clone(&log), x % 3).shared());
        let both = shared.map(|shared| DC::new(|a: u64, b: u64| a + b, (shared.clone(), shared)));
        run_seeded(taskgraph::all(both), 5).unwrap();
        std::mem::take(&mut *log.lock().unwrap())
    };
    let expected = order();
    let is_over = Arc::new(AtomicBool::new(false));
    let elsewhere = Arc::clone(&is_over);
    let elsewhere = thread::spawn(move || {
        let runtime = taskgraph_tests::runtime(1);
        while !elsewhere.load(Ordering::Relaxed) {
            runtime.spawn(DC::new(|| (), ())).cancel();
        }
    });
    let all_same = (0..500).all(|_| order() == expected);
    is_over.store(true, Ordering::Relaxed);
    elsewhere.join().unwrap();
    assert!(all_same);
}

/// The order in which tasks run for a seed.
fn order(seed: u64) -> Vec<u64> {
    let log = Log::default();
    let listed = taskgraph::all((100..120).map(|x| say(Arc::clone(&log), x)));
    let both = DC::new(|a: Vec<u64>, b: Vec<u64>| a.len() + b.len(), (say_all(Arc::clone(&log), 20), listed));
    assert_eq!(run_seeded(both, seed).unwrap(), 40);
    Arc::into_inner(log).unwrap().into_inner().unwrap()
}

#[test]
fn a_seed_gives_the_same_order_each_time_and_seeds_give_many() {
    let orders: HashSet<_> = (0..50)
        .map(|seed| {
            let first = order(seed);
            assert_eq!(first, order(seed), "seed {seed}");
            first
        })
        .collect();
    assert!(45 < orders.len(), "50 seeds give only {} orders", orders.len());
}

#[test]
fn the_order_changes_nothing_that_a_graph_promises() {
    #[delayed]
    async fn sum(n: u64) -> Result<u64, Error> {
        let shared = wait(1).shared();
        let (a, b) = join!(say_all(Log::default(), n), shared.clone());
        let folded = say_all(Log::default(), n).into_stream().fold(0, |sum, x| sum + x).await?;
        Ok(a?.iter().sum::<u64>() + b? + folded + shared.await?)
    }
    for seed in 0..SEEDS {
        assert_eq!(run_seeded(sum(30), seed).unwrap(), 2 * 435 + 2, "seed {seed}");
    }
}

#[test]
fn hours_pass_at_once_and_in_order() {
    #[delayed]
    async fn clock(log: Log, hours: u64, since: time::Instant) {
        time::sleep_until(since + Duration::from_secs(3600 * hours)).await;
        log.lock().unwrap().push(hours);
    }
    #[delayed]
    async fn start(log: Log) -> DC<Vec<()>> {
        let now = time::Instant::now();
        taskgraph::all([5, 1, 4, 2, 3].map(|hours| clock(Arc::clone(&log), hours, now)))
    }
    let start_of_test = Instant::now();
    for seed in 0..SEEDS {
        let log = Log::default();
        run_seeded(start(Arc::clone(&log)), seed).unwrap();
        assert_eq!(*log.lock().unwrap(), [1, 2, 3, 4, 5], "seed {seed}");
    }
    assert!(start_of_test.elapsed() < Duration::from_secs(60));
}

#[test]
fn failures_are_the_same_as_in_any_run() {
    for seed in 0..SEEDS {
        let census = Census::new();
        let made = census.clone();
        let value = DC::new(move || made.counted(), ());
        let both =
            DC::new(|_: u64, _: u64| 0, (failing::<u64>("no luck"), value.map(|value| value.check()).map(|()| 1)));
        let error = run_seeded(both, seed).unwrap_err();
        assert!(error.to_string().ends_with("no luck"), "{error}");
        census.assert_balanced(0);
        let sleeper = DC::new(|_: u64, _: u64| 0, (wait(1_000_000), wait(1).then(|_| failing::<u64>("no luck"))));
        assert!(run_seeded(sleeper, seed).unwrap_err().to_string().ends_with("no luck"));
    }
}

#[test]
fn a_run_that_cannot_go_on_says_so() {
    #[delayed]
    async fn never(census: Census) {
        let _held = census.counted();
        std::future::pending().await
    }
    for seed in 0..20 {
        let census = Census::new();
        let error = run_seeded(taskgraph::all([never(census.clone()), never(census.clone())]), seed).unwrap_err();
        assert_eq!(error.to_string(), "the run is deadlocked: everything left is waiting, and nothing will wake it");
        census.assert_balanced(2);
    }
}

/// A bug that shows only in some orders is found, and its seed reproduces it.
#[test]
fn a_race_is_found_by_its_seed() {
    #[delayed]
    async fn add_slowly(total: Arc<Mutex<u64>>) {
        let before = *total.lock().unwrap();
        tokio::task::yield_now().await;
        *total.lock().unwrap() = before + 1;
    }
    let run = |seed| {
        let total = Arc::new(Mutex::new(0));
        run_seeded(taskgraph::all([add_slowly(Arc::clone(&total)), add_slowly(Arc::clone(&total))]), seed).unwrap();
        *total.lock().unwrap()
    };
    let totals: Vec<_> = (0..50).map(run).collect();
    assert!(totals.contains(&1) && totals.contains(&2), "{totals:?}");
    assert_eq!(totals, (0..50).map(run).collect::<Vec<_>>());
}

#[test]
fn what_tasks_spawn_in_tokio_runs_too() {
    #[delayed]
    async fn spawns() -> u64 {
        let spawned = tokio::spawn(async {
            time::sleep(Duration::from_secs(60)).await;
            thread::current().id()
        });
        assert_eq!(spawned.await.unwrap(), thread::current().id(), "it is one thread");
        7
    }
    for seed in 0..20 {
        assert_eq!(run_seeded(spawns(), seed).unwrap(), 7);
    }
}

/// Something is ready all the time.
#[test]
fn what_tasks_spawn_in_tokio_has_its_turn() {
    #[delayed]
    async fn looks() -> u64 {
        let spawned = tokio::spawn(async { 7 });
        while !spawned.is_finished() {
            tokio::task::yield_now().await;
        }
        spawned.await.unwrap()
    }
    for seed in 0..20 {
        assert_eq!(run_seeded(looks(), seed).unwrap(), 7);
    }
}

#[tokio::test]
async fn it_may_be_called_from_within_tokio() {
    assert_eq!(run_seeded(wait(1), 1).unwrap(), 1);
}
