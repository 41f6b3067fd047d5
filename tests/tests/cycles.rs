//! Shared computations that would wait for themselves: they fail, whatever the way and whoever comes last.

use std::sync::{Arc, Barrier, OnceLock};

use taskgraph::testing::run_seeded;
use taskgraph::{DC, Error, Shared, delayed};
use taskgraph_tests::bodies::at_any_width;
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::{run, runtime, wait};

/// Handles that the computations themselves get hold of.
#[derive(Clone)]
struct Ring(Arc<Vec<OnceLock<Shared<u64>>>>, Census);

impl Ring {
    /// This many computations, each of which needs the next one, in the ways of `WAYS` from `first_way` on.
    fn new(len: usize, first_way: usize, census: &Census) -> Self {
        let ring = Self(Arc::new((0..len).map(|_| OnceLock::new()).collect()), census.clone());
        for i in 0..len {
            let one = WAYS[(first_way + i) % WAYS.len()](ring.clone(), (i + 1) % len);
            ring.0[i].set(one.shared()).ok().unwrap();
        }
        ring
    }

    fn get(&self, i: usize) -> Shared<u64> {
        self.0[i].get().unwrap().clone()
    }
}

/// Handles hold their graphs, and those hold the ring: whoever makes a ring has to take it apart.
fn take_apart(ring: Ring) {
    // A computation that has run holds nothing of it.
    assert_eq!(Arc::strong_count(&ring.0), 1, "something is left");
}

#[delayed]
fn by_value(x: u64, held: Counted) -> u64 {
    held.check();
    x + 1
}

#[delayed]
fn by_reference(x: &u64, held: &Counted) -> u64 {
    held.check();
    x + 1
}

#[delayed]
fn returns(ring: Ring, next: usize) -> DC<u64> {
    by_value(ring.get(next), ring.1.counted())
}

#[delayed]
fn returns_reference(ring: Ring, next: usize) -> DC<u64> {
    by_reference(ring.get(next), ring.1.counted())
}

#[delayed]
fn generates(ring: Ring, next: usize) -> Vec<u64> {
    yield_!(1);
    yield_!(by_value(ring.get(next), ring.1.counted()));
}

#[delayed]
async fn awaits(ring: Ring, next: usize) -> Result<u64, Error> {
    let _held = ring.1.counted();
    ring.get(next).await
}

#[delayed]
async fn awaits_deeply(ring: Ring, next: usize) -> Result<u64, Error> {
    awaits(ring, next).await
}

#[delayed]
fn collects(ring: Ring, next: usize) -> DC<u64> {
    taskgraph::all([ring.get(next).dc(), DC::value(1)]).map(|all| all.iter().sum())
}

#[delayed(retries = 1, backoff = "1ns..1ns", limit = 2, priority = 1)]
fn with_options(ring: Ring, next: usize) -> DC<u64> {
    ring.get(next).dc()
}

type Way = fn(Ring, usize) -> DC<u64>;

const WAYS: [Way; 10] = [
    returns,
    returns_reference,
    |ring, next| generates(ring, next).map(|all| all[1]),
    awaits,
    awaits_deeply,
    collects,
    with_options,
    |ring, next| DC::value(()).then(move |()| ring.get(next).dc().map(|x| x).named("named")),
    |ring, next| DC::value(1).then(move |x| x + ring.get(next).dc()),
    // A failure that is caught inside the cycle is handed on.
    |ring, next| {
        let caught = DC::value(()).then(move |()| ring.get(next).dc().map(|x| x).attempt());
        DC::<u64>::new(|result: Result<u64, Error>| result, (caught,))
    },
];

#[track_caller]
fn assert_is_cycle(error: &Error) {
    assert!(error.is_deadlock());
    assert!(error.to_string().contains("waits for itself: what it needs depends on "), "{error:#}");
    assert!(!error.is_timeout() && !error.is_cancelled() && !error.is_panic());
}

#[test]
fn a_cycle_of_any_length_and_in_any_way_fails() {
    for way in 0..WAYS.len() {
        for len in [1, 2, 3, 7] {
            at_any_width(move |max_workers| {
                let census = Census::new();
                let ring = Ring::new(len, way, &census);
                assert_is_cycle(&run(ring.get(0).dc(), max_workers).unwrap_err());
                take_apart(ring);
                assert_eq!(census.live(), 0);
            });
            for seed in 0..40 {
                let census = Census::new();
                let ring = Ring::new(len, way, &census);
                let all = taskgraph::all((0..len).map(|i| ring.get(i).dc().map(|x| x)));
                assert_is_cycle(&run_seeded(all, seed).unwrap_err());
                take_apart(ring);
                assert_eq!(census.live(), 0);
            }
        }
    }
}

#[test]
fn a_long_cycle_fails() {
    for len in [1_000, 20_000] {
        at_any_width(move |max_workers| {
            let ring = Ring(Arc::new((0..len).map(|_| OnceLock::new()).collect()), Census::new());
            (0..len).for_each(|i| ring.0[i].set(returns(ring.clone(), (i + 1) % len).shared()).ok().unwrap());
            assert_is_cycle(&run(ring.get(0).dc(), max_workers).unwrap_err());
        });
    }
}

#[test]
fn the_path_is_told_in_order() {
    #[delayed]
    fn first(x: u64) -> u64 {
        x
    }
    #[delayed]
    async fn second(ring: Ring) -> Result<u64, Error> {
        ring.get(2).dc().named("from second").await
    }
    #[delayed]
    fn third(x: &u64) -> u64 {
        *x
    }
    let ring = Ring(Arc::new((0..3).map(|_| OnceLock::new()).collect()), Census::new());
    let late = |i: usize| {
        let ring = ring.clone();
        DC::value(()).then(move |()| ring.get(i).dc())
    };
    ring.0[0].set(first(late(1)).shared()).ok().unwrap();
    ring.0[1].set(second(ring.clone()).shared()).ok().unwrap();
    ring.0[2].set(third(late(0)).named("the third").shared()).ok().unwrap();
    let error = run(ring.get(0).dc().map(|x| x), 1).unwrap_err();
    let told = error.to_string();
    println!("{error:#}");
    let places: Vec<_> = ["`first` (", "`second` (", "`third` \"the third\" ("].map(|name| told.find(name)).to_vec();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{told}");
    assert!(told.matches(file!()).count() >= 3, "{told}");
}

/// Two that ask for each other at the same moment: one or the other sees it.
#[test]
fn both_ends_may_close_it_at_once() {
    #[delayed]
    fn meets(ring: Ring, other: usize, barrier: Arc<Barrier>) -> DC<u64> {
        let other = ring.get(other);
        barrier.wait();
        by_value(other, ring.1.counted())
    }
    wait::ends(|| {
        let runtime = runtime(2);
        for _ in 0..2_000 {
            let census = Census::new();
            let ring = Ring(Arc::new(vec![OnceLock::new(), OnceLock::new()]), census.clone());
            let barrier = Arc::new(Barrier::new(2));
            for i in 0..2 {
                ring.0[i].set(meets(ring.clone(), 1 - i, Arc::clone(&barrier)).shared()).ok().unwrap();
            }
            let runs = [0, 1].map(|i| runtime.spawn(ring.get(i).dc()));
            for run in runs {
                assert_is_cycle(&run.join().unwrap_err());
            }
            assert_eq!(census.live(), 0);
        }
    });
}

#[test]
fn an_attempt_outside_catches_it_and_all_who_need_it_fail_alike() {
    at_any_width(|max_workers| {
        let census = Census::new();
        let ring = Ring::new(3, 0, &census);
        let caught = ring.get(0).dc().attempt().map(|result| u64::from(result.is_err()));
        assert_eq!(run(caught, max_workers).unwrap(), 1);
        for i in 0..3 {
            assert_is_cycle(&run(by_value(ring.get(i), census.counted()), max_workers).unwrap_err());
        }
        assert_eq!(census.live(), 0);
    });
}

#[test]
fn what_is_caught_inside_goes_on() {
    let ring = Ring(Arc::new(vec![OnceLock::new()]), Census::new());
    let own = ring.clone();
    let knows = DC::value(()).then(move |()| own.get(0).dc().attempt().map(|own| u64::from(own.is_err())));
    ring.0[0].set(knows.shared()).ok().unwrap();
    assert_eq!(run(ring.get(0).dc(), 2).unwrap(), 1);
}

/// A cycle with a timeout in it ends, too.
#[test]
fn a_cycle_through_a_timeout_ends() {
    at_any_width(|max_workers| {
        let ring = Ring(Arc::new(vec![OnceLock::new()]), Census::new());
        let own = ring.clone();
        let timed = DC::value(()).then(move |()| own.get(0).dc().timeout(std::time::Duration::from_millis(5)));
        ring.0[0].set(timed.shared()).ok().unwrap();
        assert!(run(ring.get(0).dc(), max_workers).is_err());
    });
}

/// A recursion that remembers its results: the deeper it is, the more wait.
#[test]
fn what_is_deep_is_no_cycle() {
    type Memory = Arc<Vec<OnceLock<Shared<u64>>>>;
    #[delayed]
    fn fib(memory: Memory, n: usize) -> DC<u64> {
        let get = |n: usize| memory[n].get_or_init(|| fib(Arc::clone(&memory), n).shared()).clone();
        if n < 2 { DC::value(n as u64) } else { DC::new(|a: u64, b: u64| a.wrapping_add(b), (get(n - 1), get(n - 2))) }
    }
    let n = 20_000;
    let expected = (0..n).fold((0u64, 1u64), |(a, b), _| (b, a.wrapping_add(b))).0;
    at_any_width(move |max_workers| {
        let memory: Memory = Arc::new((0..=n).map(|_| OnceLock::new()).collect());
        let started = std::time::Instant::now();
        assert_eq!(run(fib(memory, n), max_workers).unwrap(), expected);
        println!("{max_workers} workers: {:?}", started.elapsed());
    });
}
