//! Who gets which node, what of a deque is public, and what becomes of its memory; and what the model checker cannot see.

use std::collections::VecDeque;
use std::iter;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

/// A node that nobody looks at.
fn numbered(i: usize) -> Queued {
    let node = NonNull::new(ptr::without_provenance_mut(i + 1)).expect("no number is that large");
    // SAFETY: the deque looks at no node.
    unsafe { Queued::again(Ready(node)) }
}

fn number(node: Queued) -> usize {
    node.into_node().addr().get() - 1
}

/// Waits until barriers are exact; false where they never will be.
fn barriers_are_exact() -> bool {
    barrier::make_exact();
    let start = Instant::now();
    while !barrier::is_exact() && start.elapsed() < Duration::from_secs(5) {
        thread::yield_now();
    }
    barrier::is_exact()
}

/// A closed deque, unless it always will be open.
fn calm(start: usize) -> Deque {
    let deque = Deque::starting_at(start);
    let is_exact = barriers_are_exact();
    deque.calm_down(0);
    assert_eq!(is_open(&deque), !is_exact);
    deque
}

/// The oldest node, if need be by insisting.
fn steal_any(stealer: &Stealer) -> Option<Queued> {
    stealer.steal().or_else(|| stealer.insist())
}

fn is_open(deque: &Deque) -> bool {
    deque.shared.thief.access.load(Ordering::Relaxed) == OPEN
}

#[test]
fn the_owner_takes_the_newest_and_a_thief_the_oldest() {
    // Also where indices wrap around, and where they change their sign.
    for start in [0, usize::MAX - 10, isize::MAX as usize - 10] {
        let deque = Deque::starting_at(start);
        let stealer = deque.stealer();
        let n = 5 * CAPACITY_KEPT;
        (0..n).for_each(|i| deque.push(numbered(i)));
        assert_eq!(stealer.len(), n);
        for i in 0..n / 2 {
            assert_eq!(steal_any(&stealer).map(number), Some(i));
            assert_eq!(deque.pop().map(number), Some(n - 1 - i));
            deque.calm_down(1);
        }
        assert!(stealer.is_empty() && deque.pop().is_none() && steal_any(&stealer).is_none());
        assert!(deque.circle.get().capacity() <= CAPACITY_KEPT, "what is not needed is given back");
        deque.push(numbered(7));
        assert_eq!(deque.pop().map(number), Some(7));
    }
}

#[test]
fn a_deque_that_was_robbed_and_has_shrunk_grows_again() {
    let deque = Deque::new();
    let stealer = deque.stealer();
    let (n_before, n_after) = (2 * CAPACITY_KEPT, 4 * CAPACITY_KEPT);
    (0..n_before).for_each(|i| deque.push(numbered(i)));
    (0..n_before - 1).for_each(|i| assert_eq!(steal_any(&stealer).map(number), Some(i)));
    deque.calm_down(u32::MAX);
    assert!(deque.circle.get().capacity() < n_before);
    (n_before..n_after).for_each(|i| deque.push(numbered(i)));
    (n_before - 1..n_after).for_each(|i| assert_eq!(steal_any(&stealer).map(number), Some(i)));
}

#[test]
fn in_whatever_order_it_is_used_it_is_a_double_ended_queue() {
    let deque = calm(usize::MAX - 100_000);
    let stealer = deque.stealer();
    let mut expected = VecDeque::new();
    // A generator of numbers (MINSTD) is enough to go through all orders.
    let mut random = 1u64;
    let mut below = |end: u64| {
        random = random * 48_271 % 0x7fff_ffff;
        random % end
    };
    for _ in 0..2_000 {
        let kind = below(5);
        for _ in 0..below(2 * CAPACITY_KEPT as u64) {
            match kind {
                0 | 1 if expected.len() < 8 * CAPACITY_KEPT => {
                    let i = below(1 << 30) as usize;
                    expected.push_back(i);
                    deque.push(numbered(i));
                }
                2 => assert_eq!(deque.pop().map(number), expected.pop_back()),
                3 => {
                    // What was public is stolen, or nothing.
                    if let Some(i) = stealer.steal().map(number) {
                        assert_eq!(Some(i), expected.pop_front());
                    }
                }
                _ => assert_eq!(steal_any(&stealer).map(number), expected.pop_front()),
            }
        }
        deque.calm_down(if below(2) == 0 { 0 } else { u32::MAX });
        assert_eq!(stealer.len(), expected.len());
    }
}

#[test]
fn only_the_oldest_nodes_are_public() {
    let deque = calm(0);
    if is_open(&deque) {
        return;
    }
    let stealer = deque.stealer();
    let steal_all = || iter::from_fn(|| stealer.steal().map(number)).collect::<Vec<_>>();
    (0..10).for_each(|i| deque.push(numbered(i)));
    assert_eq!(steal_all(), [], "its owner may pop next");
    deque.show(0);
    assert_eq!(steal_all(), [0, 1, 2, 3]);
    assert_eq!(deque.pop().map(number), Some(9));
    assert_eq!(steal_all(), [4, 5, 6, 7], "a pop makes the next ones public");
    assert_eq!(deque.pop().map(number), Some(8));
    assert_eq!((deque.pop().map(number), steal_all()), (None, vec![]));
    deque.show(0);
    deque.push(numbered(10));
    assert_eq!(steal_all(), [], "there was nothing to show");
    deque.push(numbered(11));
    deque.show(1);
    assert_eq!(steal_all(), [10], "the newest is kept");
    deque.push(numbered(12));
    deque.show(0);
    assert_eq!(deque.pop().map(number), Some(12), "what is public is the owner's, too");
    assert_eq!(deque.pop().map(number), Some(11));
    assert_eq!((deque.pop().map(number), steal_all()), (None, vec![]));
    assert!(!is_open(&deque), "nobody has insisted");
}

#[test]
fn a_thief_that_insists_makes_all_public_for_a_while() {
    let deque = calm(0);
    if is_open(&deque) {
        return;
    }
    let stealer = deque.stealer();
    for _ in 0..2 {
        (0..5).for_each(|i| deque.push(numbered(i)));
        deque.show(4);
        assert_eq!(steal_any(&stealer).map(number), Some(0));
        assert!(!is_open(&deque), "what is public can be had without");
        assert_eq!(steal_any(&stealer).map(number), Some(1));
        assert!(is_open(&deque));
        assert_eq!(stealer.steal().map(number), Some(2));
        (0..2).for_each(|_| deque.calm_down(3));
        assert!(is_open(&deque));
        deque.calm_down(3);
        assert!(!is_open(&deque));
        assert_eq!(stealer.steal().map(number), Some(3), "the oldest stay public");
        assert_eq!(deque.pop().map(number), Some(4));
        deque.push(numbered(5));
        assert!(stealer.steal().is_none());
        assert_eq!(deque.pop().map(number), Some(5));
    }
}

#[test]
fn what_an_owner_leaves_is_public() {
    let deque = calm(0);
    let stealer = deque.stealer();
    (0..3).for_each(|i| deque.push(numbered(i)));
    deque.leave();
    (0..3).for_each(|i| assert_eq!(stealer.steal().map(number), Some(i)));
}

/// What the model checker cannot see: an owner without a fence, whose stores wait, and a thief that comes meanwhile. It
/// fails at once where the thief's barrier is missing or comes too early.
#[test]
#[cfg_attr(debug_assertions, ignore = "no store waits for long enough: cargo test --release -p taskgraph --lib deque")]
fn an_owner_whose_stores_wait_and_a_thief_never_take_the_same_node() {
    /// Enough not to be in any cache.
    const FAR: usize = 1 << 23;
    const FAR_APART: usize = 5_184_673;
    const ROUNDS: usize = 1 << 18;
    /// How many of the nodes were stolen.
    fn owner_and_thief(far: &[AtomicUsize]) -> usize {
        let deque = Deque::new();
        // Plain stores: an exchange would be a fence.
        let [popped, stolen] = [(); 2].map(|()| (0..2 * ROUNDS).map(|_| AtomicBool::new(false)).collect::<Vec<_>>());
        let is_over = AtomicBool::new(false);
        let stealer = deque.stealer();
        thread::scope(|scope| {
            scope.spawn(|| {
                // Not for ever: a deque panics if a node is taken twice.
                let start = Instant::now();
                while !is_over.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(20) {
                    // Without waiting to see whether the owner does something: it does.
                    if let Some(i) = stealer.steal().or_else(|| stealer.steal_alone(true)).map(number) {
                        stolen[i].store(true, Ordering::Relaxed);
                    }
                }
            });
            for round in 0..ROUNDS {
                deque.calm_down(0);
                // Both are private, and the thief has to insist.
                deque.push(numbered(2 * round));
                deque.push(numbered(2 * round + 1));
                for i in 0..16 {
                    far[(16 * round + i).wrapping_mul(FAR_APART) % FAR].store(round, Ordering::Relaxed);
                }
                while let Some(i) = deque.pop().map(number) {
                    popped[i].store(true, Ordering::Relaxed);
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let is_taken_once = |i: &usize| popped[*i].load(Ordering::Relaxed) != stolen[*i].load(Ordering::Relaxed);
        assert_eq!((0..2 * ROUNDS).filter(is_taken_once).count(), 2 * ROUNDS);
        stolen.iter().filter(|is_stolen| is_stolen.load(Ordering::Relaxed)).count()
    }
    if !barriers_are_exact() {
        return;
    }
    let far: Vec<AtomicUsize> = (0..FAR).map(|_| AtomicUsize::new(0)).collect();
    // Where others keep the processors busy the thief may come late.
    let mut n_stolen = 0;
    for _ in 0..50 {
        n_stolen += owner_and_thief(&far);
        if 100 < n_stolen {
            return;
        }
    }
    panic!("the thief has to come at the right time, and often: {n_stolen} were stolen");
}
