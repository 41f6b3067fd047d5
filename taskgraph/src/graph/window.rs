//! How much of a generator may be in flight, and when its body goes on.
//!
//! When the window is full of chunks the pump is parked, and belongs to the chunks: the one that leaves the window half
//! empty makes it ready again. A chunk holds one child at first, so that the window holds a few children for each
//! worker, which bounds the memory of heavy ones. Where chunks settle quickly they grow, up to [`CHUNK_LEN_MAX`], so
//! that light ones do not pay for this.

use std::time::Duration;

use crate::sync::atomic::{AtomicU32, Ordering};

/// Longer chunks gain nothing.
pub(super) const CHUNK_LEN_MAX: u32 = 256;
/// A chunk that settles within this time was too short to be worth its bookkeeping.
const SETTLED_SOON: Duration = Duration::from_micros(200);
/// A chunk that takes this long holds more than it needs to.
const SETTLED_LATE: Duration = Duration::from_millis(2);
/// Set in `in_flight` while the pump is parked.
const PARKED: u32 = 1 << 31;

pub(super) struct Window {
    /// Chunks that have not settled, and [`PARKED`].
    in_flight: AtomicU32,
    /// The pump becomes ready again when no more than this many chunks are in flight.
    low: AtomicU32,
    chunk_len: AtomicU32,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { in_flight: AtomicU32::new(0), low: AtomicU32::new(0), chunk_len: AtomicU32::new(1) }
    }

    /// How many children the next chunk should have.
    pub(super) fn chunk_len(&self) -> u32 {
        self.chunk_len.load(Ordering::Relaxed)
    }

    /// The pump opens a chunk.
    pub(super) fn open_chunk(&self) {
        // Relaxed: the chunk is not in anybody's hands yet.
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Parks the pump if the window is full. If this gives true, the pump belongs to the chunks.
    pub(super) fn park_if_full(&self, chunks_max: u32) -> bool {
        self.low.store(chunks_max / 2, Ordering::Relaxed);
        // Release: a chunk that makes the pump ready sees what the pump did, `low` included.
        let park = |in_flight: u32| (chunks_max <= in_flight).then_some(in_flight | PARKED);
        self.in_flight.fetch_update(Ordering::Release, Ordering::Relaxed, park).is_ok()
    }

    /// A chunk has settled after this time; whether the pump is ready because of that, and the caller's.
    pub(super) fn chunk_settled(&self, took: Duration) -> bool {
        self.adapt(took);
        // Acquire, pairs with the Release in `park_if_full`.
        let before = self.in_flight.fetch_sub(1, Ordering::Acquire);
        if before & PARKED == 0 || self.low.load(Ordering::Relaxed) < (before & !PARKED) - 1 {
            return false;
        }
        // Several chunks may come here at once: the one that clears the mark has the pump. Acquire: as above.
        self.in_flight.fetch_and(!PARKED, Ordering::Acquire) & PARKED != 0
    }

    /// Suits the length of the next chunks to the time this one took.
    fn adapt(&self, took: Duration) {
        let len = self.chunk_len();
        if took < SETTLED_SOON {
            self.chunk_len.store((2 * len).min(CHUNK_LEN_MAX), Ordering::Relaxed);
        } else if SETTLED_LATE < took {
            self.chunk_len.store((len / 2).max(1), Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_parks_until_it_is_half_empty() {
        let window = Window::new();
        for _ in 0..4 {
            assert!(!window.park_if_full(4));
            window.open_chunk();
        }
        assert!(window.park_if_full(4));
        assert!(!window.chunk_settled(SETTLED_LATE));
        assert!(window.chunk_settled(SETTLED_LATE), "two of four are left");
        assert!(!window.chunk_settled(SETTLED_LATE), "the pump is not parked any more");
    }

    #[test]
    fn chunks_grow_where_they_settle_soon_and_shrink_where_they_do_not() {
        let window = Window::new();
        let mut settle = |took| {
            window.open_chunk();
            window.chunk_settled(took);
            window.chunk_len()
        };
        assert_eq!([settle(Duration::ZERO), settle(Duration::ZERO), settle(SETTLED_SOON)], [2, 4, 4]);
        assert_eq!([settle(2 * SETTLED_LATE), settle(2 * SETTLED_LATE), settle(2 * SETTLED_LATE)], [2, 1, 1]);
        assert_eq!((0..20).map(|_| settle(Duration::ZERO)).max(), Some(CHUNK_LEN_MAX));
    }
}
