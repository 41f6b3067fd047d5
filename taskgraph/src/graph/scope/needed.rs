//! Whether anybody still needs what a scope computes: searches outwards, to whoever waits for it.
//!
//! | question | asked by | searches | up to |
//! |---|---|---|---|
//! | [`is_stopped`](Scope::is_stopped) | each step | itself, its run | |
//! | [`is_needed`](Scope::is_needed) | the same, if its run has stopped | attempts, waiters | a run |
//! | [`is_cancelled`](Scope::is_cancelled) | a body | attempts, waiters, bodies that await | a run |
//! | [`is_wanted`](Scope::is_wanted) | a sleeper that many need | attempts, waiters | a run, a body, a handle that is kept |
//!
//! Waiters are those who wait for a shared result. A search passes nothing stopped. `is_needed` stops what is not needed.

use std::collections::{HashMap, HashSet};
use std::ptr;

use super::{NeededBy, STOPS, Scope};
use crate::graph::shared::head::Head;
use crate::sync::atomic::Ordering;
use crate::sync::{Mutex, lock, shared_static};

shared_static! {
    /// Whoever searches past bodies that may leave what they await holds the locks of several scopes.
    static LOOKING: Mutex<()> = Mutex::new(());
}

impl Scope {
    /// The run that started this is stopped: looks for another one that needs it and is not.
    ///
    /// The answer holds until the next stop of a run: if such a run is found, all scopes on the way to it are needed;
    /// if not, none of those looked at is.
    #[cold]
    pub(super) fn is_needed(&self) -> bool {
        // Acquire, pairs with the Release in `stop`: the stops counted here are visible below.
        let stops = STOPS.load(Ordering::Acquire);
        if self.needed_at.load(Ordering::Relaxed) == stops {
            return true;
        }
        // Each scope that was found, with the one on whose behalf.
        let mut found = HashMap::from([(ptr::from_ref(self), self)]);
        let mut to_do = vec![self];
        while let Some(scope) = to_do.pop() {
            if scope.stopped.load(Ordering::Relaxed) {
                continue;
            }
            if !scope.run().stopped.load(Ordering::Relaxed) || scope.needed_at.load(Ordering::Relaxed) == stops {
                let mut needed = scope;
                loop {
                    needed.needed_at.store(stops, Ordering::Relaxed);
                    if ptr::eq(needed, self) {
                        return true;
                    }
                    needed = found[&ptr::from_ref(needed)];
                }
            }
            scope.for_each_needing(|needing| {
                found.entry(ptr::from_ref(needing)).or_insert_with(|| {
                    to_do.push(needing);
                    scope
                });
            });
        }
        for scope in found.values() {
            scope.stopped.store(true, Ordering::Relaxed);
        }
        self.stopped.store(true, Ordering::Relaxed);
        false
    }

    /// Whether a body of this scope is no longer wanted, even if no worker has come to tell: what awaits it may have
    /// been stopped, or what awaits that.
    pub(in crate::graph) fn is_cancelled(&self) -> bool {
        if self.is_stopped() {
            return true;
        }
        if let NeededBy::Run(_) = self.needed_by {
            return false;
        }
        // Acquire: as in `is_needed`.
        let stops = STOPS.load(Ordering::Acquire);
        self.needed_at.load(Ordering::Relaxed) != stops && !self.is_awaited(stops)
    }

    /// Whether there is a way outwards to a run, past nothing that is stopped.
    #[cold]
    fn is_awaited(&self, stops: u32) -> bool {
        // Whoever has left something no longer waits for it, so nobody may leave meanwhile. Nobody else holds several locks.
        let _looking = lock(&LOOKING);
        let mut kept = Vec::new();
        let mut found = HashSet::from([ptr::from_ref(self)]);
        let mut to_do = vec![self];
        while let Some(scope) = to_do.pop() {
            if scope.stopped.load(Ordering::Relaxed) {
                continue;
            }
            match &scope.needed_by {
                NeededBy::Run(_) => {
                    self.needed_at.store(stops, Ordering::Relaxed);
                    return true;
                }
                NeededBy::Body(body) => {
                    kept.push(lock(&scope.kept));
                    // SAFETY: null if the body has left; otherwise it cannot leave while we have the lock.
                    let outer = unsafe { body.outer.load(Ordering::Relaxed).as_ref() };
                    to_do.extend(outer.filter(|outer| found.insert(ptr::from_ref(*outer))));
                }
                NeededBy::Around(_) | NeededBy::Waiters(..) => scope.for_each_needing(|needing| {
                    if found.insert(needing) {
                        to_do.push(needing);
                    }
                }),
            }
        }
        false
    }

    /// Calls `tell` with the scopes that need this one, whose owner has not settled.
    fn for_each_needing<'a>(&'a self, mut tell: impl FnMut(&'a Self)) {
        match &self.needed_by {
            NeededBy::Run(_) | NeededBy::Body(_) => {}
            NeededBy::Around(_) => self.around().into_iter().for_each(tell),
            // SAFETY: the computation has not settled, so those who wait for it still do, and their scopes are alive.
            NeededBy::Waiters(shared) => unsafe {
                Head::waiting(*shared).for_each(|waiter| tell(&*waiter.scope().as_ptr()));
            },
        }
    }

    /// Whether there is a way outwards to a run, or to a handle that somebody keeps, past nothing that is stopped.
    #[cold]
    pub(super) fn is_wanted(&self) -> bool {
        let mut found = HashSet::from([ptr::from_ref(self)]);
        let mut to_do = vec![self];
        while let Some(scope) = to_do.pop() {
            if scope.stopped.load(Ordering::Relaxed) {
                continue;
            }
            let mut waiting = 0;
            scope.for_each_needing(|needing| {
                waiting += 1;
                if found.insert(needing) {
                    to_do.push(needing);
                }
            });
            let is_end = match scope.needed_by {
                NeededBy::Run(_) | NeededBy::Body(_) => true,
                NeededBy::Around(_) => false,
                // First those who wait, then all handles: one that appears in between is one that somebody keeps.
                // SAFETY: the computation has not settled.
                NeededBy::Waiters(shared) => unsafe { Head::has_more_handles_than(shared, waiting) },
            };
            if is_end {
                return true;
            }
        }
        false
    }
}
