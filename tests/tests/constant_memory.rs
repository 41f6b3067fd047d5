//! The memory of a run: bounded by what is in flight, not by what has run.

// A checker has memory of its own.
#![cfg(not(taskgraph_system_alloc))]

use taskgraph::{DC, Shared, all, delayed, each};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::{process, run, runtime};

const MIB: u64 = 1 << 20;

fn countdown(n: u64) -> DC<u64> {
    if n == 0 { DC::value(0) } else { DC::<u64>::new(countdown, (n - 1,)) }
}

#[track_caller]
fn assert_needs(bytes_max: u64, code: impl FnOnce()) {
    let before = process::resident_bytes_max();
    code();
    let needed = process::resident_bytes_max() - before;
    println!("measured {} KiB", needed >> 10);
    assert!(needed < bytes_max, "it needs {} MiB", needed / MIB);
}

#[test]
fn ten_million_returned_computations_need_constant_memory() {
    process::alone("ten_million_returned_computations_need_constant_memory", || {
        for max_workers in [1, 2] {
            let runtime = runtime(max_workers);
            assert_eq!(runtime.run(countdown(1000)).unwrap(), 0);
            assert_needs(8 * MIB, || assert_eq!(runtime.run(countdown(10_000_000)).unwrap(), 0));
        }
    });
}

/// Adds up instead of keeping.
#[derive(Debug, PartialEq)]
struct Sum(u64);

impl FromIterator<Small> for Sum {
    fn from_iter<I: IntoIterator<Item = Small>>(iter: I) -> Self {
        Self(iter.into_iter().map(|Small(x)| u64::from(x)).sum())
    }
}

impl IntoIterator for Sum {
    type Item = Small;
    type IntoIter = std::iter::Empty<Small>;
    fn into_iter(self) -> Self::IntoIter {
        std::iter::empty()
    }
}

struct Small(u8);

const YIELDS: u64 = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };

#[delayed]
fn small(argument: Counted, _heavy: [u64; 16]) -> Small {
    argument.check();
    Small(1)
}

#[delayed]
fn many(census: Census) -> Sum {
    for _ in 0..YIELDS {
        yield_!(small(census.counted(), [0; 16]));
    }
}

#[test]
fn a_generator_keeps_few_computations_in_flight() {
    process::alone("a_generator_keeps_few_computations_in_flight", || {
        for max_workers in [1, 2, 8] {
            let census = Census::new();
            let runtime = runtime(max_workers);
            // The results stay until the end, a byte each, in segments that are allocated as they are needed.
            assert_needs(16 * MIB + 2 * YIELDS, || {
                assert_eq!(runtime.run(many(census.clone())).unwrap(), Sum(YIELDS));
            });
            census.assert_balanced(YIELDS as i64);
            println!("measured {} in flight at {max_workers}", census.live_max());
            assert!(census.live_max() < 20_000, "{} computations were in flight", census.live_max());
        }
    });
}

#[test]
fn a_computation_for_each_keeps_few_in_flight() {
    process::alone("a_computation_for_each_keeps_few_in_flight", || {
        for max_workers in [1, 2, 8] {
            let census = Census::new();
            let runtime = runtime(max_workers);
            // The results stay until the end, a byte each.
            assert_needs(16 * MIB + 2 * YIELDS, || {
                let made = census.clone();
                let results = each(0..YIELDS, move |_| small(made.counted(), [0; 16]));
                let sum = results.map(|results| results.iter().map(|Small(x)| u64::from(*x)).sum::<u64>());
                assert_eq!(runtime.run(sum).unwrap(), YIELDS);
            });
            census.assert_balanced(YIELDS as i64);
            println!("measured {} in flight at {max_workers}", census.live_max());
            assert!(census.live_max() < 20_000, "{} computations were in flight", census.live_max());
        }
    });
}

/// Nodes that are built and wait.
const PENDING: u64 = 1_000_000;
/// What a node may cost beyond its arguments.
const NODE_BYTES_MAX: usize = 96;

/// Builds nodes with arguments of this many bytes and measures them before they run; `handle_bytes` of the handles on
/// them are kept.
#[track_caller]
fn check_pending(
    what: &str,
    argument_bytes: usize,
    handle_bytes: usize,
    built: impl FnOnce() -> DC<u64>,
    expected: u64,
) {
    let before = process::resident_bytes();
    let pending = built();
    let bytes = (process::resident_bytes() - before) as f64 / PENDING as f64 - handle_bytes as f64;
    println!("measured {bytes:.1} bytes for {what}, {argument_bytes} of them arguments");
    // The system counts pages, and the nodes lie in larger pieces with heads of their own.
    let bytes_max = (NODE_BYTES_MAX + argument_bytes) as f64 + 1.0;
    assert!((argument_bytes as f64..bytes_max).contains(&bytes), "{bytes} bytes for {what}");
    assert_eq!(run(pending, 1).unwrap(), expected);
}

const HANDLE_BYTES: usize = size_of::<DC<u64>>();

#[delayed]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[delayed]
fn next(previous: u64) -> u64 {
    previous + 1
}

#[delayed]
fn lent(a: u64, b: &u64) -> u64 {
    a + b
}

fn total(calls: Vec<DC<u64>>) -> DC<u64> {
    all(calls).map(|results| results.iter().sum())
}

#[test]
fn a_pending_call_costs_little_beyond_its_arguments() {
    process::alone("a_pending_call_costs_little_beyond_its_arguments", || {
        let calls = || total((0..PENDING).map(|i| add(i, 1)).collect());
        check_pending("a call of two numbers", 16, HANDLE_BYTES, calls, (1..=PENDING).sum());
    });
}

#[test]
fn a_pending_link_costs_little_beyond_its_slot() {
    process::alone("a_pending_link_costs_little_beyond_its_slot", || {
        let chain = || (0..PENDING).fold(DC::value(0), |chain, _| next(chain));
        check_pending("a link of a chain", 8, 0, chain, PENDING);
    });
}

#[test]
fn a_pending_shared_result_costs_little_beyond_its_computation() {
    process::alone("a_pending_shared_result_costs_little_beyond_its_computation", || {
        let mut handles = Vec::new();
        let shared = || {
            handles = (0..PENDING).map(|i| DC::value(i).shared()).collect();
            DC::value(7)
        };
        // Its argument is a computation: the handle on that, which here is the value itself.
        check_pending("a shared result", HANDLE_BYTES, size_of::<Shared<u64>>(), shared, 7);
        assert_eq!(run(total(handles.iter().map(Shared::dc).collect()), 1).unwrap(), (0..PENDING).sum::<u64>());
    });
}

#[test]
fn a_pending_call_of_shared_results_costs_little_beyond_their_places() {
    process::alone("a_pending_call_of_shared_results_costs_little_beyond_their_places", || {
        // The place of a shared argument counts as an argument: a handle on the result, and two words for waiting, the
        // next waiter and the node.
        const PLACE_BYTES: usize = 3 * size_of::<usize>();
        let (a, b) = (DC::value(2).shared(), DC::new(|| 3, ()).shared());
        let calls = || total((0..PENDING).map(|_| lent(a.clone(), b.clone())).collect());
        check_pending("a call of two shared results", 2 * PLACE_BYTES, HANDLE_BYTES, calls, 5 * PENDING);
    });
}

#[test]
fn heavy_yields_are_few_in_flight() {
    // Each holds its argument until it has run, which takes a while.
    #[delayed]
    fn heavy(argument: Counted) -> u8 {
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_micros(300) {}
        argument.check();
        1
    }
    #[delayed]
    fn heavies(census: Census) -> Vec<u8> {
        for _ in 0..2000 {
            yield_!(heavy(census.counted()));
        }
    }
    let census = Census::new();
    assert_eq!(run(heavies(census.clone()), 2).unwrap().len(), 2000);
    census.assert_balanced(2000);
    assert!(census.live_max() <= 300, "{} computations were in flight", census.live_max());
}

/// Many more than may be in flight.
const ROWS: u64 = 20_000;
const COLUMNS: u64 = 16;

#[delayed]
fn cell(up: u64, left: u64) -> u64 {
    (up + left) % 1_000
}

/// The ends of all rows.
#[delayed]
fn grid() -> Vec<u64> {
    let mut above: Vec<Shared<u64>> = (0..COLUMNS).map(|_| DC::value(1).shared()).collect();
    for _ in 0..ROWS {
        let mut left = DC::value(1).shared();
        let row = above.into_iter().map(|up| {
            let [right, down] = cell(up, left.clone()).tee();
            left = right;
            down
        });
        above = row.collect();
        yield_!(left.dc());
    }
}

#[test]
fn a_grid_that_grows_is_never_there_as_a_whole() {
    process::alone("a_grid_that_grows_is_never_there_as_a_whole", || {
        let mut row = [1; COLUMNS as usize];
        let mut next_end = || {
            let mut left = 1;
            for cell in &mut row {
                left = (*cell + left) % 1_000;
                *cell = left;
            }
            left
        };
        let ends: Vec<u64> = (0..ROWS).map(|_| next_end()).collect();
        for max_workers in [1, 2, 8] {
            let runtime = runtime(max_workers);
            // All cells at once would be 60 MiB.
            assert_needs(20 * MIB, || assert_eq!(runtime.run(grid()).unwrap(), ends));
        }
    });
}

#[test]
fn runs_give_their_memory_back() {
    process::alone("runs_give_their_memory_back", || {
        let runtime = runtime(2);
        let mut after = Vec::new();
        for _ in 0..5 {
            let chain = (0..500_000u64).fold(DC::value(0), |chain, _| chain.map(|x: u64| x + 1));
            assert_eq!(runtime.run(chain).unwrap(), 500_000);
            after.push(process::resident_bytes() / MIB);
        }
        println!("measured {after:?} MiB");
        assert!(after[4] <= after[1] + 8, "{after:?} MiB stay");
    });
}
/// Neither the results nor the computations are ever all there.
#[test]
fn a_stream_of_ten_million_takes_constant_memory() {
    #[delayed]
    fn count(argument: Counted, _heavy: [u64; 16]) -> u64 {
        argument.check();
        1
    }
    #[delayed]
    fn counts(census: Census) -> Vec<u64> {
        for _ in 0..YIELDS {
            yield_!(count(census.counted(), [0; 16]));
        }
    }
    process::alone("a_stream_of_ten_million_takes_constant_memory", || {
        for max_workers in [1, 2, 8] {
            let census = Census::new();
            let runtime = runtime(max_workers);
            assert_needs(16 * MIB, || {
                let stream = counts(census.clone()).into_stream();
                assert_eq!(runtime.run(stream.fold(0, |sum, one| sum + one)).unwrap(), YIELDS);
            });
            census.assert_balanced(YIELDS as i64);
            println!("measured {} in flight at {max_workers}", census.live_max());
            assert!(census.live_max() < 20_000, "{} computations were in flight", census.live_max());
        }
    });
}

/// One task that awaits ten million others, one after the other.
#[test]
fn ten_million_awaited_computations_need_constant_memory() {
    #[delayed]
    async fn sum(n: u64) -> Result<u64, taskgraph::Error> {
        let mut sum = 0;
        for _ in 0..n {
            sum += DC::new(|one: u64| one, (1,)).await?;
        }
        Ok(sum)
    }
    process::alone("ten_million_awaited_computations_need_constant_memory", || {
        for max_workers in [1, 2] {
            let runtime = runtime(max_workers);
            assert_eq!(runtime.run(sum(1000)).unwrap(), 1000);
            assert_needs(8 * MIB, || assert_eq!(runtime.run(sum(YIELDS)).unwrap(), YIELDS));
        }
    });
}
