//! A list of computations as an input: the node that takes it gets the list of their results.
//!
//! The children of a short list are inputs of the node itself. A long one is a [fan-out](mod@super) of its own.

use std::mem::ManuallyDrop;

use super::All;
use super::segment::Segment;
use crate::graph::all;
use crate::graph::call::Task;
use crate::graph::call::input::{FailedSlots, Input, Placing, Slot};
use crate::graph::delayed::DC;

/// Up to this many children start together and count on one node.
const SHORT_LEN_MAX: usize = 16;

pub enum Listed<T> {
    Short(Vec<DC<T>>),
    Long(DC<Vec<T>>),
}

impl<T: Send + 'static> Listed<T> {
    #[track_caller]
    pub(in crate::graph) fn new(children: Vec<DC<T>>) -> Self {
        Self::of_task::<All>(children)
    }

    /// For a task under whose name the list is gathered if it is long.
    #[track_caller]
    pub(in crate::graph) fn of_task<N: Task>(children: Vec<DC<T>>) -> Self {
        if children.len() <= SHORT_LEN_MAX { Self::Short(children) } else { Self::Long(all::long::<N, _>(children)) }
    }
}

/// The place of a list in a node.
#[repr(C)]
pub struct ListSlot<T> {
    /// The length, if the list is short.
    short_len: Option<usize>,
    results: Results<T>,
}

#[repr(C)]
union Results<T> {
    short: ManuallyDrop<Segment<T>>,
    long: ManuallyDrop<Slot<Vec<T>>>,
}

// SAFETY: each child of a short list fills its slot before it arrives, or has it among the failed; `DC` keeps the
// promise for a long one.
unsafe impl<T: Send + 'static> Input for Listed<T> {
    type Slot = ListSlot<T>;
    type Held = Vec<T>;
    type Value = Vec<T>;

    #[inline(always)]
    unsafe fn place(self, slot: *mut ListSlot<T>, placing: &mut Placing) {
        match self {
            Self::Short(children) => {
                let short_len = Some(children.len());
                let (mut results, children) = Segment::for_results(children);
                for (i, child) in children.enumerate() {
                    // SAFETY: the slot is room for this child's result.
                    unsafe { child.place(results.slot(i), placing) };
                }
                let results = Results { short: ManuallyDrop::new(results) };
                // SAFETY: the caller's promise.
                unsafe { slot.write(ListSlot { short_len, results }) };
            }
            // SAFETY: the caller's promise.
            Self::Long(list) => unsafe {
                (&raw mut (*slot).short_len).write(None);
                list.place((&raw mut (*slot).results).cast(), placing);
            },
        }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut ListSlot<T>) -> Vec<T> {
        // SAFETY: the caller's promise.
        unsafe {
            match (*slot).short_len {
                Some(len) => (*(*slot).results.short).take(len),
                None => DC::take((&raw mut (*slot).results).cast()),
            }
        }
    }

    #[inline(always)]
    fn open(held: Vec<T>) -> Vec<T> {
        held
    }

    unsafe fn discard(slot: *mut ListSlot<T>, failed: &FailedSlots<'_>) {
        // SAFETY: the caller's promise.
        unsafe {
            match (*slot).short_len {
                Some(len) => (*(*slot).results.short).discard(len, failed.0),
                None => DC::<Vec<T>>::discard((&raw mut (*slot).results).cast(), failed),
            }
        }
    }
}
