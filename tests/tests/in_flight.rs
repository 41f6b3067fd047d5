//! How many computations that are made while it runs are in flight, whatever they wait for: of a generator, and of `each`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use taskgraph::{DC, Runtime, delayed, each};
use taskgraph_tests::bodies::Event;
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::{runtime, wait};

/// As the guide says, and what is made at once.
const IN_FLIGHT_MAX: i64 = 4_096 + 512;

const MANY: i64 = 5 * IN_FLIGHT_MAX;

#[delayed]
async fn for_a_timer(argument: Counted) -> i64 {
    tokio::time::sleep(Duration::from_millis(1)).await;
    argument.check();
    1
}

#[delayed(limit = 100)]
async fn for_a_turn(argument: Counted) -> i64 {
    tokio::task::yield_now().await;
    argument.check();
    1
}

#[delayed(limit = 100)]
fn for_a_turn_without_waiting(argument: Counted) -> i64 {
    argument.check();
    1
}

type Make = fn(Counted) -> DC<i64>;

const KINDS: [Make; 3] = [
    |argument| for_a_timer(argument),
    |argument| for_a_turn(argument),
    |argument| for_a_turn_without_waiting(argument),
];

#[delayed]
fn generator(census: Census, make: Make) -> Vec<i64> {
    for _ in 0..MANY {
        yield_!(make(census.counted()));
    }
}

#[test]
fn is_bounded_whatever_they_wait_for() {
    for (kind, make) in KINDS.into_iter().enumerate() {
        for max_workers in [1, 4] {
            wait::ends(move || {
                let runtime = runtime(max_workers);
                let of_each = |census: Census| each(0..MANY, move |_| make(census.counted()));
                let of_generator = |census: Census| generator(census, make);
                for make_all in [&of_each as &dyn Fn(Census) -> DC<Vec<i64>>, &of_generator] {
                    let census = Census::new();
                    let results = runtime.run(make_all(census.clone())).unwrap();
                    assert_eq!(results.into_iter().sum::<i64>(), MANY);
                    let most = census.live_max();
                    assert!(most < IN_FLIGHT_MAX, "{most} of kind {kind} with {max_workers} workers");
                    census.assert_balanced(MANY);
                }
            });
        }
    }
}

#[test]
fn those_that_wait_are_given_up_with_their_run() {
    #[delayed]
    async fn until(event: Event, argument: Counted) {
        event.wait().await;
        argument.check();
    }
    for max_workers in [1, 4] {
        wait::ends(move || {
            let runtime = runtime(max_workers);
            let (event, census) = (Event::default(), Census::new());
            let (waits, made) = (event.clone(), census.clone());
            let handle = runtime.spawn(each(0..MANY, move |_| until(waits.clone(), made.counted())));
            wait::until(|| 4_096 <= event.waits());
            // The worker has had time to make more.
            runtime.run(DC::new(|| (), ())).unwrap();
            assert!(event.waits() < IN_FLIGHT_MAX as usize, "{}", event.waits());
            handle.cancel();
            assert!(handle.join().unwrap_err().is_cancelled());
            census.assert_balanced(4_096);
        });
    }
}

#[test]
fn those_that_block_are_few() {
    const MANY: usize = 3_000;
    static BLOCKED: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    fn block(other: &Runtime) {
        let blocked = BLOCKED.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(blocked, Ordering::SeqCst);
        other.run(DC::new(|| thread::sleep(Duration::from_micros(100)), ())).unwrap();
        BLOCKED.fetch_sub(1, Ordering::SeqCst);
    }
    wait::ends(|| {
        let other = Arc::new(runtime(1));
        let make = move |_| {
            let other = Arc::clone(&other);
            DC::new(move || block(&other), ())
        };
        assert_eq!(runtime(1).run(each(0..MANY, make)).unwrap().len(), MANY);
        // Those of the first share, before anybody knew.
        let most = MOST.load(Ordering::SeqCst);
        assert!(most <= 700, "{most} of {MANY} threads blocked at once");
    });
}
