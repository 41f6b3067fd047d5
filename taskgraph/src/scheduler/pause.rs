//! A pause: no step of a run that goes on starts.
//!
//! Workers still come when they are called. They give up what is stopped, so that a run that is cancelled or has failed ends
//! although everything is paused; what is not they put aside, where nobody looks before the pause is over. When anything
//! stops meanwhile, what lies aside is looked through once more.
//!
//! The gate is told under the lock of what lies aside, and under the same lock a worker looks whether there is still a pause,
//! and whether the node is stopped: so nothing lies aside after a pause, and nothing that had stopped before somebody looked
//! through it.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::Scheduler;
use super::queues::Found;
use crate::graph::{self, Home};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};

pub(super) struct Aside {
    nodes: Mutex<VecDeque<Found>>,
    /// Whether something may have stopped since somebody looked through them.
    has_changed: AtomicBool,
    /// Whether the scheduler hears of what stops.
    is_told: AtomicBool,
}

impl Aside {
    pub(super) fn new() -> Self {
        let nodes = Mutex::new(VecDeque::new());
        Self { nodes, has_changed: AtomicBool::new(false), is_told: AtomicBool::new(false) }
    }

    /// Whether somebody has to look through it.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed.load(Ordering::Relaxed)
    }
}

impl Scheduler {
    pub(crate) fn is_paused(&self) -> bool {
        self.gate.state().is_paused()
    }

    /// From now on no step starts, but of what is stopped; those that are running end.
    pub(crate) fn pause(self: &Arc<Self>) {
        if !self.aside.is_told.swap(true, Ordering::Relaxed) {
            let scheduler: Arc<dyn Home> = Arc::clone(self) as _;
            graph::tell_of_stops(&scheduler);
        }
        let _aside = lock(&self.aside.nodes);
        self.gate.set_paused(true);
    }

    /// The end of [`pause`](Self::pause).
    pub(crate) fn resume(self: &Arc<Self>) {
        let nodes = {
            let mut aside = lock(&self.aside.nodes);
            self.gate.set_paused(false);
            mem::take(&mut *aside)
        };
        self.queue_again(nodes);
        self.call_for_injected();
    }

    /// Something has stopped, perhaps of what lies aside.
    pub(super) fn look_through_aside(self: &Arc<Self>) {
        if self.is_paused() {
            self.aside.has_changed.store(true, Ordering::Relaxed);
            self.call_for_injected();
        }
    }

    /// Queues what lies aside once more if something has stopped; whether it has.
    #[cold]
    pub(super) fn bring_back(&self) -> bool {
        if !self.aside.has_changed() {
            return false;
        }
        let nodes = {
            let mut aside = lock(&self.aside.nodes);
            // Acquire under the lock: who looks at the nodes after this knows what had stopped.
            if !self.aside.has_changed.swap(false, Ordering::AcqRel) {
                return false;
            }
            mem::take(&mut *aside)
        };
        self.queue_again(nodes);
        true
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
        let mut aside = lock(&self.aside.nodes);
        if !self.is_paused() || found.node.is_stopped() {
            return Some(found);
        }
        aside.push_back(found);
        None
    }
}
