//! How many children of a fan-out are in flight, and whether its pump is parked until there are fewer.
//!
//! A parked pump belongs to the children: those that leave few enough in flight get it.

use crate::sync::atomic::{AtomicU32, Ordering};

/// How many children in flight are enough, whatever they wait for: a few thousand, or a few hundred for each worker.
pub(in crate::graph) fn in_flight_max(max_workers: usize) -> u32 {
    (1 << 12).max(max_workers as u32 * (1 << 8))
}

/// Set in `children` while the pump is parked.
const PARKED: u32 = 1 << 31;

pub(in crate::graph) struct InFlight {
    /// How many have not settled, and [`PARKED`].
    children: AtomicU32,
    /// The pump becomes ready again when no more than this many are in flight.
    low: AtomicU32,
}

impl InFlight {
    pub(in crate::graph) fn new() -> Self {
        Self { children: AtomicU32::new(0), low: AtomicU32::new(0) }
    }

    /// How many there are. Only for the pump.
    pub(in crate::graph) fn len(&self) -> u32 {
        self.children.load(Ordering::Relaxed)
    }

    /// The pump has made children.
    pub(in crate::graph) fn add(&self, children: u32) {
        // Relaxed: nobody has them yet.
        self.children.fetch_add(children, Ordering::Relaxed);
    }

    /// Parks the pump if at least `full` are in flight, until there are no more than `low`. If this returns true, the
    /// pump is no longer the caller's.
    pub(in crate::graph) fn park_if_full(&self, full: u32, low: u32) -> bool {
        self.low.store(low, Ordering::Relaxed);
        // Release: whoever gets the pump sees what it did, `low` included.
        let park = |children: u32| (full <= children).then_some(children | PARKED);
        self.children.fetch_update(Ordering::Release, Ordering::Relaxed, park).is_ok()
    }

    /// Children have settled; returns whether the pump is ready because of that, and the caller's.
    pub(in crate::graph) fn settled(&self, children: u32) -> bool {
        // Acquire, pairs with the Release in `park_if_full`.
        let before = self.children.fetch_sub(children, Ordering::Acquire);
        let is_low = before & PARKED != 0 && (before & !PARKED) - children <= self.low.load(Ordering::Relaxed);
        // Several may see that: the one that clears the mark has the pump.
        is_low && self.children.fetch_and(!PARKED, Ordering::Acquire) & PARKED != 0
    }
}
