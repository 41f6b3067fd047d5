//! No stack grows with the graph, however it ends.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use taskgraph::{DC, Error, Shared, all, delayed, each};
use taskgraph_tests::ends::{ENDS, End, end};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{run, size};

/// The length of chains: a stack that grew by a few bytes for each node would be long gone.
const LONG: u64 = size::of(10_000_000, 1_000_000, 50_000);
/// The depth of graphs of larger nodes.
const DEEP: u64 = LONG / 20;

/// Runs `code` on a thread with a stack too small for any recursion.
#[track_caller]
fn on_a_small_stack(code: impl FnOnce() + Send + 'static) {
    const STACK_BYTES: usize = 256 << 10;
    wait::ends(|| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(code).unwrap();
        if let Err(payload) = thread.join() {
            std::panic::resume_unwind(payload);
        }
    });
}

/// Ends a deep graph in every way, on workers with ordinary stacks.
#[track_caller]
fn check_deep<T: Send + Debug + PartialEq + 'static>(
    build: impl Fn(DC<u64>) -> DC<T> + Clone + Send + 'static,
    expected: T,
    cause_of_failure: Option<&str>,
) {
    let cause_of_failure = cause_of_failure.map(str::to_owned);
    on_a_small_stack(move || {
        for max_workers in [1, 4] {
            for how in ENDS {
                let result = end(how, max_workers, || 1, build.clone());
                match (how, result) {
                    (End::Unrun, result) => assert!(result.is_none()),
                    (End::Success, result) => assert_eq!(result.unwrap().unwrap(), expected),
                    (End::Cancelled, result) => assert!(result.unwrap().unwrap_err().is_cancelled()),
                    (End::Error | End::Panic, result) => match (&cause_of_failure, result.unwrap()) {
                        (Some(cause), Err(error)) => assert!(error.to_string().contains(cause), "{error}"),
                        (None, Ok(_)) => {}
                        (_, result) => panic!("{how:?} ended as {result:?}"),
                    },
                }
            }
        }
    });
}

#[test]
fn a_long_chain_of_map_ends_in_any_way() {
    check_deep(|leaf| (0..LONG).fold(leaf, |chain, _| chain.map(|x| x + 1)), 1 + LONG, Some("luck"));
}

#[test]
fn a_long_chain_that_fails_half_way_fails() {
    on_a_small_stack(|| {
        for max_workers in [1, 4] {
            let below = (0..LONG / 2).fold(DC::value(0), |chain, _| chain.map(|x: u64| x + 1));
            let failing = DC::<u64>::new(|x: u64| Err::<u64, String>(format!("at {x}")), (below,));
            let chain = (0..LONG / 2).fold(failing, |chain, _| chain.map(|x| x + 1));
            let error = run(chain, max_workers).unwrap_err();
            assert!(error.to_string().ends_with(&format!("failed: at {}", LONG / 2)), "{error}");
            assert_eq!(error.trace().len(), 64, "only the nearest tasks are told");
        }
    });
}

#[test]
fn a_long_chain_of_names_ends_in_any_way() {
    check_deep(|leaf| (0..LONG / 4).fold(leaf, |chain, _| chain.named("link")), 1, Some("luck"));
}

#[test]
fn a_long_chain_of_then_ends_in_any_way() {
    check_deep(
        |leaf| (0..LONG / 4).fold(leaf, |chain, _| chain.then(|x| DC::value(x + 1))),
        1 + LONG / 4,
        Some("luck"),
    );
}

#[test]
fn a_deep_chain_of_shared_results_ends_in_any_way() {
    check_deep(|leaf| (0..DEEP).fold(leaf, |chain, _| chain.shared().dc()), 1, Some("luck"));
}

#[test]
fn a_deep_chain_of_attempts_ends_in_any_way() {
    check_deep(|leaf| (0..DEEP).fold(leaf, |chain, _| chain.attempt().map(|x| x.unwrap_or(0) + 1)), 1 + DEEP, None);
}

#[test]
fn attempts_whose_siblings_have_failed_end_at_once() {
    // The siblings wait until the innermost task runs, then all of them fail, and only then does it end. That ends all
    // attempts, one after the other.
    const ATTEMPTS: u64 = 20_000;
    on_a_small_stack(|| {
        for fails in [false, true] {
            let (started, failed) = (Arc::new(Stages::new()), Arc::new(AtomicUsize::new(0)));
            let (start, seen) = (Arc::clone(&started), Arc::clone(&failed));
            let innermost = DC::<u64>::new(
                move || {
                    start.signal(1);
                    wait::until(|| seen.load(Ordering::SeqCst) == ATTEMPTS as usize);
                    if fails { Err("innermost") } else { Ok(1) }
                },
                (),
            );
            let chain = (0..ATTEMPTS).fold(innermost, |chain, _| {
                let (started, failed) = (Arc::clone(&started), Arc::clone(&failed));
                let sibling = DC::<()>::new(
                    move || {
                        started.wait_for(1);
                        failed.fetch_add(1, Ordering::SeqCst);
                        Err::<(), _>("sibling")
                    },
                    (),
                );
                DC::new(|_: Result<u64, Error>, ()| 1, (chain.attempt(), sibling))
            });
            // The whole is in an attempt, too, or the failure of the outermost sibling would stop the others.
            let error = run(chain.attempt(), 2).unwrap().unwrap_err();
            assert!(error.to_string().ends_with("failed: sibling"), "{error}");
        }
    });
}

#[test]
fn deep_lists_end_in_any_way() {
    // Longer than a list that starts all at once, so that each is handed out in parts.
    check_deep(
        |leaf| {
            (0..DEEP / 10).fold(leaf, |chain, _| {
                let others = (0..20).map(|_| DC::value(0));
                all(others.chain([chain])).map(|values| values.iter().sum::<u64>() + 1)
            })
        },
        1 + DEEP / 10,
        Some("luck"),
    );
}

#[test]
fn deep_computations_for_each_end_in_any_way() {
    check_deep(
        |leaf| {
            (0..DEEP / 10).fold(leaf, |chain, _| {
                // The one that goes on is an item.
                let others = (0..20).map(|_| DC::value(0));
                let items: Vec<_> = others.chain([chain]).collect();
                each(items, |item| item).map(|values| values.iter().sum::<u64>() + 1)
            })
        },
        1 + DEEP / 10,
        Some("luck"),
    );
}

#[delayed]
fn sum(values: &[u64]) -> u64 {
    values.iter().sum()
}

#[test]
fn deep_lists_of_arguments_end_in_any_way() {
    for len in [1, 20] {
        check_deep(
            move |leaf| {
                (0..DEEP / 10).fold(leaf, |chain, _| {
                    let others = (0..len).map(|i| DC::value(u64::from(i == 0)));
                    sum(others.chain([chain]).collect::<Vec<_>>())
                })
            },
            1 + DEEP / 10,
            Some("luck"),
        );
    }
}

#[delayed]
fn layers(depth: u64, leaf: Leaf) -> Vec<u64> {
    if depth == 0 {
        yield_!(leaf.0);
    } else {
        yield_!(sum(layers(depth - 1, leaf)));
        yield_!(1);
    }
}

struct Leaf(DC<u64>);

#[test]
fn deep_generators_end_in_any_way() {
    check_deep(|leaf| sum(layers(DEEP, Leaf(leaf))), 1 + DEEP, Some("luck"));
}

#[delayed]
fn boxed(depth: u64, leaf: Leaf) -> DC<u64> {
    match depth {
        0 => leaf.0,
        // The next computation is hidden in an argument, not part of the graph.
        _ => boxed(depth - 1, leaf),
    }
}

#[test]
fn a_long_line_of_returned_computations_ends_in_any_way() {
    check_deep(|leaf| boxed(LONG / 4, Leaf(leaf)), 1, Some("luck"));
}

#[test]
fn computations_inside_values_are_dropped_one_after_the_other() {
    on_a_small_stack(|| {
        struct Nested(#[expect(dead_code, reason = "it is only dropped")] Option<DC<Nested>>);
        let nested = (0..DEEP).fold(DC::value(Nested(None)), |inner, _| DC::value(Nested(Some(inner))));
        drop(nested);
    });
}

#[test]
fn one_worker_runs_a_deep_tree_of_returned_computations() {
    #[delayed]
    fn add(a: u64, b: u64) -> u64 {
        a + b
    }
    #[delayed]
    fn tree(depth: u32) -> DC<u64> {
        if depth == 0 { DC::value(1) } else { add(tree(depth - 1), tree(depth - 1)) }
    }
    assert_eq!(wait::ends(|| run(tree(14), 1)).unwrap(), 1 << 14);
}

/// A result that owns a handle on the one before.
#[derive(Clone, Debug)]
struct State(u64, Option<Shared<State>>);

#[delayed]
fn states(len: u64) -> Vec<State> {
    let mut before = None;
    for i in 0..len {
        let state = DC::new(move || State(i, before), ()).shared();
        yield_!(state.dc().map(move |state| State(state.0, (i + 1 == len).then_some(state.1).flatten())));
        before = Some(state);
    }
}

#[test]
fn results_that_own_each_other_are_dropped_one_by_one() {
    on_a_small_stack(|| {
        for max_workers in [1, 4] {
            // The last handle on all of them is in the last result: it is dropped here, and on a worker.
            let mut states = run(states(DEEP), max_workers).unwrap();
            assert_eq!((states.len() as u64, states[7].0), (DEEP, 7));
            let last = states.pop().and_then(|last| last.1).unwrap();
            let len = DC::new(|state: State| state.0 + 1, (last,));
            assert_eq!(run(len, max_workers).unwrap(), DEEP - 1);
            let last = run(self::states(DEEP), max_workers).unwrap().pop();
            assert_eq!(last.map(|last| last.0), Some(DEEP - 1));
        }
    });
}
