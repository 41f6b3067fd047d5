//! A scope: the part of a graph that fails and stops together.
//!
//! A run is a scope; so is what an [`attempt`](crate::DC::attempt) or a [`Shared`](crate::Shared) computes.
//! The first failure of a scope is kept here and stops it: no node of it starts a step from then on, each is given
//! up instead when its turn comes. Everything still settles, so the scope's owner (the node that catches the
//! failure) is reached exactly when nothing of the scope is left.
//!
//! Scopes nest, and a stopped run stops all of them. A nested scope looks at itself and at its run, not at what lies
//! between: a failed attempt lets the attempts inside it end by themselves.

use std::ptr::{self, NonNull};

use crate::error::Error;
use crate::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use crate::sync::{Mutex, lock};

pub(crate) struct Scope {
    stopped: AtomicBool,
    /// For a nested scope: that of its run, or itself once two runs need it; null for a run's own.
    run: AtomicPtr<Scope>,
    failure: Mutex<Option<Error>>,
}

/// A scope as nodes hold it. It outlives every node that belongs to it, since its owner waits for them all.
pub(crate) type ScopePtr = NonNull<Scope>;

impl Scope {
    pub(crate) fn new() -> Self {
        Self { stopped: AtomicBool::new(false), run: AtomicPtr::new(ptr::null_mut()), failure: Mutex::new(None) }
    }

    /// Whether nodes of this scope are to be given up instead of stepped.
    #[inline(always)]
    pub(super) fn is_stopped(&self) -> bool {
        // Relaxed: stopping is a wish. A step that starts meanwhile is as good as one that started before.
        if self.stopped.load(Ordering::Relaxed) {
            return true;
        }
        let run = self.run.load(Ordering::Relaxed);
        // SAFETY: the run needs what the nested scope computes and waits for it, so it is still there.
        !run.is_null() && unsafe { (*run).stopped.load(Ordering::Relaxed) }
    }

    /// Ends the scope early, without a failure of its own.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Keeps the scope's first failure, and stops it.
    #[cold]
    pub(super) fn fail(&self, failure: impl FnOnce() -> Error) {
        let mut first = lock(&self.failure);
        if first.is_none() {
            *first = Some(failure());
        }
        drop(first);
        self.stop();
    }

    /// Why the scope has no result.
    #[cold]
    pub(super) fn failure(&self) -> Error {
        lock(&self.failure).clone().unwrap_or_else(Error::cancelled)
    }

    /// Ties this scope to `outer`'s run, which stops it from then on.
    ///
    /// A shared result may be needed by a second run: then none of them stops it.
    pub(super) fn nest_in(&self, outer: &Scope) {
        let run = outer.run_scope();
        let tied = self.run.compare_exchange(ptr::null_mut(), run, Ordering::Relaxed, Ordering::Relaxed);
        if tied.is_err_and(|first| first != run) {
            self.run.store(ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
        }
    }

    fn run_scope(&self) -> *mut Scope {
        let run = self.run.load(Ordering::Relaxed);
        if run.is_null() { ptr::from_ref(self).cast_mut() } else { run }
    }
}
