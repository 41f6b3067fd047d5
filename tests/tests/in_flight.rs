//! How many computations are in flight, whatever they wait for, if they are made while the run goes on: by a generator, or by
//! `each`.

use std::sync::Arc;
use std::time::Duration;

use taskgraph::{DC, all, delayed, each};
use taskgraph_tests::bodies::Event;
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{blocks_in, runtime};

/// The number in the guide, and what is made at once.
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

/// After many light ones a generator runs further ahead than is good for those that wait.
#[test]
fn is_bounded_after_light_ones_too() {
    const WORKERS: usize = 32;
    #[delayed]
    fn mixed(census: Census, waiting: Census) -> Vec<i64> {
        for _ in 0..50_000 {
            let light = census.counted();
            yield_!(DC::new(|light: Counted| drop(light), (light,)).map(|()| 1));
        }
        for _ in 0..50_000 {
            yield_!(for_a_timer(waiting.counted()));
        }
    }
    wait::ends(|| {
        let waiting = Census::new();
        let results = runtime(WORKERS).run(mixed(Census::new(), waiting.clone())).unwrap();
        assert_eq!(results.len(), 100_000);
        let most = waiting.live_max();
        assert!(most < 256 * WORKERS as i64 + 512, "{most}");
    });
}

/// Tasks that block do not change it.
#[test]
fn is_as_many_as_ever_while_others_block() {
    const MEETING: usize = 600;
    wait::ends(|| {
        let (runtime, other, stages) = (runtime(2), Arc::new(runtime(1)), Arc::new(Stages::new()));
        let blocked = runtime.spawn(all((0..40).map(|_| blocks_in(&other, &stages, 41))));
        stages.wait_for(40);
        let barrier = Arc::new(tokio::sync::Barrier::new(MEETING));
        #[delayed]
        async fn meet(barrier: Arc<tokio::sync::Barrier>) -> bool {
            barrier.wait().await.is_leader()
        }
        let met = runtime.run(each(0..MEETING, move |_| meet(Arc::clone(&barrier)))).unwrap();
        assert_eq!(met.into_iter().filter(|leads| *leads).count(), 1);
        stages.arrive();
        blocked.join().unwrap();
    });
}

const BOUND: i64 = 6;

/// Is being made for a while.
#[delayed]
async fn made(argument: Counted) -> Counted {
    tokio::time::sleep(Duration::from_micros(200)).await;
    argument.check();
    argument
}

#[delayed(in_flight = 6)]
fn bounded(census: Census, n: i64) -> Vec<i64> {
    for _ in 0..n {
        yield_!(made(census.counted()).map(|_| 1));
    }
}

#[delayed(in_flight = 6)]
async fn bounded_async(census: Census, n: i64) -> Vec<i64> {
    for i in 0..n {
        if i % 5 == 0 {
            tokio::task::yield_now().await;
        }
        yield_!(made(census.counted()).map(|_| 1));
    }
}

#[delayed(in_flight = 6)]
fn bounded_items(census: Census, n: i64) -> Vec<Counted> {
    for i in 0..n {
        if i % 3 == 0 {
            yield_!(census.counted());
        } else {
            yield_!(made(census.counted()));
        }
    }
}

#[test]
fn is_what_was_asked_for() {
    const ITEMS: i64 = 300;
    for max_workers in [1, 2, 8] {
        wait::ends(move || {
            let runtime = runtime(max_workers);
            let ways: [fn(Census) -> DC<i64>; 5] = [
                |census| bounded(census, ITEMS).map(|results| results.into_iter().sum()),
                |census| bounded_async(census, ITEMS).map(|results| results.into_iter().sum()),
                |census| bounded_items(census, ITEMS).into_stream().fold(0, |sum, _| sum + 1),
                |census| {
                    let items = taskgraph::stream((0..ITEMS).map(move |_| made(census.counted())));
                    items.in_flight(BOUND as u32).as_completed().fold(0, |sum, _| sum + 1)
                },
                |census| {
                    let items = taskgraph::stream((0..ITEMS).map(move |_| made(census.counted())));
                    items.in_flight(BOUND as u32).fold(0, |sum, _| {
                        std::thread::sleep(Duration::from_micros(20));
                        sum + 1
                    })
                },
            ];
            for (i, way) in ways.into_iter().enumerate() {
                let census = Census::new();
                assert_eq!(runtime.run(way(census.clone())).unwrap(), ITEMS);
                let most = census.live_max();
                // The consumer of a stream holds one.
                let in_hand = i64::from(2 <= i);
                assert!(most <= BOUND + in_hand, "{most} in way {i} with {max_workers} workers");
                assert!(BOUND / 2 < most, "{most} in way {i} with {max_workers} workers");
                census.assert_balanced(ITEMS);
            }
        });
    }
}

#[test]
fn is_one_at_a_time_if_so_asked() {
    #[delayed(in_flight = 1)]
    fn one_by_one(census: Census) -> Vec<i64> {
        for _ in 0..100 {
            yield_!(made(census.counted()).map(|_| 1));
        }
    }
    for max_workers in [1, 4] {
        let census = Census::new();
        assert_eq!(runtime(max_workers).run(one_by_one(census.clone())).unwrap().len(), 100);
        assert_eq!(census.live_max(), 1);
    }
}

#[test]
fn may_be_more_than_usual() {
    #[delayed]
    async fn meet(barrier: Arc<tokio::sync::Barrier>) -> bool {
        barrier.wait().await.is_leader()
    }
    #[delayed(in_flight = 20_000)]
    fn many(barrier: Arc<tokio::sync::Barrier>) -> Vec<bool> {
        for _ in 0..MEETING {
            yield_!(meet(Arc::clone(&barrier)));
        }
    }
    const MEETING: usize = 6_000;
    wait::ends(|| {
        let met = runtime(2).run(many(Arc::new(tokio::sync::Barrier::new(MEETING)))).unwrap();
        assert_eq!(met.into_iter().filter(|leads| *leads).count(), 1);
    });
}

/// A race has all of its computations in flight.
#[test]
fn is_as_many_as_compete() {
    #[delayed]
    async fn after(seconds: u64) -> u64 {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        seconds
    }
    wait::ends(|| {
        let lengths: Vec<u64> = (0..MANY as u64).rev().map(|i| if i == 0 { 0 } else { 3_600 }).collect();
        let runtime = runtime(2);
        assert_eq!(runtime.run(taskgraph::race(lengths.iter().map(|&seconds| after(seconds)))).unwrap(), 0);
        let (which, _) = runtime.run(taskgraph::first_of(lengths.iter().map(|&seconds| after(seconds)))).unwrap();
        assert_eq!(which, lengths.len() - 1);
        assert_eq!(runtime.run(taskgraph::select_ok(lengths.iter().map(|&seconds| after(seconds)))).unwrap(), 0);
    });
}

/// If the number of items is not known, they are made while the others run.
#[test]
fn is_bounded_where_each_does_not_know_its_length() {
    for max_workers in [1, 4] {
        let (census, made) = (Census::new(), Census::new());
        let counted = made.clone();
        let odd = (0..4 * MANY).filter(|i| i % 2 == 1).map(move |i| (i, counted.counted()));
        let of_each = census.clone();
        let numbers = each(odd, move |(i, counted)| {
            drop(counted);
            let argument = of_each.counted();
            DC::new(move |argument: Counted| (drop(argument), i).1, (argument,))
        });
        assert_eq!(made.live_max(), 0, "nothing is made before it runs");
        let numbers = runtime(max_workers).run(numbers).unwrap();
        assert!(numbers.into_iter().eq((0..4 * MANY).filter(|i| i % 2 == 1)));
        assert!(census.live_max() < IN_FLIGHT_MAX, "{}", census.live_max());
    }
}
