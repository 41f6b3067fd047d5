//! A graph that a node holds until it starts it, and then the result of the graph, in the same place.
//!
//! Roots and attempts start what they hold at their own first step, so that it runs in the scope they open. So do
//! [shared nodes](super::shared), where another word says what is there. A node with a priority starts its graph when
//! its turn comes. Before that nothing below them is ready.

pub(super) mod root;
pub(super) mod attempt;
pub(super) mod ranked;

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::cx::Cx;
use super::delayed::DC;
use super::node::{Destination, Node, Ready};
use super::settle;

/// Drops the graph if it was not started; only the owner knows whether the result is there.
#[repr(C)]
pub(super) struct Launch<T> {
    is_started: bool,
    place: Place<T>,
}

/// One of the two, or neither.
#[repr(C)]
pub(super) union Place<T> {
    pub(super) held: ManuallyDrop<DC<T>>,
    pub(super) result: ManuallyDrop<T>,
}

impl<T> Launch<T> {
    pub(super) fn new(graph: DC<T>) -> Self {
        Self { is_started: false, place: Place { held: ManuallyDrop::new(graph) } }
    }

    /// The graph, until it is started.
    pub(super) fn held(&self) -> Option<&DC<T>> {
        // SAFETY: it was not started, so the graph is there.
        self.is_held().then(|| unsafe { &*self.place.held })
    }

    pub(super) fn is_held(&self) -> bool {
        !self.is_started
    }

    /// Starts the graph; its result goes to this place of `node`, which waits for it.
    ///
    /// # Safety
    ///
    /// `this` is a field of `node`, which is the caller's, and holds a graph.
    pub(super) unsafe fn start(this: *mut Self, node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the field is ours, and the graph is moved out before its place serves for the result.
        unsafe {
            debug_assert!((*this).is_held(), "a graph is started once");
            let graph = (&raw mut (*this).place.held).read();
            (*this).is_started = true;
            node.as_ref().wait_for(1);
            let to = Destination { consumer: Some(node), slot: Self::result(this).cast() };
            ManuallyDrop::into_inner(graph).replace(to, cx)
        }
    }

    /// The node is given up: drops the graph, or the result if it is there.
    ///
    /// # Safety
    ///
    /// `this` is a field of `node`, which is the caller's, with its input in if the graph was started.
    #[cold]
    pub(super) unsafe fn discard(this: *mut Self, node: NonNull<Node>) {
        // SAFETY: the caller's promise; both are dropped once, since the field is not used again.
        unsafe {
            if (*this).is_started && !node.as_ref().has_failed() {
                settle::drop_given_up(|| Self::result(this).drop_in_place());
            }
            drop(node.as_ref().take_failed());
            settle::drop_given_up(|| this.drop_in_place());
        }
    }

    /// The place of the result, once the graph has been started.
    ///
    /// # Safety
    ///
    /// `this` is valid. Nothing is read: others may be using the result.
    #[inline(always)]
    pub(super) unsafe fn result(this: *mut Self) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { (&raw mut (*this).place.result).cast() }
    }
}

impl<T> Drop for Launch<T> {
    fn drop(&mut self) {
        if self.is_held() {
            // SAFETY: it was not started, so the graph is there.
            unsafe { ManuallyDrop::drop(&mut self.place.held) }
        }
    }
}
