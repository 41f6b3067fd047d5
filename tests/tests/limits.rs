//! `limit = n`: no more than so many bodies of a function run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use taskgraph::testing::run_seeded;
use taskgraph::{DC, delayed};
use taskgraph_tests::{failing, run};
use tokio::time;

#[delayed]
async fn wait(seconds: u64) -> u64 {
    time::sleep(Duration::from_secs(seconds)).await;
    seconds
}

/// How many bodies run at once, and the most that ever did.
#[derive(Clone, Default)]
struct Inside(Arc<(AtomicUsize, AtomicUsize)>);

impl Inside {
    fn enter(&self) -> impl Drop + use<> {
        struct Leave(Inside);
        impl Drop for Leave {
            fn drop(&mut self) {
                (self.0.0).0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let now = (self.0).0.fetch_add(1, Ordering::SeqCst) + 1;
        (self.0).1.fetch_max(now, Ordering::SeqCst);
        Leave(self.clone())
    }

    fn max(&self) -> usize {
        (self.0).1.load(Ordering::SeqCst)
    }
}

#[delayed(limit = 3)]
async fn asleep(inside: Inside) {
    let _inside = inside.enter();
    time::sleep(Duration::from_millis(1)).await;
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

/// Far more of them than may be in flight, all with the same limit.
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

/// Its clock does not wait for others.
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
