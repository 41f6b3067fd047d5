//! A run of slots for the results of a fan-out: it does not move while they are filled, and becomes a `Vec`.

use std::mem::ManuallyDrop;

use super::input::Slot;
use super::node::FailedInputs;
use crate::unwind;

/// It drops nothing by itself: only its owner knows which slots are filled.
pub(super) struct Segment<T> {
    slots: ManuallyDrop<Vec<Slot<T>>>,
}

// SAFETY: results are moved in by workers and out by another.
unsafe impl<T: Send> Send for Segment<T> {}

impl<T> Segment<T> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { slots: ManuallyDrop::new(Vec::with_capacity(capacity)) }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The place of result `i`, which is below the capacity.
    #[inline(always)]
    pub(super) fn slot(&mut self, i: usize) -> *mut Slot<T> {
        debug_assert!(i < self.slots.capacity(), "a segment has this many slots");
        // SAFETY: in bounds.
        unsafe { self.slots.as_mut_ptr().add(i) }
    }

    /// The results.
    ///
    /// # Safety
    ///
    /// The first `len` slots are filled, and the segment is not used again.
    pub(super) unsafe fn take(&mut self, len: usize) -> Vec<T> {
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
    /// The first `len` slots are filled but for the failed ones, and the segment is not used again.
    pub(super) unsafe fn discard(&mut self, len: usize, failed: &FailedInputs) {
        for i in 0..len {
            let slot = self.slot(i);
            if !failed.contains(slot) {
                // Each value by itself: the panic of one must not keep the others.
                // SAFETY: the caller's promise.
                unwind::drop_values(|| unsafe { slot.cast::<T>().drop_in_place() });
            }
        }
        // SAFETY: the slots drop nothing, and the segment is not used again.
        unsafe { ManuallyDrop::drop(&mut self.slots) }
    }
}
