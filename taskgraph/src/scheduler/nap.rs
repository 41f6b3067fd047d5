//! When the watch sleeps: until it is time to look again, and while no run lives until the next one starts.
//!
//! Whoever starts a run says so first, and then looks whether the watch is asleep for long; the watch does the same two
//! things the other way round. So it sleeps through no run.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait};

pub(super) struct Nap {
    has_runs: AtomicBool,
    /// The watch sleeps until somebody wakes it up, or has not started.
    is_dormant: AtomicBool,
    told: Mutex<Told>,
    news: Condvar,
}

#[derive(Default)]
struct Told {
    is_started: bool,
    is_over: bool,
}

impl Nap {
    /// `may_start` says whether there will ever be a watch.
    pub(super) fn new(may_start: bool) -> Self {
        Self {
            has_runs: AtomicBool::new(false),
            is_dormant: AtomicBool::new(may_start),
            told: Mutex::new(Told::default()),
            news: Condvar::new(),
        }
    }

    /// Sets whether there are runs that have not settled; `start` starts the watch, and returns whether it could. False if it
    /// could not.
    pub(super) fn set_has_runs(&self, has_runs: bool, start: impl FnOnce() -> bool) -> bool {
        // SeqCst, here and below: either the watch sees the run, or we see it asleep.
        self.has_runs.store(has_runs, Ordering::SeqCst);
        !(has_runs && self.is_dormant.load(Ordering::SeqCst)) || self.wake(start)
    }

    #[cold]
    fn wake(&self, start: impl FnOnce() -> bool) -> bool {
        let mut told = lock(&self.told);
        if told.is_over {
            return true;
        }
        if !told.is_started {
            // If it could not start, the next run tries again.
            told.is_started = start();
        }
        self.is_dormant.store(!told.is_started, Ordering::SeqCst);
        self.news.notify_all();
        told.is_started
    }

    /// There will be nothing to see any more.
    pub(super) fn end(&self) {
        lock(&self.told).is_over = true;
        self.news.notify_all();
    }

    /// Sleeps until it is time to look; false if there will be nothing to see any more.
    pub(super) fn sleep(&self, interval: Duration) -> bool {
        let mut told = lock(&self.told);
        let mut until = Instant::now() + interval;
        while !told.is_over {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                told = self.news.wait_timeout(told, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
            } else if self.has_runs.load(Ordering::SeqCst) {
                return true;
            } else {
                told = self.be_dormant(told);
                until = Instant::now() + interval;
            }
        }
        false
    }

    /// Sleeps until a run starts.
    fn be_dormant<'a>(&self, mut told: MutexGuard<'a, Told>) -> MutexGuard<'a, Told> {
        self.is_dormant.store(true, Ordering::SeqCst);
        if self.has_runs.load(Ordering::SeqCst) {
            self.is_dormant.store(false, Ordering::SeqCst);
        }
        while self.is_dormant.load(Ordering::SeqCst) && !told.is_over {
            told = wait(&self.news, told);
        }
        told
    }
}
