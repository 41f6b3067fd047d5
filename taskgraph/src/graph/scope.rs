//! A scope: the part of a graph that fails and stops together.
//!
//! A run is a scope; so is what an [`attempt`](crate::DC::attempt) or a [`Shared`](crate::Shared) computes.
//! The first failure of a scope is kept here and stops it: no node of it starts a step from then on, each is given
//! up instead when its turn comes. Everything still settles, so the scope's owner (the node that catches the
//! failure) is reached exactly when nothing of the scope is left.
//!
//! Scopes nest. A stopped run stops all that is nested in it, but for what it has lent: a shared computation that
//! another run needs too goes on for that one, with all that it needs itself. A failed attempt lets the attempts
//! inside it end by themselves.

use std::iter;
use std::ptr::{self, NonNull};

use crate::error::Error;
use crate::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use crate::sync::{Mutex, lock};

pub(crate) struct Scope {
    stopped: AtomicBool,
    /// Another run than the one it is nested in needs it, too.
    lent: AtomicBool,
    /// The scope of its run and the one right around it; null for a run's own.
    run: AtomicPtr<Scope>,
    outer: AtomicPtr<Scope>,
    failure: Mutex<Option<Error>>,
}

/// A scope as nodes hold it. It outlives every node that belongs to it, since its owner waits for them all.
pub(crate) type ScopePtr = NonNull<Scope>;

impl Scope {
    pub(crate) fn new() -> Self {
        Self {
            stopped: AtomicBool::new(false),
            lent: AtomicBool::new(false),
            run: AtomicPtr::new(ptr::null_mut()),
            outer: AtomicPtr::new(ptr::null_mut()),
            failure: Mutex::new(None),
        }
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
        !run.is_null() && unsafe { (*run).stopped.load(Ordering::Relaxed) } && self.is_stopped_with_run()
    }

    /// Whether the run that has stopped has lent nothing on the way from there to here.
    ///
    /// If so, all on that way is marked, so that each scope of a stopped run comes here once.
    #[cold]
    fn is_stopped_with_run(&self) -> bool {
        // SAFETY: a scope outlives what is nested in it, whose owner it waits for.
        let around = |scope: &Self| unsafe { scope.outer.load(Ordering::Relaxed).as_ref() };
        let not_marked = |scope: &&Self| !scope.stopped.load(Ordering::Relaxed);
        let way = || iter::successors(Some(self), |scope| around(scope)).take_while(not_marked);
        if way().any(|scope| scope.lent.load(Ordering::Relaxed)) {
            return false;
        }
        way().for_each(Self::stop);
        true
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

    /// Makes this a scope inside of `outer`.
    ///
    /// A shared computation is asked for more than once: it stays nested where that was first.
    pub(super) fn nest_in(&self, outer: &Self) {
        let run = outer.run_scope();
        match self.run.compare_exchange(ptr::null_mut(), run, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => self.outer.store(ptr::from_ref(outer).cast_mut(), Ordering::Relaxed),
            Err(first) if first == run => {}
            Err(_) => self.lent.store(true, Ordering::Relaxed),
        }
    }

    fn run_scope(&self) -> *mut Scope {
        let run = self.run.load(Ordering::Relaxed);
        if run.is_null() { ptr::from_ref(self).cast_mut() } else { run }
    }
}
