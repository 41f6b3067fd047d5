//! Counted values: how many were made, how many are dropped, how many lived at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Counts the values that it made.
#[derive(Clone, Default)]
pub struct Census(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicI64,
    dropped: AtomicI64,
    clones: AtomicI64,
    live_max: AtomicI64,
}

/// A value that its census counts when it is made, cloned and dropped.
pub struct Counted {
    census: Census,
    /// Tells a value from whatever lay there before.
    seal: u64,
}

const ALIVE: u64 = 0xa11e_a11e_a11e_a11e;

impl Census {
    /// A census of nothing so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new value.
    pub fn counted(&self) -> Counted {
        let made = self.0.made.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.live_max.fetch_max(made - self.0.dropped.load(Ordering::SeqCst), Ordering::SeqCst);
        Counted { census: self.clone(), seal: ALIVE }
    }

    /// Values made so far, clones included.
    pub fn made(&self) -> i64 {
        self.0.made.load(Ordering::SeqCst)
    }

    /// Values made by cloning.
    pub fn clones(&self) -> i64 {
        self.0.clones.load(Ordering::SeqCst)
    }

    /// Values that are not dropped yet.
    pub fn live(&self) -> i64 {
        self.made() - self.0.dropped.load(Ordering::SeqCst)
    }

    /// The most values that lived at once.
    pub fn live_max(&self) -> i64 {
        self.0.live_max.load(Ordering::SeqCst)
    }

    /// Panics unless at least `made_min` values were made, and each dropped once.
    #[track_caller]
    pub fn assert_balanced(&self, made_min: i64) {
        assert!(made_min <= self.made(), "only {} values were made, not {made_min}", self.made());
        assert_eq!(self.live(), 0, "of {} values so many were not dropped (or, below zero, twice)", self.made());
    }
}

impl Counted {
    /// Panics unless this is a value that was made, and not garbage.
    #[track_caller]
    pub fn check(&self) {
        assert_eq!(self.seal, ALIVE, "a value was used that is not there");
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.check();
        self.census.0.clones.fetch_add(1, Ordering::SeqCst);
        self.census.counted()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if std::mem::replace(&mut self.seal, 0) != ALIVE {
            // Unwinding from here could hide it.
            eprintln!("a value was dropped that is not there");
            std::process::abort();
        }
        self.census.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}
