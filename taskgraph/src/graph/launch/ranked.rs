//! A priority: a node that starts a graph when its turn comes.
//!
//! ```text
//! ranked --it becomes ready--> in the scheduler's ranks --taken--> its graph runs --its result--> passed on
//! ```
//!
//! It is its own ready leaf, and holds the graph until its turn comes, so nothing of the graph is ready before. Whoever would
//! put it into a queue puts it among the ranks instead; a worker that would go on with it at once hands it over in a step.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Launch;
use crate::graph::cx::{Cx, NodeId, Queued};
use crate::graph::delayed::DC;
use crate::graph::node::links::List;
use crate::graph::node::memory;
use crate::graph::node::{Abandoned, Described, Node, RANKED, Ready, Table};
use crate::graph::settle;

/// The part that is the same for all types. A node that [is ranked](Node::is_ranked) starts with it.
#[repr(C)]
pub(in crate::graph) struct Rank {
    node: Node,
    priority: i32,
}

#[repr(C)]
struct Ranked<T> {
    rank: Rank,
    inner: Launch<T>,
}

/// Whether any such node was made in this process, so that workers have to look for them.
static HAS_PRIORITIES: AtomicBool = AtomicBool::new(false);

#[inline(always)]
pub(crate) fn has_priorities() -> bool {
    // Relaxed: it was set before the first such node, which was handed to whoever asks.
    HAS_PRIORITIES.load(Ordering::Relaxed)
}

/// The computation, started by its priority. Of two in a row the last one counts.
#[track_caller]
pub(crate) fn ranked<T: Send + 'static>(inner: DC<T>, priority: i32) -> DC<T> {
    if let Some(rank) = inner.node().filter(|node| is_ranked(*node)) {
        // SAFETY: a graph that has not run is its handle's, and this node starts with a `Rank`.
        unsafe { (*rank.cast::<Rank>().as_ptr()).priority = priority };
        if priority == 0 {
            // SAFETY: as above.
            unsafe { rank.as_ref() }.forget_rank();
        }
        return inner;
    }
    if priority == 0 || inner.node().is_none() {
        return inner;
    }
    HAS_PRIORITIES.store(true, Ordering::Relaxed);
    let ranked = memory::allocate::<Ranked<T>>();
    let node = Node::new(Ranked::<T>::TABLE, Location::caller(), RANKED);
    // SAFETY: the memory is room for a `Ranked`; a node that waits for nothing is its own ready leaf.
    unsafe {
        ranked.write(Ranked { rank: Rank { node, priority }, inner: Launch::new(inner) });
        DC::from_parts(ranked.cast(), List::of(ranked.cast()))
    }
}

fn is_ranked(node: NonNull<Node>) -> bool {
    // SAFETY: the nodes of a graph that has not run are alive.
    unsafe { node.as_ref() }.is_ranked()
}

impl Rank {
    /// The priority of a node that is ranked.
    ///
    /// # Safety
    ///
    /// The node is ranked, and alive.
    pub(in crate::graph) unsafe fn of(node: NonNull<Node>) -> i32 {
        // SAFETY: the caller's promise: only a `Ranked` is made with that mark.
        unsafe { (*node.cast::<Self>().as_ptr()).priority }
    }
}

impl<T> DC<T> {
    /// The priority of what the graph starts with, if that is a single node.
    pub(crate) fn priority_at_start(&self) -> i32 {
        let first = self.only_leaf().filter(|leaf| is_ranked(*leaf));
        // SAFETY: as looked up, of a graph that has not run.
        first.map_or(0, |leaf| unsafe { Rank::of(leaf) })
    }
}

impl<T: Send + 'static> Ranked<T> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// # Safety
    ///
    /// The node is alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise. While the graph is held it has not run, and nothing runs below this node.
        unsafe {
            match (*node.cast::<Self>().as_ptr()).inner.held().and_then(DC::node) {
                Some(inner) => Node::describe(inner),
                None => Described::Unseen,
            }
        }
    }

    /// The first step starts the graph, when its turn has come; the second has its result.
    ///
    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let ranked = node.cast::<Self>();
        let at = ranked.as_ptr();
        // SAFETY: the node is ours, and its result is moved out once.
        unsafe {
            if (*at).inner.is_held() {
                let queued = Queued::new(Ready(node), cx.scope_ptr());
                if let Some(priority) = queued.take_rank() {
                    cx.host.defer_ranked(queued, priority);
                    return None;
                }
                return Launch::start(&raw mut (*at).inner, node, cx);
            }
            cx.host.ranked_is_through(NodeId::of(node));
            let value = Launch::result(&raw mut (*at).inner).read();
            let to = node.as_ref().destination();
            memory::free(ranked);
            settle::deliver(to, value, cx)
        }
    }

    /// # Safety
    ///
    /// The node is one of these, its input is in if it was started, and it is the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        let ranked = node.cast::<Self>();
        let at = ranked.as_ptr();
        cx.host.ranked_is_through(NodeId::of(node));
        // SAFETY: the node is ours; what it holds is dropped once, then its memory goes.
        unsafe {
            let to = node.as_ref().destination();
            Launch::discard(&raw mut (*at).inner, node);
            memory::free(ranked);
            Abandoned::Failed(to)
        }
    }
}
