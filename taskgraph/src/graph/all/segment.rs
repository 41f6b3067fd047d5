//! A run of slots for the results of a fan-out: it does not move while they are filled, and becomes a `Vec`.
//!
//! If computations come in a `Vec`, its memory serves for their results, if their layout suits it.

use std::mem::ManuallyDrop;
use std::ptr;

use crate::graph::call::input::Slot;
use crate::graph::delayed::DC;
use crate::graph::node::FailedInputs;
use crate::unwind;

/// It drops nothing by itself: only its owner knows which slots are filled.
pub(in crate::graph) struct Segment<T> {
    slots: ManuallyDrop<Vec<Slot<T>>>,
}

// SAFETY: results are moved in by workers and out by another.
unsafe impl<T: Send> Send for Segment<T> {}

impl<T> Segment<T> {
    pub(in crate::graph) fn with_capacity(capacity: usize) -> Self {
        Self { slots: ManuallyDrop::new(Vec::with_capacity(capacity)) }
    }

    /// A slot for the result of each of `children`, which are still to be handed out, in order: the memory of those
    /// that have been handed out may be overwritten, from the front.
    pub(super) fn for_results(children: Vec<DC<T>>) -> (Self, ToHandOut<T>) {
        let len = children.len();
        let mut children = ManuallyDrop::new(children);
        let (first, capacity) = (children.as_mut_ptr(), children.capacity());
        let in_place = const {
            let (result, child) = (size_of::<Slot<T>>(), size_of::<DC<T>>());
            align_of::<Slot<T>>() == align_of::<DC<T>>() && result <= child && child.is_multiple_of(result)
        };
        let (slots, own_capacity) = if in_place {
            let capacity = capacity * (size_of::<DC<T>>() / size_of::<Slot<T>>());
            // SAFETY: the memory is a vector's, and has the layout of this many slots, none of which is filled.
            (unsafe { Vec::from_raw_parts(first.cast(), 0, capacity) }, None)
        } else {
            (Vec::with_capacity(len), Some(capacity))
        };
        // SAFETY: one past the end.
        let end = unsafe { first.add(len) };
        (Self { slots: ManuallyDrop::new(slots) }, ToHandOut { first, next: first, end, own_capacity })
    }

    pub(in crate::graph) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The place of result `i`, which is below the capacity. It is fetched into the cache meanwhile, on processors that
    /// can be told to: whoever writes the result should not wait for its line.
    #[inline(always)]
    pub(in crate::graph) fn slot(&mut self, i: usize) -> *mut Slot<T> {
        debug_assert!(i < self.slots.capacity(), "a segment has this many slots");
        // SAFETY: in bounds.
        let slot = unsafe { self.slots.as_mut_ptr().add(i) };
        fetch(slot);
        slot
    }

    /// The results.
    ///
    /// # Safety
    ///
    /// The first `len` slots are filled, and the segment is not used again.
    pub(in crate::graph) unsafe fn take(&mut self, len: usize) -> Vec<T> {
        let (slots, capacity) = (self.slots.as_mut_ptr(), self.slots.capacity());
        if size_of::<T>() != 0 {
            const { assert!(size_of::<T>() == 0 || size_of::<Slot<T>>() == size_of::<T>()) };
            // SAFETY: the buffer is a vector's, and slots have the layout of what they hold unless that has no size.
            return unsafe { Vec::from_raw_parts(slots.cast(), len, capacity) };
        }
        // SAFETY: the caller's promise; the buffer itself goes, its slots drop nothing.
        unsafe {
            let results = (0..len).map(|i| slots.add(i).cast::<T>().read()).collect();
            ManuallyDrop::drop(&mut self.slots);
            results
        }
    }

    /// Drops the results that are there.
    ///
    /// # Safety
    ///
    /// The first `len` slots are filled except for the failed ones, and the segment is not used again.
    pub(in crate::graph) unsafe fn discard(&mut self, len: usize, failed: &FailedInputs) {
        for i in 0..len {
            let slot = self.slot(i);
            if !failed.contains(slot) {
                // Each value by itself: if one panics, the others are dropped all the same.
                // SAFETY: the caller's promise.
                unwind::drop_values(|| unsafe { slot.cast::<T>().drop_in_place() });
            }
        }
        // SAFETY: the slots drop nothing, and the segment is not used again.
        unsafe { ManuallyDrop::drop(&mut self.slots) }
    }
}

/// Computations that are to be handed out, in memory that may serve for their results, too.
pub(in crate::graph) struct ToHandOut<T> {
    first: *mut DC<T>,
    next: *mut DC<T>,
    end: *mut DC<T>,
    /// Set if the memory is not that of a segment.
    own_capacity: Option<usize>,
}

// SAFETY: it owns what is left of the computations, and those can be sent.
unsafe impl<T> Send for ToHandOut<T> {}

impl<T> Iterator for ToHandOut<T> {
    type Item = DC<T>;

    #[inline(always)]
    fn next(&mut self) -> Option<DC<T>> {
        if self.next == self.end {
            return None;
        }
        // SAFETY: a computation that was not moved out; it is now.
        unsafe {
            let child = self.next.read();
            self.next = self.next.add(1);
            Some(child)
        }
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        // SAFETY: both are in the same buffer.
        let len = unsafe { self.end.offset_from_unsigned(self.next) };
        (len, Some(len))
    }
}

impl<T> ExactSizeIterator for ToHandOut<T> {}

impl<T> Drop for ToHandOut<T> {
    fn drop(&mut self) {
        // SAFETY: what was not moved out is dropped once; then the memory goes if it is ours, which was a vector's.
        unsafe {
            ptr::slice_from_raw_parts_mut(self.next, self.len()).drop_in_place();
            if let Some(capacity) = self.own_capacity {
                drop(Vec::from_raw_parts(self.first, 0, capacity));
            }
        }
    }
}

#[inline(always)]
fn fetch<T>(place: *mut T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint, for whatever address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(place.cast_const().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
