//! A run: the place where a result waits for whoever wants it.

use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};

use super::Core;
use crate::error::Error;
use crate::graph::{Ending, Home, Scope};
use crate::sync::{Condvar, Mutex, lock};

pub(super) struct Run<T> {
    scope: Scope,
    result: Mutex<Waiting<T>>,
    settled: Condvar,
    core: Weak<Core>,
    id: OnceLock<u64>,
}

enum Waiting<T> {
    /// Not settled; who polls for it.
    Pending(Option<Waker>),
    Settled(Result<T, Error>),
    Taken,
}

/// A run of whatever type, to be cancelled.
pub(super) trait Cancel: Send + Sync {
    fn cancel(&self);
}

impl<T: Send + 'static> Run<T> {
    /// A run of a runtime, which knows of it from now on.
    pub(super) fn start(core: &Arc<Core>) -> Arc<Self> {
        let run = Arc::new(Self {
            scope: Scope::of_run(Arc::clone(&core.scheduler) as Arc<dyn Home>),
            result: Mutex::new(Waiting::Pending(None)),
            settled: Condvar::new(),
            core: Arc::downgrade(core),
            id: OnceLock::new(),
        });
        let id = core.add(Arc::clone(&run) as Arc<dyn Cancel>);
        run.id.set(id).expect("a run is started once");
        run
    }

    pub(super) fn is_settled(&self) -> bool {
        !matches!(*lock(&self.result), Waiting::Pending(_))
    }

    /// Waits until the run has settled.
    pub(super) fn wait(&self) {
        let mut result = lock(&self.result);
        while matches!(*result, Waiting::Pending(_)) {
            result = self.settled.wait(result).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// The result, once: of a run that has settled.
    pub(super) fn take(&self) -> Result<T, Error> {
        match std::mem::replace(&mut *lock(&self.result), Waiting::Taken) {
            Waiting::Settled(result) => result,
            Waiting::Pending(_) => unreachable!("the run has settled"),
            Waiting::Taken => panic!("the result of a run was asked for again"),
        }
    }

    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<T, Error>> {
        // Wakers are code of users: they are cloned and dropped while nothing is locked.
        let waker = context.waker().clone();
        let before = match &mut *lock(&self.result) {
            Waiting::Pending(before) => before.replace(waker),
            Waiting::Settled(_) | Waiting::Taken => None,
        };
        drop(before);
        if self.is_settled() { Poll::Ready(self.take()) } else { Poll::Pending }
    }
}

impl<T: Send + 'static> Cancel for Run<T> {
    fn cancel(&self) {
        self.scope.stop();
    }
}

impl<T: Send + 'static> Ending<T> for Run<T> {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn settle(&self, result: Result<T, Error>) {
        if let Some(core) = self.core.upgrade() {
            core.remove(*self.id.get().expect("a run is known before anything of it runs"));
        }
        let before = std::mem::replace(&mut *lock(&self.result), Waiting::Settled(result));
        self.settled.notify_all();
        match before {
            Waiting::Pending(Some(waker)) => waker.wake(),
            Waiting::Pending(None) => {}
            Waiting::Settled(_) | Waiting::Taken => unreachable!("a run settles once"),
        }
    }
}
