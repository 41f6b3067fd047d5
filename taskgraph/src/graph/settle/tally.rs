//! Arrivals that a worker counts by itself: those of inputs of one node that it steps one after the other.
//!
//! Every arrival but the last costs a locked operation on the node's counter. A worker that has stepped one input of a
//! node mostly goes on with another input of it. As long as it does, that node cannot become ready without this worker,
//! so nobody misses what it has not told yet; and if it brings the last input itself, it never has to tell.
//!
//! So a worker keeps a *tally* for at most one node, and only while it steps inputs of this node. Before any other
//! step, and before it rests, it tells the node. Until then others see a node that misses some inputs which have
//! arrived, so it lives, and so does its scope.
//!
//! A step may take another one by itself (a task that starts what it asks for, a body that closes its batch), without
//! telling first. After that it must not run a user's code, unless it is the step of an input which is still out.

use std::ptr::NonNull;

use super::doomed::doomed;
use crate::graph::cx::Cx;
use crate::graph::node::links::List;
use crate::graph::node::{Arrival, Node, Ready};
use crate::graph::scope::ScopePtr;

/// Inputs that have arrived with their values, of which their node has not been told.
pub(in crate::graph) struct Tally {
    node: Option<NonNull<Node>>,
    inputs: u32,
    /// The node's.
    scope: ScopePtr,
}

impl Tally {
    pub(in crate::graph) const NONE: Self = Self { node: None, inputs: 0, scope: NonNull::dangling() };
}

impl Cx<'_> {
    /// An input of `node`, which is of this scope, has arrived with its value.
    ///
    /// # Safety
    ///
    /// The input belongs to the node, and has not arrived before.
    #[inline(always)]
    pub(in crate::graph) unsafe fn arrive(&mut self, node: NonNull<Node>) -> Option<Ready> {
        // SAFETY: the node waits for this input, so it is alive.
        if unsafe { Node::misses_only(node, 1) } {
            return Some(Ready(node));
        }
        if self.tally.node != Some(node) {
            self.tell_aside();
            self.tally = Tally { node: Some(node), inputs: 1, scope: self.scope_ptr() };
            return None;
        }
        self.tally.inputs += 1;
        // SAFETY: as above; the inputs of the tally have arrived here.
        let is_last = unsafe { Node::misses_only(node, self.tally.inputs) };
        is_last.then(|| {
            self.tally.node = None;
            Ready(node)
        })
    }

    /// Tells the node of the tally, unless the next step is that of another of its inputs.
    ///
    /// # Safety
    ///
    /// `next` is alive, and the caller's.
    #[inline(always)]
    pub(in crate::graph) unsafe fn tell_before(&mut self, next: NonNull<Node>) {
        // On a shared node it is something else, but never a node's address.
        // SAFETY: the caller's promise.
        if self.tally.node.is_some() && unsafe { next.as_ref() }.consumer() != self.tally.node {
            self.tell_aside();
        }
    }

    /// As [`tell`](Self::tell), but stays in the scope of the step that comes next or is under way.
    #[inline(never)]
    fn tell_aside(&mut self) {
        if let Some((node, arrival)) = self.count() {
            // SAFETY: it waits no more, so it is ours.
            unsafe { self.end_wait_aside(node, arrival) };
        }
    }

    /// Tells the node of the tally, if there is one. If something becomes ready by that, others see it now. What this
    /// worker does next is of another scope.
    pub(in crate::graph) fn tell(&mut self) {
        if let Some((node, arrival)) = self.count() {
            // SAFETY: it waits no more, so it is ours.
            unsafe { self.end_wait(node, arrival) };
        }
    }

    /// Counts the tally; returns its node if that waits no more.
    #[inline(always)]
    fn count(&mut self) -> Option<(NonNull<Node>, Arrival)> {
        let node = self.tally.node.take()?;
        // SAFETY: these inputs belong to the node, which has not been told of them.
        let arrival = unsafe { Node::inputs_arrived(node, self.tally.inputs) };
        (arrival != Arrival::StillWaiting).then_some((node, arrival))
    }

    /// # Safety
    ///
    /// As for `end_wait`.
    #[cold]
    #[inline(never)]
    unsafe fn end_wait_aside(&mut self, node: NonNull<Node>, arrival: Arrival) {
        let scope = self.scope_ptr();
        // SAFETY: the caller's promise.
        unsafe { self.end_wait(node, arrival) };
        self.enter(scope);
    }

    /// # Safety
    ///
    /// The node waits no more, as `arrival` says, and is the caller's.
    #[cold]
    unsafe fn end_wait(&mut self, node: NonNull<Node>, arrival: Arrival) {
        self.enter(self.tally.scope);
        // Not given up here: that drops values of users, who may need what this worker has at hand and nobody else can take.
        let ready = match arrival {
            Arrival::NowReady => Ready(node),
            // SAFETY: the caller's promise.
            _ => unsafe { doomed(node) },
        };
        // SAFETY: the node is ready, and ours.
        self.add_ready(unsafe { List::of(ready.0) });
        self.publish();
    }
}
