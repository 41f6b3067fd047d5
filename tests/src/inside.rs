//! How many are inside something at once.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Counts how many are inside, and the most that were at once.
#[derive(Default)]
pub struct Inside {
    now: AtomicUsize,
    max: AtomicUsize,
}

impl Inside {
    /// The caller is inside as long as `code` runs.
    pub fn during<R>(self: &Arc<Self>, code: impl FnOnce() -> R) -> R {
        let _inside = self.enter();
        code()
    }

    /// The caller is inside until the returned value is dropped.
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

    /// How many are inside.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// The most that were inside at once.
    pub fn max(&self) -> usize {
        self.max.load(Ordering::SeqCst)
    }
}

/// Keeps the processor busy for this long.
pub fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        hint::spin_loop();
    }
}
