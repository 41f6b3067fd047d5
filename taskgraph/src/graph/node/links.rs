//! Lists of nodes, which are linked through the nodes themselves.

use std::ptr::{self, NonNull};

use super::Node;
use crate::sync::atomic::Ordering;

/// Nodes in order, linked through their `link` in a ring. It costs nothing to make, to join or to hand over. It is one
/// word, so a handle is two, which registers can pass.
#[must_use]
pub(crate) struct List {
    /// It is linked to the first.
    last: Option<NonNull<Node>>,
}

impl List {
    pub(in crate::graph) const EMPTY: Self = Self { last: None };

    /// # Safety
    ///
    /// The node is alive, and as long as it is in a list its link is the list's.
    #[inline(always)]
    pub(in crate::graph) unsafe fn of(node: NonNull<Node>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { set_next(node, node) };
        Self { last: Some(node) }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// The node, if there is only one.
    pub(in crate::graph) fn only(&self) -> Option<NonNull<Node>> {
        // SAFETY: listed nodes are alive.
        self.last.filter(|last| unsafe { next(*last) } == *last)
    }

    /// Links the nodes, as part of a stack, down to `below`; returns the first.
    #[inline(always)]
    pub(in crate::graph) fn into_stack(self, below: *mut Node) -> *mut Node {
        let last = self.last.expect("there is something to stack");
        // SAFETY: listed nodes are alive, and their links are ours.
        unsafe {
            let first = next(last);
            last.as_ref().link().store(below.cast(), Ordering::Relaxed);
            first.as_ptr()
        }
    }

    /// # Safety
    ///
    /// The nodes from `first` down to `below` were stacked, and are the caller's.
    pub(in crate::graph) unsafe fn from_stack(first: *mut Node, below: *mut Node) -> Self {
        let Some(first) = NonNull::new(first) else { return Self::EMPTY };
        let mut last = first;
        // SAFETY: the caller's promise.
        unsafe {
            loop {
                let following: *mut Node = last.as_ref().link().load(Ordering::Relaxed).cast();
                let Some(following) = NonNull::new(following).filter(|node| node.as_ptr() != below) else { break };
                last = following;
            }
            set_next(last, first);
        }
        Self { last: Some(last) }
    }

    /// The list as the one word that it is.
    #[inline(always)]
    pub(in crate::graph) fn into_raw(self) -> *mut () {
        self.last.map_or(ptr::null_mut(), |last| last.as_ptr().cast())
    }

    /// # Safety
    ///
    /// It came from [`into_raw`](Self::into_raw), once.
    #[inline(always)]
    pub(in crate::graph) unsafe fn from_raw(last: *mut ()) -> Self {
        Self { last: NonNull::new(last.cast()) }
    }

    #[inline(always)]
    pub(in crate::graph) fn append(&mut self, other: Self) {
        let Some(other_last) = other.last else { return };
        if let Some(last) = self.last {
            // SAFETY: listed nodes are alive, and their links are ours.
            unsafe {
                let (first, other_first) = (next(last), next(other_last));
                set_next(last, other_first);
                set_next(other_last, first);
            }
        }
        self.last = Some(other_last);
    }

    #[inline(always)]
    pub(in crate::graph) fn pop(&mut self) -> Option<NonNull<Node>> {
        let last = self.last?;
        // SAFETY: listed nodes are alive, and their links are ours.
        let first = unsafe { next(last) };
        if first == last {
            self.last = None;
        } else {
            // SAFETY: as above.
            unsafe { set_next(last, next(first)) };
        }
        Some(first)
    }

    /// Takes the list apart. Each node becomes the closure's, which may link it elsewhere.
    #[inline(always)]
    pub(in crate::graph) fn for_each(self, mut take: impl FnMut(NonNull<Node>)) {
        let Some(last) = self.last else { return };
        // SAFETY: a listed node is alive until it is given away.
        let mut node = unsafe { next(last) };
        loop {
            // SAFETY: as above.
            let following = unsafe { next(node) };
            take(node);
            if node == last {
                return;
            }
            node = following;
        }
    }
}

/// # Safety
///
/// The node is alive, and in a list of the caller.
#[inline(always)]
unsafe fn next(node: NonNull<Node>) -> NonNull<Node> {
    // SAFETY: the caller's promise; every listed node is linked to another.
    unsafe { NonNull::new_unchecked(node.as_ref().link().load(Ordering::Relaxed).cast()) }
}

/// # Safety
///
/// The node is alive, and its link is the caller's.
#[inline(always)]
unsafe fn set_next(node: NonNull<Node>, next: NonNull<Node>) {
    // SAFETY: the caller's promise.
    unsafe { node.as_ref() }.link().store(next.as_ptr().cast(), Ordering::Relaxed);
}
