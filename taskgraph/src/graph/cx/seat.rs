//! A seat: where a worker notes which body it is about to run, for whoever watches.
//!
//! The notes are two separate words: whoever reads while they change may see the name of one body with the place of
//! another. They order nothing, and are the standard library's own atomics, which no model watches.

use std::marker::PhantomData;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use crate::graph::call::{Task, name};
use crate::task;

/// On a cache line of its own, and not on one that is fetched along with another.
#[repr(align(128))]
pub(crate) struct Seat {
    name: AtomicPtr<Name>,
    origin: AtomicPtr<Location<'static>>,
    /// The last ping that its worker has heard of.
    heard: AtomicU8,
    presence: AtomicU8,
}

/// How the tasks of a type are named.
pub(super) struct Name(fn(&'static Location<'static>) -> task::Task);

struct Named<N>(PhantomData<N>);

impl<N: Task> Named<N> {
    const NAME: &'static Name = &Name(name::<N>);
}

/// Nobody works there.
const EMPTY: u8 = 0;
const TAKEN: u8 = 1;
/// The body waits, and another worker has its place.
const WAITING: u8 = 2;

impl Seat {
    pub(crate) const fn new() -> Self {
        Self {
            name: AtomicPtr::new(ptr::null_mut()),
            origin: AtomicPtr::new(ptr::null_mut()),
            heard: AtomicU8::new(0),
            presence: AtomicU8::new(EMPTY),
        }
    }

    /// A number for the worker, different from those of most others, and from what a node has that nobody has brought anything.
    #[inline(always)]
    pub(in crate::graph) fn bearer(&self) -> u32 {
        const BITS: u32 = 24;
        let place = ptr::from_ref(self).addr() / align_of::<Self>();
        1 << BITS | place as u32 & ((1 << BITS) - 1)
    }

    /// A worker is about to run the body of a task.
    #[inline(always)]
    pub(in crate::graph) fn note<N: Task>(&self, origin: &'static Location<'static>) {
        // Relaxed: see above.
        self.name.store(ptr::from_ref(Named::<N>::NAME).cast_mut(), Ordering::Relaxed);
        self.origin.store(ptr::from_ref(origin).cast_mut(), Ordering::Relaxed);
    }

    /// A worker takes the seat. It runs no body, and has heard of this ping.
    pub(crate) fn take(&self, ping: u8) {
        self.heard.store(ping, Ordering::Relaxed);
        self.presence.store(TAKEN, Ordering::Relaxed);
    }

    /// Its worker has ended a step since this ping.
    pub(crate) fn hear(&self, ping: u8) {
        self.heard.store(ping, Ordering::Relaxed);
    }

    /// Its worker looks for work, or goes.
    pub(crate) fn clear(&self) {
        self.name.store(ptr::null_mut(), Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.clear();
        self.presence.store(EMPTY, Ordering::Relaxed);
    }

    /// The body waits in a call of ours, and another worker has its place; or it goes on.
    pub(crate) fn set_waiting(&self, is_waiting: bool) {
        self.presence.store(if is_waiting { WAITING } else { TAKEN }, Ordering::Relaxed);
    }

    /// Whether somebody works there who has heard nothing since this ping.
    pub(crate) fn is_silent_since(&self, ping: u8) -> bool {
        self.presence.load(Ordering::Relaxed) == TAKEN && self.heard.load(Ordering::Relaxed) != ping
    }

    /// Whether this was the last ping that somebody has heard of who works there.
    pub(crate) fn has_heard(&self, ping: u8) -> bool {
        self.presence.load(Ordering::Relaxed) == TAKEN && self.heard.load(Ordering::Relaxed) == ping
    }

    /// The task whose body runs there, or ran last.
    pub(crate) fn task(&self) -> Option<task::Task> {
        if self.presence.load(Ordering::Relaxed) != TAKEN {
            return None;
        }
        // SAFETY: what is noted lives for ever.
        unsafe {
            let name = self.name.load(Ordering::Relaxed).as_ref()?;
            Some((name.0)(self.origin.load(Ordering::Relaxed).as_ref()?))
        }
    }
}
