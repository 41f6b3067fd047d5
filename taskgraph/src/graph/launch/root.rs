//! The root of a run: the consumer of the whole graph, which hands the result to whoever waits outside.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use super::Launch;
use crate::error::Error;
use crate::graph::cx::{Cx, Queued};
use crate::graph::delayed::DC;
use crate::graph::future::alarm;
use crate::graph::node::links::List;
use crate::graph::node::memory;
use crate::graph::node::{Abandoned, Described, Destination, Node, Ready, Table};
use crate::graph::scope::{Scope, ScopePtr};
use crate::graph::settle;
use crate::unwind;

/// The end of a run, as the graph sees it.
pub(crate) trait Ending<T>: Send + Sync + 'static {
    /// The scope of the run.
    fn scope(&self) -> &Scope;
    /// Nothing of the run is left. Called once.
    fn settle(&self, result: Result<T, Error>);
    /// If the run is part of another one: the task that waits for its end, as for an input.
    fn parent(&self) -> Option<Parent> {
        None
    }
}

/// A task with a run of its own inside it, and the scope it belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Parent {
    pub(in crate::graph) node: NonNull<Node>,
    pub(in crate::graph) scope: ScopePtr,
}

#[repr(C)]
struct Root<T, E> {
    node: Node,
    inner: Launch<T>,
    ending: Arc<E>,
}

/// Makes a graph a run: what is returned goes into a queue, and the ending gets the result.
#[track_caller]
pub(crate) fn root<T: Send + 'static, E: Ending<T>>(graph: DC<T>, ending: Arc<E>) -> Queued {
    // The scope lives in the ending, which the root keeps alive.
    let scope = NonNull::from(ending.scope());
    let root = make(graph, Arc::clone(&ending));
    ending.scope().set_root(root);
    Queued::new(Ready(root), scope)
}

/// A root, which is ready: it waits for nothing before it starts the graph.
#[track_caller]
pub(in crate::graph) fn make<T: Send + 'static, E: Ending<T>>(graph: DC<T>, ending: Arc<E>) -> NonNull<Node> {
    let root = memory::allocate::<Root<T, E>>();
    let node = Node::new(Root::<T, E>::TABLE, Location::caller(), 0);
    node.mark_starter();
    // SAFETY: the memory is room for a `Root`.
    unsafe { root.write(Root { node, inner: Launch::new(graph), ending }) };
    root.cast()
}

impl<T: Send + 'static, E: Ending<T>> Root<T, E> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// # Safety
    ///
    /// The node is alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        let parent = unsafe { node.cast::<Self>().as_ref() }.ending.parent();
        parent.map_or(Described::Plumbing, |parent| Described::Awaited(parent.node))
    }

    /// The first step starts the graph, the second has its result.
    ///
    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let root = node.cast::<Self>();
        let at = root.as_ptr();
        // SAFETY: the node is ours, and its result is moved out once.
        unsafe {
            if (*at).inner.is_held() {
                return Launch::start(&raw mut (*at).inner, node, cx);
            }
            let value = Launch::result(&raw mut (*at).inner).read();
            let (parent, woken) = Self::end(root, Ok(value), cx);
            let through = parent.and_then(|parent| settle::arrive(Destination::signal(parent), cx));
            let Some(woken) = woken else { return through };
            if let Some(through) = through {
                cx.add_ready(List::of(through.0));
            }
            Some(cx.go_on_with(woken))
        }
    }

    /// # Safety
    ///
    /// The node is one of these, its input is in if it was started, and it is the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        let root = node.cast::<Self>();
        let at = root.as_ptr();
        // SAFETY: the node is ours; what it holds is dropped once.
        unsafe {
            Launch::discard(&raw mut (*at).inner, node);
            let failure = (*at).ending.scope().failure();
            let (parent, woken) = Self::end(root, Err(failure), cx);
            if let Some(woken) = woken {
                cx.host.inject(woken);
            }
            match parent {
                Some(parent) => Abandoned::Arrived(Destination::signal(parent)),
                None => Abandoned::Caught(None),
            }
        }
    }

    /// Returns the task that waits for this, whose scope is that of what follows; and what the result woke.
    ///
    /// # Safety
    ///
    /// The root is the caller's, and nothing is left of what it started.
    unsafe fn end(
        root: NonNull<Self>,
        result: Result<T, Error>,
        cx: &mut Cx<'_>,
    ) -> (Option<NonNull<Node>>, Option<Queued>) {
        // SAFETY: the caller's promise.
        let ending = unsafe {
            let ending = (&raw mut (*root.as_ptr()).ending).read();
            memory::free(root);
            ending
        };
        // This runs user code: a waker, or the drop of a result that nobody waits for.
        let end = move |ending: Arc<E>| unwind::drop_values(move || ending.settle(result));
        let Some(parent) = ending.parent() else {
            cx.leave();
            end(ending);
            return (None, None);
        };
        cx.enter(parent.scope);
        (Some(parent.node), alarm::woken_by(cx.scope().home(), || end(ending)))
    }
}
