//! Nodes that are taken by their priority: before everything else that is ready, or after it.
//!
//! There are few of them, or they are large, so one lock for all is enough. Nobody looks in here while nothing is urgent:
//! a bit of the [gate](super::gate) says so, which is in the word that every worker reads after each step. It changes
//! under the lock, so it is set exactly while something is urgent.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use super::gate::Gate;
use crate::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};

pub(super) struct Ranks<N> {
    /// Those that wait, by their priority, the oldest first.
    waiting: Mutex<BTreeMap<i32, VecDeque<N>>>,
    /// How many there are, and the highest priority of those. Written under the lock.
    len: AtomicUsize,
    highest: AtomicI32,
}

impl<N> Ranks<N> {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::new(BTreeMap::new()), len: AtomicUsize::new(0), highest: AtomicI32::new(i32::MIN) }
    }

    /// Whoever pushes checks after that whether a worker is wanted. A node that is `stopped`, and would come after
    /// everything else, comes back: whoever stops it may have looked here already.
    pub(super) fn push(&self, node: N, priority: i32, gate: &Gate, stopped: impl FnOnce(&N) -> bool) -> Option<N> {
        let mut waiting = lock(&self.waiting);
        if priority < 0 && stopped(&node) {
            return Some(node);
        }
        let is_first_urgent = 0 < priority && !self.has_urgent(0);
        waiting.entry(priority).or_default().push_back(node);
        self.highest.fetch_max(priority, Ordering::Relaxed);
        // Relaxed: as with the queues, the fence of whoever pushes orders it before the look at the gate.
        self.len.fetch_add(1, Ordering::Relaxed);
        if is_first_urgent {
            gate.set_urgent(true);
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there is one with a priority above `least`; without the lock, as far as this thread has heard.
    pub(super) fn has_urgent(&self, least: i32) -> bool {
        least < self.highest()
    }

    /// The highest priority of all; the lowest there is if there are none.
    pub(super) fn highest(&self) -> i32 {
        self.highest.load(Ordering::Relaxed)
    }

    /// The first of those that come before everything else, with its priority; only if that is above `least`, which is not
    /// negative.
    pub(super) fn take_urgent(&self, least: i32, gate: &Gate) -> Option<(N, i32)> {
        let mut waiting = lock(&self.waiting);
        if !self.has_urgent(least) {
            return None;
        }
        let node = self.take_first(&mut waiting);
        if !self.has_urgent(0) {
            gate.set_urgent(false);
        }
        node
    }

    /// The first of those that come after everything else, if nothing comes before it.
    pub(super) fn take_patient(&self) -> Option<(N, i32)> {
        if self.is_empty() {
            return None;
        }
        let mut waiting = lock(&self.waiting);
        if self.has_urgent(0) { None } else { self.take_first(&mut waiting) }
    }

    /// Those that come after everything else, as far as they are `stopped`: they are given up at once.
    pub(super) fn take_stopped(&self, stopped: impl Fn(&N) -> bool) -> Vec<N> {
        let mut waiting = lock(&self.waiting);
        let mut taken = Vec::new();
        for line in waiting.range_mut(..0).map(|(_, line)| line) {
            let (gone, left): (VecDeque<_>, _) = mem::take(line).into_iter().partition(&stopped);
            taken.extend(gone);
            *line = left;
        }
        waiting.retain(|_, line| !line.is_empty());
        self.len.fetch_sub(taken.len(), Ordering::Relaxed);
        let highest = waiting.last_key_value().map_or(i32::MIN, |(priority, _)| *priority);
        self.highest.store(highest, Ordering::Relaxed);
        taken
    }

    fn take_first(&self, waiting: &mut BTreeMap<i32, VecDeque<N>>) -> Option<(N, i32)> {
        let mut line = waiting.last_entry()?;
        let priority = *line.key();
        let node = line.get_mut().pop_front().expect("a line that is empty is removed");
        if line.get().is_empty() {
            line.remove();
            let highest = waiting.last_key_value().map_or(i32::MIN, |(&priority, _)| priority);
            self.highest.store(highest, Ordering::Relaxed);
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some((node, priority))
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_highest_is_first_and_the_oldest_of_equals() {
        let (gate, ranks) = (Gate::new(1), Ranks::new());
        for (i, priority) in [1, i32::MAX, -1, 1, i32::MIN, 5, -1].into_iter().enumerate() {
            assert!(ranks.push(i, priority, &gate, |_| false).is_none());
        }
        assert_eq!(ranks.take_patient(), None, "what is urgent comes first");
        let urgent: Vec<_> = std::iter::from_fn(|| ranks.take_urgent(0, &gate)).map(|(i, _)| i).collect();
        assert_eq!((urgent, gate.state().is_urgent()), (vec![1, 5, 0, 3], false));
        let patient: Vec<_> = std::iter::from_fn(|| ranks.take_patient()).map(|(i, _)| i).collect();
        assert_eq!((patient, ranks.is_empty()), (vec![2, 6, 4], true));
    }
}
