//! A part of a fan-out with a counter of its own, so that a child's arrival touches no word that all children share.
//!
//! A chunk that was [opened](Chunk::open) gets its children one by one; one that [holds](Chunk::hold) them is a leaf whose
//! first step starts them, so they change hands together.

use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::ptr::NonNull;

use crate::graph::cx::Cx;
use crate::graph::node::links::List;
use crate::graph::node::memory;
use crate::graph::node::{Abandoned, Described, Destination, Node, Ready, Table};
use crate::graph::settle;

/// The node whose inputs are chunks.
pub(in crate::graph) trait FanOut {
    /// What it wants to know about a chunk that has settled.
    type Stamp;

    /// A chunk has settled, and is about to arrive. Returns a node that is ready because of it.
    ///
    /// # Safety
    ///
    /// The fan-out is one of these, and waits for the chunk.
    unsafe fn on_settled(fan_out: NonNull<Node>, stamp: Self::Stamp, cx: &mut Cx<'_>) -> Option<Ready>;
}

#[repr(C)]
pub(in crate::graph) struct Chunk<F: FanOut> {
    node: Node,
    /// Leaves of children that are still to be started.
    held: List,
    stamp: F::Stamp,
    fan_out: PhantomData<F>,
}

impl<F: FanOut> Chunk<F> {
    const TABLE: &'static Table =
        &Table { step: Self::step, abandon: Self::abandon, describe: |_| Described::Plumbing };

    /// A chunk of this many children, as one more input of `fan_out`.
    pub(in crate::graph) fn open(fan_out: NonNull<Node>, children: u32, stamp: F::Stamp) -> NonNull<Node> {
        let chunk = memory::allocate::<Self>();
        let node = Node::new(Self::TABLE, Location::caller(), children);
        node.attach(Destination::signal(fan_out));
        // SAFETY: the memory is room for a `Chunk`.
        unsafe { chunk.write(Self { node, held: List::EMPTY, stamp, fan_out: PhantomData }) };
        chunk.cast()
    }

    /// The chunk as the leaf that starts its children, which were attached to it.
    ///
    /// # Safety
    ///
    /// The chunk is the caller's, and `leaves` are those of this many children, at least one.
    pub(in crate::graph) unsafe fn hold(chunk: NonNull<Node>, leaves: List, children: u32) -> List {
        // SAFETY: the caller's promise; the chunk is in no list.
        unsafe {
            chunk.as_ref().wait_for(children);
            chunk.as_ref().mark_starter();
            (*chunk.cast::<Self>().as_ptr()).held = leaves;
            List::of(chunk)
        }
    }

    /// # Safety
    ///
    /// The chunk is alive.
    #[inline(always)]
    pub(in crate::graph) unsafe fn stamp(chunk: NonNull<Node>) -> NonNull<F::Stamp> {
        // SAFETY: the caller's promise.
        unsafe { NonNull::new_unchecked(&raw mut (*chunk.cast::<Self>().as_ptr()).stamp) }
    }

    /// The chunk has no children after all, and is no input.
    ///
    /// # Safety
    ///
    /// The chunk is the caller's, and nothing is attached to it.
    pub(in crate::graph) unsafe fn discard(chunk: NonNull<Node>) {
        // SAFETY: the caller's promise; the stamp is dropped once, then the memory goes.
        unsafe {
            chunk.cast::<Self>().drop_in_place();
            memory::free(chunk.cast::<Self>());
        }
    }

    /// Starts the children, or ends the chunk when all of them have arrived with their values.
    ///
    /// # Safety
    ///
    /// The node is one of these, holds its children or has them all in, and is the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the node is ours; the fan-out waits for it until it arrives, here.
        unsafe {
            let held = Self::take_held(node);
            if !held.is_empty() {
                return cx.start(held);
            }
            let (to, more) = Self::end(node, cx);
            let collected = settle::arrive(to, cx);
            debug_assert!(more.is_none() || collected.is_none(), "a fan-out that goes on is not through");
            collected.or(more)
        }
    }

    /// All children have arrived, some as failures; or they will not be started.
    ///
    /// # Safety
    ///
    /// As for `step`.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the node is ours; the fan-out waits for it, so it is alive until whoever called us counts the arrival.
        unsafe {
            let held = Self::take_held(node);
            if !held.is_empty() {
                // Their scope has stopped, so each will be given up when its turn comes.
                cx.add_ready(held);
                return Abandoned::Caught(None);
            }
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

    /// What is still to be started; from then on the chunk waits for it.
    ///
    /// # Safety
    ///
    /// As for `step`.
    #[inline(always)]
    unsafe fn take_held(node: NonNull<Node>) -> List {
        // SAFETY: the caller's promise; none of them has been started.
        unsafe {
            let held = mem::replace(&mut (*node.cast::<Self>().as_ptr()).held, List::EMPTY);
            if !held.is_empty() {
                node.as_ref().wait_again();
            }
            held
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
