//! How much of a generator may be in flight, and when its body goes on.
//!
//! The body is resumed for one *slice* of children after the other, in batches. When a few slices for each worker are
//! in flight it only goes on for a worker that would otherwise be idle: if what is in flight waits for timers or for
//! other computations, there is room for more. When very much is in flight, the pump is [parked](InFlight) until part of
//! the window is empty.
//!
//! A slice is a few children at first, so that only some for each worker are in flight, which bounds the memory of heavy
//! ones. Where batches settle quickly slices grow, up to [`SLICE_LEN_MAX`], so that light ones do not pay for this.
//!
//! A user who knows better says how much may be in flight: a *bound*, which also holds for what waits to be consumed.

use std::time::Duration;

use crate::graph::pump::in_flight::{InFlight, in_flight_max};
use crate::graph::stream::outlet::Outlet;
use crate::sync::atomic::{AtomicU32, Ordering};

/// Longer slices gain nothing.
pub(super) const SLICE_LEN_MAX: u32 = 256;
/// This many children are worth a change of hands.
const BATCH_LEN_MAX: u32 = 64;
/// How many children the first slice has: few, since they may be heavy, but most generators should need no second one to
/// find out.
pub(in crate::graph) const FIRST_SLICE_LEN: u32 = 8;
/// A batch that settles within this time was too short to be worth its bookkeeping.
const SETTLED_SOON: Duration = Duration::from_micros(200);
/// A batch that takes this long holds more than it needs to.
const SETTLED_LATE: Duration = Duration::from_millis(2);

pub(in crate::graph) struct Window {
    in_flight: InFlight,
    /// How many children were in flight up to now. Written by the pump; it may wrap around.
    closed: AtomicU32,
    slice_len: AtomicU32,
    /// Without one it is [`UNBOUNDED`]. It is set before the first slice.
    bound: AtomicU32,
}

const UNBOUNDED: u32 = 0;

/// What the body may hand out before it is suspended.
pub(super) struct Slice {
    /// How much that is; a value counts as 1.
    pub(in crate::graph) len: u32,
    pub(in crate::graph) child: u32,
    pub(super) batch_len: u32,
}

/// How much more may be in flight.
pub(in crate::graph) enum Room {
    Plenty,
    /// Enough to keep a worker from going idle.
    Little,
    None,
}

/// How many slices may be in flight with this many workers: enough for each to have one and to find the next.
fn slices_max(max_workers: usize) -> u32 {
    2 * max_workers as u32 + 2
}

impl Window {
    pub(in crate::graph) fn new() -> Self {
        Self {
            in_flight: InFlight::new(),
            closed: AtomicU32::new(0),
            slice_len: AtomicU32::new(FIRST_SLICE_LEN),
            bound: AtomicU32::new(UNBOUNDED),
        }
    }

    /// No more than `bound` are to be in flight; of several bounds the least holds.
    pub(in crate::graph) fn set_bound(&self, bound: u32) {
        debug_assert!(bound != UNBOUNDED, "nothing could be in flight");
        self.bound.store(self.bound().unwrap_or(bound).min(bound), Ordering::Relaxed);
    }

    /// The bound of either side holds for both: for what is in flight here, and for what waits to be consumed.
    pub(super) fn share_bound<T>(&self, outlet: &Outlet<T>) {
        outlet.bound().into_iter().for_each(|bound| self.set_bound(bound));
        self.bound().into_iter().for_each(|bound| outlet.set_bound(bound));
    }

    fn bound(&self) -> Option<u32> {
        Some(self.bound.load(Ordering::Relaxed)).filter(|bound| *bound != UNBOUNDED)
    }

    /// How many children the next slice should have, if there is room for them.
    fn slice_len(&self) -> u32 {
        self.slice_len.load(Ordering::Relaxed)
    }

    /// The next slice, while `waiting` items wait to be consumed. It may be empty.
    pub(super) fn next_slice(&self, waiting: impl FnOnce() -> u32) -> Slice {
        let len = self.slice_len();
        match self.bound() {
            None => Slice { len: SLICE_LEN_MAX, child: SLICE_LEN_MAX / len, batch_len: len.min(BATCH_LEN_MAX) },
            Some(bound) => Slice {
                len: len.min(bound.saturating_sub(self.in_flight.len() + waiting())),
                child: 1,
                // A batch is in flight until all of it has settled.
                batch_len: (bound / 4).clamp(1, BATCH_LEN_MAX).min(len),
            },
        }
    }

    /// How many children in flight are too many.
    fn full(&self, max_workers: usize) -> u32 {
        self.bound().unwrap_or_else(|| in_flight_max(max_workers))
    }

    /// How many children in flight are plenty. If there is a bound, no fewer than that were asked for.
    fn plenty(&self, max_workers: usize) -> u32 {
        self.bound().unwrap_or_else(|| (slices_max(max_workers) * self.slice_len()).min(in_flight_max(max_workers)))
    }

    /// How many items that wait for a consumer are plenty, and how few left the body is to hear of.
    pub(super) fn plenty_waiting(&self, max_workers: usize) -> (usize, usize) {
        let plenty = self.plenty(max_workers);
        let in_flight = self.bound().map_or(0, |_| self.in_flight.len());
        (plenty.saturating_sub(in_flight).max(1) as usize, self.low(plenty) as usize)
    }

    /// If `full` was too much, this is little: half of it, or three quarters if there is a bound, which was asked for.
    fn low(&self, full: u32) -> u32 {
        if self.bound().is_some() { full - full.div_ceil(4) } else { full / 2 }
    }

    /// The pump closes a batch of this many children.
    pub(in crate::graph) fn batch_closed(&self, children: u32) {
        // Relaxed: only the pump reads it.
        self.closed.store(self.closed.load(Ordering::Relaxed).wrapping_add(children), Ordering::Relaxed);
        self.in_flight.add(children);
    }

    /// How many children have settled up to now. For the pump; it may wrap around.
    pub(super) fn settled(&self) -> u32 {
        self.closed.load(Ordering::Relaxed).wrapping_sub(self.in_flight.len())
    }

    pub(in crate::graph) fn room(&self, max_workers: usize) -> Room {
        let in_flight = self.in_flight.len();
        if in_flight < self.plenty(max_workers) {
            Room::Plenty
        } else if in_flight < self.full(max_workers) {
            Room::Little
        } else {
            Room::None
        }
    }

    /// Parks the pump unless there is plenty of room. If this returns true, the pump is no longer the caller's.
    pub(in crate::graph) fn park_if_full(&self, max_workers: usize) -> bool {
        let full = self.plenty(max_workers);
        self.in_flight.park_if_full(full, self.low(full))
    }

    /// A batch of this many children has settled after `took`; returns whether the pump is ready by that, and the caller's.
    pub(in crate::graph) fn batch_settled(&self, children: u32, took: Duration) -> bool {
        self.adapt(took);
        self.in_flight.settled(children)
    }

    /// Adapts the length of the next slices to the time this batch took.
    fn adapt(&self, took: Duration) {
        let len = self.slice_len();
        if took < SETTLED_SOON {
            self.slice_len.store((2 * len).min(SLICE_LEN_MAX), Ordering::Relaxed);
        } else if SETTLED_LATE < took {
            self.slice_len.store((len / 2).max(1), Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_parks_until_it_is_half_empty() {
        let window = Window::new();
        while matches!(window.room(1), Room::Plenty) {
            assert!(!window.park_if_full(1));
            window.batch_closed(FIRST_SLICE_LEN);
        }
        assert!(window.park_if_full(1));
        let settle = |_| window.batch_settled(FIRST_SLICE_LEN, SETTLED_SOON);
        let ready: Vec<_> = (0..slices_max(1)).map(settle).collect();
        assert_eq!(ready.iter().position(|ready| *ready), Some(ready.len() / 2 - 1));
        assert_eq!(ready.iter().filter(|ready| **ready).count(), 1, "the pump is made ready once");
    }

    #[test]
    fn there_is_plenty_of_room_for_some_slices_and_more_with_more_workers() {
        let window = Window::new();
        window.batch_closed(slices_max(1) * FIRST_SLICE_LEN);
        assert!(matches!(window.room(1), Room::Little));
        assert!(matches!(window.room(2), Room::Plenty));
        window.batch_closed(in_flight_max(2));
        assert!(matches!(window.room(2), Room::None));
    }

    #[test]
    fn children_count_however_long_their_batches_were() {
        let window = Window::new();
        (0..in_flight_max(1) / BATCH_LEN_MAX).for_each(|_| window.batch_closed(BATCH_LEN_MAX));
        while 1 < window.slice_len() {
            window.batch_closed(1);
            window.batch_settled(1, 2 * SETTLED_LATE);
        }
        assert!(matches!(window.room(1), Room::None));
    }

    #[test]
    fn slices_grow_where_they_settle_soon_and_shrink_where_they_do_not() {
        let window = Window::new();
        let settle = |took| {
            window.batch_closed(1);
            window.batch_settled(1, took);
            window.slice_len()
        };
        assert_eq!([settle(Duration::ZERO), settle(Duration::ZERO), settle(SETTLED_SOON)], [16, 32, 32]);
        assert_eq!([settle(2 * SETTLED_LATE), settle(2 * SETTLED_LATE), settle(2 * SETTLED_LATE)], [16, 8, 4]);
        assert_eq!((0..20).map(|_| settle(2 * SETTLED_LATE)).min(), Some(1));
        assert_eq!((0..20).map(|_| settle(Duration::ZERO)).max(), Some(SLICE_LEN_MAX));
    }
}
