//! What a deque keeps its nodes in.

use std::ptr::{self, NonNull};

use crate::graph::node::Node;
use crate::sync::atomic::AtomicPtr;

/// Nodes by their index, in a circle.
pub(super) struct Buffer {
    places: Box<[AtomicPtr<Node>]>,
    /// The previous one, which has become too small, or null: a thief may still read it. It is dropped with this one.
    outgrown: *mut Buffer,
}

/// The places of a buffer.
#[derive(Clone, Copy)]
pub(super) struct Circle {
    places: NonNull<AtomicPtr<Node>>,
    mask: usize,
}

impl Buffer {
    pub(super) fn new(capacity: usize, outgrown: *mut Self) -> Box<Self> {
        let places = (0..capacity).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        Box::new(Self { places, outgrown })
    }

    pub(super) fn circle(&self) -> Circle {
        let places = &*self.places;
        Circle { places: NonNull::from(places).cast(), mask: places.len() - 1 }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.outgrown.is_null() {
            // SAFETY: it was made from a box, and goes once.
            drop(unsafe { Box::from_raw(self.outgrown) });
        }
    }
}

impl Circle {
    /// # Safety
    ///
    /// The buffer is there as long as the place is used.
    #[inline(always)]
    pub(super) unsafe fn at<'b>(self, i: usize) -> &'b AtomicPtr<Node> {
        // SAFETY: the number of places is a power of two, and the index below it.
        unsafe { self.places.add(i & self.mask).as_ref() }
    }

    #[inline(always)]
    pub(super) fn capacity(self) -> usize {
        self.mask + 1
    }
}
