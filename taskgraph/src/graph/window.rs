//! How much of a generator may be in flight, and when its body goes on.
//!
//! The body is resumed for one *slice* after the other, each of so many children, in batches. When the window is full of
//! batches the pump is parked, and belongs to them: the one that leaves the window half empty makes it ready again. So
//! does a change of the number of workers, which may need more to do at once.
//!
//! A slice is a few children at first, so that the window holds no more than some for each worker, which bounds the
//! memory of heavy ones. Where batches settle quickly slices grow, up to [`SLICE_LEN_MAX`], so that light ones do not pay
//! for this.

use std::time::Duration;

use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

/// Longer slices gain nothing.
pub(super) const SLICE_LEN_MAX: u32 = 256;
/// So many children are worth changing hands.
const BATCH_LEN_MAX: u32 = 32;
/// How many children the first slice has: few, for they may be heavy, but most generators should need no second one to
/// find out.
const FIRST_SLICE_LEN: u32 = 8;
/// A batch that settles within this time was too short to be worth its bookkeeping.
const SETTLED_SOON: Duration = Duration::from_micros(200);
/// A batch that takes this long holds more than it needs to.
const SETTLED_LATE: Duration = Duration::from_millis(2);
/// Set in `in_flight` while the pump is parked.
const PARKED: u32 = 1 << 31;

pub(super) struct Window {
    /// Batches that have not settled, and [`PARKED`].
    in_flight: AtomicU32,
    /// The pump becomes ready again when no more than this many batches are in flight.
    low: AtomicU32,
    slice_len: AtomicU32,
    /// Whether those who change the number of workers know of this window.
    known: AtomicBool,
}

/// How many slices may be in flight with so many workers: enough for each to have one and to find the next.
fn slices_max(max_workers: usize) -> u32 {
    2 * max_workers as u32 + 2
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            low: AtomicU32::new(0),
            slice_len: AtomicU32::new(FIRST_SLICE_LEN),
            known: AtomicBool::new(false),
        }
    }

    /// How many children the next slice should have.
    pub(super) fn slice_len(&self) -> u32 {
        self.slice_len.load(Ordering::Relaxed)
    }

    /// How many children the next batch should have.
    pub(super) fn batch_len(&self) -> u32 {
        self.slice_len().min(BATCH_LEN_MAX)
    }

    fn batches_max(&self, max_workers: usize) -> u32 {
        slices_max(max_workers) * (self.slice_len() / BATCH_LEN_MAX).max(1)
    }

    /// How many items may wait for a consumer.
    pub(super) fn items_max(&self, max_workers: usize) -> usize {
        (slices_max(max_workers) * self.slice_len()) as usize
    }

    /// The pump opens a batch.
    pub(super) fn open_batch(&self) {
        // Relaxed: the batch is not in anybody's hands yet.
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_full(&self, max_workers: usize) -> bool {
        self.batches_max(max_workers) <= self.in_flight.load(Ordering::Relaxed)
    }

    /// Parks the pump if the window is full. If this gives true, the pump is not the caller's any more.
    ///
    /// `tell` lets those who change the number of workers know of this window; they call [`take_up`](Self::take_up).
    pub(super) fn park_if_full(&self, max_workers: impl Fn() -> usize, tell: impl FnOnce()) -> bool {
        let full = self.batches_max(max_workers());
        if self.in_flight.load(Ordering::Relaxed) < full {
            return false;
        }
        if !self.known.swap(true, Ordering::Relaxed) {
            tell();
        }
        self.low.store(full / 2, Ordering::Relaxed);
        // Release: whoever takes the pump up sees what it did, `low` included.
        let park = |in_flight: u32| (full <= in_flight).then_some(in_flight | PARKED);
        if self.in_flight.fetch_update(Ordering::Release, Ordering::Relaxed, park).is_err() {
            return false;
        }
        // SeqCst, pairs with the fence in `take_up`: either we see the new number of workers here, or whoever changed
        // it sees the mark.
        fence(Ordering::SeqCst);
        self.batches_max(max_workers()) <= full || !self.unpark()
    }

    /// A batch has settled after this time; whether the pump is ready because of that, and the caller's.
    pub(super) fn batch_settled(&self, took: Duration) -> bool {
        self.adapt(took);
        // Acquire, pairs with the Release in `park_if_full`.
        let before = self.in_flight.fetch_sub(1, Ordering::Acquire);
        let half_empty = before & PARKED != 0 && (before & !PARKED) - 1 <= self.low.load(Ordering::Relaxed);
        half_empty && self.unpark()
    }

    /// The number of workers has changed; whether the pump is ready because of that, and the caller's.
    pub(super) fn take_up(&self) -> bool {
        self.known.store(false, Ordering::Relaxed);
        // SeqCst: see `park_if_full`.
        fence(Ordering::SeqCst);
        self.unpark()
    }

    /// Several may try this at once: the one that clears the mark has the pump.
    fn unpark(&self) -> bool {
        // Acquire, pairs with the Release in `park_if_full`.
        self.in_flight.fetch_and(!PARKED, Ordering::Acquire) & PARKED != 0
    }

    /// Suits the length of the next slices to the time this batch took.
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
        for _ in 0..slices_max(1) {
            assert!(!window.park_if_full(|| 1, || ()));
            window.open_batch();
        }
        assert!(window.park_if_full(|| 1, || ()));
        let ready: Vec<_> = (0..slices_max(1)).map(|_| window.batch_settled(SETTLED_LATE)).collect();
        assert_eq!(ready.iter().position(|ready| *ready), Some(ready.len() / 2 - 1));
        assert_eq!(ready.iter().filter(|ready| **ready).count(), 1, "the pump is taken up once");
    }

    #[test]
    fn more_workers_take_up_what_is_parked() {
        let window = Window::new();
        (0..slices_max(1)).for_each(|_| window.open_batch());
        let mut told = 0;
        assert!(window.park_if_full(|| 1, || told += 1));
        assert!(window.take_up());
        assert!(!window.take_up());
        assert!(!window.park_if_full(|| 100, || told += 1), "there is room for a hundred");
        assert!(window.park_if_full(|| 1, || told += 1));
        assert_eq!(told, 2, "whoever took it up forgot it");
    }

    #[test]
    fn slices_grow_where_they_settle_soon_and_shrink_where_they_do_not() {
        let window = Window::new();
        let settle = |took| {
            window.open_batch();
            window.batch_settled(took);
            window.slice_len()
        };
        assert_eq!([settle(Duration::ZERO), settle(Duration::ZERO), settle(SETTLED_SOON)], [16, 32, 32]);
        assert_eq!([settle(2 * SETTLED_LATE), settle(2 * SETTLED_LATE), settle(2 * SETTLED_LATE)], [16, 8, 4]);
        assert_eq!((0..20).map(|_| settle(2 * SETTLED_LATE)).min(), Some(1));
        assert_eq!((0..20).map(|_| settle(Duration::ZERO)).max(), Some(SLICE_LEN_MAX));
    }
}
