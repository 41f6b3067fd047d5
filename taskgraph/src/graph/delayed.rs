//! A graph that has not run, as a typed value: its node, and the leaves with which it starts.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::ptr::NonNull;

use super::cx::Cx;
use super::node::{Destination, List, Node, Ready};
use super::settle;

/// A delayed computation of a `T`: lazy, owned, and used once.
///
/// Nothing runs until it is given to [`run`](crate::run) or to a [`Runtime`](crate::Runtime), by itself or as a part
/// of a larger computation. It is made by a `#[delayed]` function, by [`DC::new`], or from a value.
///
/// Dropping one that has not run drops everything it is made of, and says so in a `tracing` warning, since it is
/// mostly a mistake.
///
/// ```
/// use taskgraph::DC;
///
/// let sum = DC::new(|a: u64, b: u64| a + b, (1, DC::value(2).map(|x| 10 * x)));
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 21);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "a delayed computation does nothing unless it is run, yielded, returned or given to another"]
pub struct DC<T> {
    /// The node whose result is the computation's.
    node: NonNull<Node>,
    /// The nodes below it that wait for nothing: starting the graph walks nothing.
    ready: List,
    result: PhantomData<fn() -> T>,
}

// SAFETY: a graph that has not run is owned by this handle alone, and all that it holds is `Send`: every constructor
// asks for that. The result is made later, on the worker that hands it on, and asks for `T: Send` there.
unsafe impl<T> Send for DC<T> {}
// SAFETY: there is nothing to be done with a `&DC`.
unsafe impl<T> Sync for DC<T> {}

impl<T> DC<T> {
    /// # Safety
    ///
    /// `node` is a node with a result of type `T`, owned by the caller together with all below it, and `ready` are
    /// the leaves of that graph, at least one.
    #[inline(always)]
    pub(super) unsafe fn from_parts(node: NonNull<Node>, ready: List) -> Self {
        debug_assert!(!ready.is_empty(), "a graph starts somewhere");
        Self { node, ready, result: PhantomData }
    }

    #[inline(always)]
    pub(super) fn into_parts(mut self) -> (NonNull<Node>, List) {
        let ready = mem::replace(&mut self.ready, List::EMPTY);
        let node = self.node;
        mem::forget(self);
        (node, ready)
    }

    /// Puts the graph in the place of the node that had this destination: a tail call.
    #[inline(always)]
    pub(super) fn replace(self, to: Destination, cx: &mut Cx<'_>) -> Option<Ready> {
        let (node, ready) = self.into_parts();
        // SAFETY: the graph was never run, so its nodes are alive and ours.
        unsafe { node.as_ref() }.attach(to);
        cx.start(ready)
    }

    /// The computation stands for a call made elsewhere.
    pub(super) fn set_origin(&self, origin: &'static Location<'static>) {
        // SAFETY: the graph has not run, so its nodes are alive.
        unsafe { self.node.as_ref() }.set_origin(origin);
    }
}

impl<T> Drop for DC<T> {
    fn drop(&mut self) {
        settle::drop_unrun(self.node, mem::replace(&mut self.ready, List::EMPTY));
    }
}

impl<T> fmt::Debug for DC<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the graph has not run, so its nodes are alive.
        match unsafe { Node::task(self.node) } {
            Some(task) => write!(f, "DC({task})"),
            None => f.write_str("DC"),
        }
    }
}
