//! A pause: no step starts, except of what is stopped.
//!
//! Workers still come when they are called. They give up what is stopped, so that a run that is cancelled or has failed
//! ends although everything is paused; what is not stopped they put aside, where nobody looks before the pause is over.
//! When anything stops meanwhile, what lies aside is looked through once more.
//!
//! The gate changes under the lock of what lies aside, and under the same lock a worker checks whether there is still a
//! pause, and whether the node is stopped: so nothing lies aside after a pause, and nothing that had stopped before
//! somebody looked through it.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::Scheduler;
use super::gate::Gate;
use super::queues::Found;
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::sync::{Mutex, lock};

pub(super) struct Aside<N> {
    lying: Mutex<Lying<N>>,
    /// Whether something may have stopped since somebody looked through the nodes.
    has_changed: AtomicBool,
}

struct Lying<N> {
    nodes: VecDeque<N>,
}

impl<N> Aside<N> {
    pub(super) fn new() -> Self {
        let lying = Mutex::new(Lying { nodes: VecDeque::new() });
        Self { lying, has_changed: AtomicBool::new(false) }
    }

    /// Begins a pause.
    pub(super) fn begin(&self, gate: &Gate) {
        let _lying = lock(&self.lying);
        gate.set_paused(true);
    }

    /// Ends the pause; all nodes returned may go on.
    pub(super) fn end(&self, gate: &Gate) -> VecDeque<N> {
        let mut lying = lock(&self.lying);
        gate.set_paused(false);
        mem::take(&mut lying.nodes)
    }

    /// Puts a node aside, unless it is to be given up or the pause is over: then it comes back.
    pub(super) fn put(&self, node: N, gate: &Gate, is_stopped: impl FnOnce(&N) -> bool) -> Option<N> {
        let mut lying = lock(&self.lying);
        if !gate.state().is_paused() || is_stopped(&node) {
            return Some(node);
        }
        lying.nodes.push_back(node);
        None
    }

    /// Something has stopped, perhaps of what lies here.
    pub(super) fn change(&self) {
        // Release, pairs with the Acquire of whoever looks through it. An exchange, not a store, so that whoever looks knows
        // of all who came here since the last one looked.
        self.has_changed.swap(true, Ordering::Release);
        // Before the look at the gate: see "Why no work is overlooked".
        fence(Ordering::SeqCst);
    }

    /// Whether somebody has to look through it.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed.load(Ordering::Relaxed)
    }

    /// All of it, if something has stopped.
    pub(super) fn take_changed(&self) -> Option<VecDeque<N>> {
        let mut lying = lock(&self.lying);
        // Under the lock: whoever puts something here after this knows of what had stopped.
        self.has_changed.swap(false, Ordering::Acquire).then(|| mem::take(&mut lying.nodes))
    }
}

impl Scheduler {
    pub(crate) fn is_paused(&self) -> bool {
        self.gate.state().is_paused()
    }

    /// From now on no step starts, except of what is stopped; those that are running end.
    pub(crate) fn pause(self: &Arc<Self>) {
        self.hear_of_stops();
        self.aside.begin(&self.gate);
    }

    /// The end of [`pause`](Self::pause).
    pub(crate) fn resume(self: &Arc<Self>) {
        self.queue_again(self.aside.end(&self.gate));
        self.call_for_queued();
    }

    /// Something has stopped, perhaps of what lies aside.
    pub(super) fn look_through_aside(self: &Arc<Self>) {
        self.aside.change();
        if self.is_paused() {
            self.call_for_queued();
        }
    }

    /// Queues what lies aside again if something has stopped; returns whether it has.
    #[cold]
    pub(super) fn bring_back(&self) -> bool {
        let changed = if self.aside.has_changed() { self.aside.take_changed() } else { None };
        let has_changed = changed.is_some();
        self.queue_again(changed.unwrap_or_default());
        has_changed
    }

    fn queue_again(&self, nodes: VecDeque<Found>) {
        for Found { node, priority } in nodes {
            match priority {
                0 => self.queues.inject(node),
                _ => self.queues.rank(node, priority, &self.gate),
            }
        }
    }

    /// Puts a node aside, unless it is to be given up or the pause is over: then it comes back.
    #[cold]
    pub(super) fn put_aside(&self, found: Found) -> Option<Found> {
        self.aside.put(found, &self.gate, |found| found.node.is_stopped())
    }
}
