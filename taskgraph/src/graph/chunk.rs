//! A part of a fan-out with a counter of its own, so that a child's arrival touches no word that all children share.

use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;

use super::cx::Cx;
use super::memory;
use super::node::{Abandoned, Described, Destination, List, Node, Ready, Table};
use super::settle;

/// The node of which chunks are inputs.
pub(super) trait FanOut {
    /// What it wants to know of a chunk once that has settled.
    type Stamp;

    /// A chunk has settled, and is about to arrive. Gives a node that is ready because of it.
    ///
    /// # Safety
    ///
    /// The fan-out is one of these, and waits for the chunk.
    unsafe fn on_settled(fan_out: NonNull<Node>, stamp: Self::Stamp, cx: &mut Cx<'_>) -> Option<Ready>;
}

#[repr(C)]
pub(super) struct Chunk<F: FanOut> {
    node: Node,
    stamp: F::Stamp,
    fan_out: PhantomData<F>,
}

impl<F: FanOut> Chunk<F> {
    const TABLE: &'static Table =
        &Table { step: Self::step, abandon: Self::abandon, describe: |_| Described::Plumbing };

    /// A chunk of so many children, as one more input of `fan_out`.
    pub(super) fn open(fan_out: NonNull<Node>, children: u32, stamp: F::Stamp) -> NonNull<Node> {
        let chunk = memory::allocate::<Self>();
        let node = Node::new(Self::TABLE, Location::caller(), children);
        node.attach(Destination::signal(fan_out));
        // SAFETY: the memory is room for a `Chunk`.
        unsafe { chunk.write(Self { node, stamp, fan_out: PhantomData }) };
        chunk.cast()
    }

    /// # Safety
    ///
    /// The chunk is alive.
    #[inline(always)]
    pub(super) unsafe fn stamp(chunk: NonNull<Node>) -> NonNull<F::Stamp> {
        // SAFETY: the caller's promise.
        unsafe { NonNull::new_unchecked(&raw mut (*chunk.cast::<Self>().as_ptr()).stamp) }
    }

    /// It has no children after all, and is no input.
    ///
    /// # Safety
    ///
    /// The chunk is the caller's, and nothing is attached to it.
    pub(super) unsafe fn discard(chunk: NonNull<Node>) {
        // SAFETY: the caller's promise; the stamp is dropped once, then the memory goes.
        unsafe {
            chunk.cast::<Self>().drop_in_place();
            memory::free(chunk.cast::<Self>());
        }
    }

    /// All children have arrived with their values.
    ///
    /// # Safety
    ///
    /// The node is one of these, all in, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the caller's promise.
        unsafe {
            let (to, more) = Self::end(node, cx);
            let collected = settle::arrive(to, cx);
            debug_assert!(more.is_none() || collected.is_none(), "a fan-out that goes on is not through");
            collected.or(more)
        }
    }

    /// All children have arrived, some as failures.
    ///
    /// # Safety
    ///
    /// As for `step`.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the caller's promise; the fan-out waits for the chunk, so it is alive until that has arrived.
        unsafe {
            let failed = node.as_ref().take_failed();
            let all_have_values = !node.as_ref().has_failed();
            let (to, more) = Self::end(node, cx);
            if let Some(fan_out) = to.consumer {
                fan_out.as_ref().adopt_failed(failed);
            }
            if let Some(more) = more {
                cx.add_ready(List::of(more.0));
            }
            if all_have_values { Abandoned::Arrived(to) } else { Abandoned::Failed(to) }
        }
    }

    /// # Safety
    ///
    /// As for `step`.
    unsafe fn end(node: NonNull<Node>, cx: &mut Cx<'_>) -> (Destination, Option<Ready>) {
        let chunk = node.cast::<Self>();
        // SAFETY: the node is ours; its stamp is moved out before its memory goes.
        unsafe {
            let to = node.as_ref().destination();
            let stamp = (&raw const (*chunk.as_ptr()).stamp).read();
            memory::free(chunk);
            let fan_out = to.consumer.expect("a chunk is part of a fan-out");
            (to, F::on_settled(fan_out, stamp, cx))
        }
    }
}
