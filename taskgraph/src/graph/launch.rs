//! A graph that a node holds until it starts it, and then its result, in the same place.
//!
//! Roots, attempts and shared nodes start what they hold themselves, at their own first step, so that it runs in the
//! scope they open. Before that nothing below them is ready.

use std::ptr::NonNull;

use super::cx::Cx;
use super::delayed::DC;
use super::input::Slot;
use super::node::{Destination, Node, Ready};

pub(super) enum Launch<T> {
    /// Not started.
    Held(DC<T>),
    /// Started: the place of the result. It is there once the node's input has arrived, unless that failed.
    Started(Slot<T>),
}

impl<T> Launch<T> {
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// Starts the graph; its result goes to this place of `node`, which waits for it.
    ///
    /// # Safety
    ///
    /// `this` is a field of `node`, which is the caller's, and holds a graph.
    pub(super) unsafe fn start(this: *mut Self, node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the field is ours, and its old content is moved out before it is overwritten.
        unsafe {
            let Self::Held(delayed) = this.replace(Self::Started(Slot::EMPTY)) else {
                unreachable!("a graph is started once");
            };
            let Self::Started(slot) = &mut *this else { unreachable!("just written") };
            node.as_ref().wait_for(1);
            let (inner, ready) = delayed.into_parts();
            inner.as_ref().attach(Destination { consumer: Some(node), slot: (&raw mut *slot).cast() });
            cx.start(ready)
        }
    }

    /// The place of the result.
    ///
    /// # Safety
    ///
    /// `this` is valid, and the graph has been started.
    #[inline(always)]
    pub(super) unsafe fn result(this: *mut Self) -> *mut T {
        // SAFETY: the caller's promise.
        match unsafe { &mut *this } {
            Self::Started(slot) => (&raw mut *slot).cast(),
            Self::Held(_) => unreachable!("the graph has been started"),
        }
    }
}
