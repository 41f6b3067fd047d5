//! An attempt: a scope of its own, whose failure becomes a value.

use std::borrow::Cow;
use std::panic::Location;
use std::ptr::{self, NonNull};

use super::Launch;
use crate::error::Error;
use crate::graph::cx::Cx;
use crate::graph::delayed::DC;
use crate::graph::node::links::List;
use crate::graph::node::memory;
use crate::graph::node::{Abandoned, Described, Destination, Node, Ready, Table};
use crate::graph::scope::{Scope, ScopePtr};
use crate::graph::settle;
use crate::task::Task;

#[repr(C)]
struct Attempt<T> {
    node: Node,
    scope: Scope,
    /// The scope the attempt itself belongs to; known once it has started.
    outer: Option<ScopePtr>,
    inner: Launch<T>,
}

#[track_caller]
pub(in crate::graph) fn attempt<T: Send + 'static>(inner: DC<T>) -> DC<Result<T, Error>> {
    let attempt = memory::allocate::<Attempt<T>>();
    let node = Node::new(Attempt::<T>::TABLE, Location::caller(), 0);
    // SAFETY: the memory is room for an `Attempt`; a node that waits for nothing is its own ready leaf.
    unsafe {
        attempt.write(Attempt { node, scope: Scope::of_attempt(), outer: None, inner: Launch::new(inner) });
        DC::from_parts(attempt.cast(), List::of(attempt.cast()))
    }
}

impl<T: Send + 'static> Attempt<T> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// # Safety
    ///
    /// The node is alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        let origin = unsafe { node.as_ref() }.origin();
        Described::Attempt(Task { name: Cow::Borrowed("attempt"), label: None, origin })
    }

    /// The first step starts the inner computation, the second has its value.
    ///
    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let attempt = node.cast::<Self>();
        let at = attempt.as_ptr();
        // SAFETY: the node is ours, and its value is moved out once.
        unsafe {
            if (*at).inner.is_held() {
                (*at).outer = Some(cx.scope_ptr());
                (*at).scope.start_in(cx.scope());
                cx.enter(NonNull::from(&(*at).scope));
                return Launch::start(&raw mut (*at).inner, node, cx);
            }
            let value = Launch::result(&raw mut (*at).inner).read();
            let to = Self::leave(attempt, cx);
            settle::deliver(to, Ok::<T, Error>(value), cx)
        }
    }

    /// # Safety
    ///
    /// The node is one of these, its input is in if it was started, and it is the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        let attempt = node.cast::<Self>();
        let at = attempt.as_ptr();
        // SAFETY: the node is ours; what it holds is dropped or moved once.
        unsafe {
            if (*at).inner.is_held() {
                let to = (*at).node.destination();
                settle::drop_given_up(|| ptr::drop_in_place(at));
                memory::free(attempt);
                Abandoned::Failed(to)
            } else if (*at).node.has_failed() {
                drop((*at).node.take_failed());
                let failure = (*at).scope.failure();
                let to = Self::leave(attempt, cx);
                to.slot.cast::<Result<T, Error>>().write(Err(failure));
                Abandoned::Arrived(to)
            } else {
                settle::drop_given_up(|| Launch::result(&raw mut (*at).inner).drop_in_place());
                Abandoned::Failed(Self::leave(attempt, cx))
            }
        }
    }

    /// Frees a started attempt, whose result is moved out, and goes on in the scope around it.
    ///
    /// # Safety
    ///
    /// The node is started, all in, and the caller's.
    unsafe fn leave(attempt: NonNull<Self>, cx: &mut Cx<'_>) -> Destination {
        let at = attempt.as_ptr();
        // SAFETY: the caller's promise; a started `Launch` drops nothing by itself.
        unsafe {
            cx.enter((*at).outer.expect("a started attempt knows the scope around it"));
            let to = (*at).node.destination();
            ptr::drop_in_place(at);
            memory::free(attempt);
            to
        }
    }
}
