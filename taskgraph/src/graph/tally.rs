//! Arrivals that a worker counts by itself: those of inputs of one node that it steps one after the other.
//!
//! Every arrival but the last costs the node's counter a locked operation. A worker that has stepped one input of a node
//! mostly goes on with another one of the same node. As long as it does, that node cannot become ready without this worker,
//! so nobody waits for what it has not told yet; and if it brings the last input itself, it never has to.
//!
//! So a worker keeps a *tally* for one node at most, and only while the step it takes is that of an input of this node.
//! Before any other step, and before it rests, it tells. What others see until then is a node that misses some inputs which
//! have arrived: it lives, and so does its scope.

use std::ptr::NonNull;

use super::cx::Cx;
use super::links::List;
use super::node::{Arrival, Node, Ready};
use super::scope::ScopePtr;
use super::settle;

/// Inputs of a node that have arrived with their values, and that it has not been told of.
pub(super) struct Tally {
    node: Option<NonNull<Node>>,
    inputs: u32,
    /// That of the node.
    scope: ScopePtr,
}

impl Tally {
    pub(super) const NONE: Self = Self { node: None, inputs: 0, scope: NonNull::dangling() };
}

impl Cx<'_> {
    /// An input of `node`, which is of this scope, has arrived with its value.
    ///
    /// # Safety
    ///
    /// The input belongs to the node, and has not arrived before.
    #[inline(always)]
    pub(super) unsafe fn arrive(&mut self, node: NonNull<Node>) -> Option<Ready> {
        // SAFETY: the node waits for this input, so it is alive.
        if unsafe { Node::misses_only(node, 1) } {
            return Some(Ready(node));
        }
        if self.tally.node != Some(node) {
            self.tell();
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

    /// Tells the node of the tally, unless the step of another input of it comes next.
    ///
    /// # Safety
    ///
    /// `next` is alive, and the caller's.
    #[inline(always)]
    pub(super) unsafe fn tell_before(&mut self, next: NonNull<Node>) {
        // SAFETY: the caller's promise.
        if self.tally.node.is_some() && unsafe { next.as_ref() }.consumer() != self.tally.node {
            self.tell();
        }
    }

    /// Tells the node of the tally, if there is one. If it becomes ready, others see it now.
    #[inline(always)]
    pub(super) fn tell(&mut self) {
        if let Some(node) = self.tally.node.take() {
            self.tell_node(node);
        }
    }

    #[inline(never)]
    fn tell_node(&mut self, node: NonNull<Node>) {
        // SAFETY: these inputs belong to the node, which has not been told of them.
        let ready = match unsafe { Node::inputs_arrived(node, self.tally.inputs) } {
            Arrival::StillWaiting => return,
            Arrival::NowReady => Some(Ready(node)),
            Arrival::NowFailed => None,
        };
        self.show(node, ready);
    }

    #[cold]
    fn show(&mut self, node: NonNull<Node>, ready: Option<Ready>) {
        let scope = self.scope_ptr();
        self.enter(self.tally.scope);
        if let Some(Ready(ready)) = ready.or_else(|| settle::abandon(node, self)) {
            // SAFETY: the node is ready, and ours.
            self.add_ready(unsafe { List::of(ready) });
            self.publish();
        }
        self.enter(scope);
    }
}
