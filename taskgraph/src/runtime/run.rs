//! A run: the place where a result waits for whoever wants it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use super::Core;
use crate::error::{CancelledBy, Error};
use crate::graph::{Ending, Reactor, Scope, Surroundings};
use crate::mailbox::Mailbox;
use crate::steering::RunStatus;
use crate::sync::{Mutex, lock};
use crate::task::Task;
use crate::timer::Timer;
use crate::unwind;

pub(super) struct Run<T> {
    scope: Scope,
    pub(super) result: Mailbox<Result<T, Error>>,
    core: Weak<Core>,
    id: OnceLock<u64>,
    /// What is run, if it has a name.
    task: Option<Task>,
    started: Instant,
    /// Ends it, at its deadline.
    timer: Mutex<Option<Timer>>,
}

/// A run of any type, to be listed and cancelled.
pub(super) trait Cancel: Send + Sync {
    fn cancel(&self, by: CancelledBy);
    fn status(&self, id: u64) -> RunStatus;
}

impl<T: Send + 'static> Run<T> {
    /// A run of a runtime.
    pub(super) fn new(core: &Arc<Core>, reactor: Arc<dyn Reactor>, task: Option<Task>) -> Arc<Self> {
        Arc::new(Self {
            scope: Scope::of_run(Surroundings { home: Arc::clone(&core.scheduler) as _, reactor }),
            result: Mailbox::new(),
            core: Arc::downgrade(core),
            id: OnceLock::new(),
            task,
            started: Instant::now(),
            timer: Mutex::new(None),
        })
    }

    /// Whether the runtime takes the run, and knows of it from now on.
    pub(super) fn register(self: &Arc<Self>, core: &Core) -> bool {
        let Some(id) = core.add(Arc::clone(self) as Arc<dyn Cancel>) else { return false };
        self.id.set(id).expect("a run is started once");
        true
    }

    /// Whether this is the thread that drives the timers and the I/O that the run may need.
    pub(super) fn is_driven_here(&self) -> bool {
        self.core.upgrade().is_some_and(|core| core.reactor.is_driven_here())
    }

    pub(super) fn set_deadline(self: &Arc<Self>, at: Instant) {
        let Some(core) = self.core.upgrade() else { return };
        let run = Arc::downgrade(self);
        let go_off = move || {
            if let Some(run) = run.upgrade() {
                run.scope.fail(|| Error::past_deadline(run.started.elapsed()));
            }
        };
        let after = at.saturating_duration_since(Instant::now());
        let start = || self.result.is_empty().then(|| Timer::start(&*core.reactor, after, go_off));
        match unwind::catch(start) {
            Ok(timer) if self.result.is_empty() => *lock(&self.timer) = timer,
            Ok(_) => {}
            // What drives timers has meanwhile ended with its runtime, and the run ended before that.
            Err(message) => assert!(!self.result.is_empty(), "{message}"),
        }
    }
}

impl<T> Run<T> {
    pub(super) fn cancel(&self, by: CancelledBy) {
        self.scope.fail(|| Error::cancelled(by));
    }
}

impl<T: Send + 'static> Cancel for Run<T> {
    fn cancel(&self, by: CancelledBy) {
        self.cancel(by);
    }

    fn status(&self, id: u64) -> RunStatus {
        RunStatus { id, task: self.task.clone(), lasts: self.started.elapsed() }
    }
}

impl<T: Send + 'static> Ending<T> for Run<T> {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn settle(&self, result: Result<T, Error>) {
        drop(lock(&self.timer).take());
        if let Some(core) = self.core.upgrade() {
            core.remove(*self.id.get().expect("a run is known before anything of it runs"));
        }
        self.result.put(result);
    }
}
