//! A node that is to be given up, but not here: in a step of its own.
//!
//! Failures climb in a loop. Where they would climb on top of each other (a shared failure reaches many), each goes
//! into a queue instead. The failed node itself cannot be there, since its link holds its failed inputs.

use std::panic::Location;
use std::ptr::NonNull;

use crate::graph::cx::Cx;
use crate::graph::node::memory;
use crate::graph::node::{Abandoned, Described, Node, Ready, Table};
use crate::graph::settle;

#[repr(C)]
struct Doomed {
    node: Node,
    target: NonNull<Node>,
}

/// A step that gives `target` up.
///
/// # Safety
///
/// All inputs of `target` are in, and it is the caller's.
#[cold]
pub(in crate::graph) unsafe fn doomed(target: NonNull<Node>) -> Ready {
    let doomed = memory::allocate::<Doomed>();
    // SAFETY: the memory is room for a `Doomed`.
    unsafe { doomed.write(Doomed { node: Node::new(TABLE, Location::caller(), 0), target }) };
    Ready(doomed.cast())
}

const TABLE: &Table = &Table { step, abandon, describe: |_| Described::Plumbing };

/// # Safety
///
/// The node is a [`Doomed`], and the caller's.
unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
    // SAFETY: the node is ours; so was its target, with all inputs in, when it was made.
    unsafe { settle::abandon(take(node), cx) }
}

/// # Safety
///
/// As for `step`.
unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
    // SAFETY: as for `step`.
    unsafe { Node::abandon(take(node), cx) }
}

/// # Safety
///
/// As for `step`.
unsafe fn take(node: NonNull<Node>) -> NonNull<Node> {
    let doomed = node.cast::<Doomed>();
    // SAFETY: the caller's promise.
    unsafe {
        let target = doomed.as_ref().target;
        memory::free(doomed);
        target
    }
}
