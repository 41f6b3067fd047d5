//! A run: the place where a result waits for whoever wants it.

use std::sync::{Arc, OnceLock, Weak};

use super::Core;
use crate::error::Error;
use crate::graph::{Ending, Reactor, Scope, Surroundings};
use crate::mailbox::Mailbox;

pub(super) struct Run<T> {
    scope: Scope,
    pub(super) result: Mailbox<Result<T, Error>>,
    core: Weak<Core>,
    id: OnceLock<u64>,
}

/// A run of whatever type, to be cancelled.
pub(super) trait Cancel: Send + Sync {
    fn cancel(&self);
}

impl<T: Send + 'static> Run<T> {
    /// A run of a runtime, which knows of it from now on.
    pub(super) fn start(core: &Arc<Core>, reactor: Arc<dyn Reactor>) -> Arc<Self> {
        let run = Arc::new(Self {
            scope: Scope::of_run(Surroundings { home: Arc::clone(&core.scheduler) as _, reactor }),
            result: Mailbox::new(),
            core: Arc::downgrade(core),
            id: OnceLock::new(),
        });
        let id = core.add(Arc::clone(&run) as Arc<dyn Cancel>);
        run.id.set(id).expect("a run is started once");
        run
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
        self.result.put(result);
    }
}
