//! How many are inside of something at once.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Counts who is inside, and the most who were at once.
#[derive(Default)]
pub struct Inside {
    now: AtomicUsize,
    max: AtomicUsize,
}

impl Inside {
    /// Whoever calls is inside as long as `code` runs.
    pub fn during<R>(self: &Arc<Self>, code: impl FnOnce() -> R) -> R {
        let _inside = self.enter();
        code()
    }

    /// Whoever calls is inside until what this gives is dropped.
    pub fn enter(self: &Arc<Self>) -> impl Drop + use<> {
        struct Leave(Arc<Inside>);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.now.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.max.fetch_max(now, Ordering::SeqCst);
        Leave(Arc::clone(self))
    }

    /// How many are.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// The most who were.
    pub fn max(&self) -> usize {
        self.max.load(Ordering::SeqCst)
    }
}

/// Keeps the processor busy for so long.
pub fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        hint::spin_loop();
    }
}
