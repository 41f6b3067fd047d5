//! A node with a *pump*: a leaf that makes the node's other inputs, one step after the other, or does what takes many steps.
//!
//! ```text
//! node (the result)  <-- pump    the first input, and part of the same allocation
//!    ^-- ..                      what the pump makes
//! ```
//!
//! The pump arrives when it is through, so it lives as long as it has steps to take. Between them it is in a queue, or in the
//! hands of whoever lets it go on.

#[forbid(unsafe_code)]
pub(super) mod in_flight;

use std::mem;
use std::panic::Location;
use std::ptr::NonNull;

use super::call::{self, Task};
use super::cx::Cx;
use super::node::{Destination, Node, Ready, Table};
use super::settle::{self, Why};

/// What a node with a pump starts with.
#[repr(C)]
pub(super) struct Pumped {
    node: Node,
    pump: Node,
}

impl Pumped {
    /// For the node that will be at `node`.
    #[inline(always)]
    #[track_caller]
    pub(super) fn new(node: NonNull<Node>, table: &'static Table, pump_table: &'static Table) -> Self {
        let pump = Node::new(pump_table, Location::caller(), 0);
        pump.attach(Destination::signal(node));
        Self { node: Node::new(table, Location::caller(), 1), pump }
    }

    /// Its pump.
    ///
    /// # Safety
    ///
    /// The memory is that of a node which starts with one of these.
    #[inline(always)]
    pub(super) unsafe fn pump(node: NonNull<Node>) -> NonNull<Node> {
        // SAFETY: the caller's promise.
        unsafe { node.byte_add(mem::offset_of!(Self, pump)) }
    }

    /// The node whose pump it is.
    ///
    /// # Safety
    ///
    /// This is a pump, and has the provenance of the node.
    #[inline(always)]
    pub(super) unsafe fn of(pump: NonNull<Node>) -> NonNull<Node> {
        // SAFETY: the caller's promise.
        unsafe { pump.byte_sub(mem::offset_of!(Self, pump)) }
    }
}

/// The pump of `node` is through, and arrives.
///
/// # Safety
///
/// The pump is the caller's.
#[inline(always)]
pub(super) unsafe fn end<N: Task>(node: NonNull<Node>, ended: Result<(), Why>, cx: &mut Cx<'_>) -> Option<Ready> {
    // SAFETY: the caller's promise; this is the arrival.
    unsafe {
        match ended {
            Ok(()) => settle::arrive(Destination::signal(node), cx),
            Err(why) => fail::<N>(node, why, cx),
        }
    }
}

/// # Safety
///
/// As for [`end`].
#[cold]
unsafe fn fail<N: Task>(node: NonNull<Node>, why: Why, cx: &mut Cx<'_>) -> Option<Ready> {
    cx.seat.count_failed::<N>();
    // SAFETY: the caller's promise; the node waits for its pump, so it is alive and has not arrived.
    unsafe {
        let (origin, to) = (node.as_ref().origin(), node.as_ref().destination());
        settle::blame(call::name::<N>(origin), why, to, cx);
        settle::fail(Destination::signal(node), cx)
    }
}
