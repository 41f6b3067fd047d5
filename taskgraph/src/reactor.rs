//! What futures inside tasks find around them: tokio's timers and I/O, on a thread that starts when the first of them
//! is polled; and the limits of their runtime.
//!
//! A caller that awaits a run from within tokio already has a tokio runtime, and the run uses that one. A caller that blocks
//! a thread for the result might block the very thread that would drive it, so its run uses one of ours. So do shared
//! computations, which others may need when the caller's runtime is gone.

use std::any::Any;
use std::cell::Cell;
use std::future;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use tokio::runtime::{self, Builder, Handle};
use tokio::sync::oneshot;

use crate::graph::Reactor;
use crate::limit::Limits;
use crate::sync::{Mutex, lock};
use crate::unwind;

/// One of our own, for all runs of a runtime.
pub(crate) struct OwnReactor {
    limits: Arc<Limits>,
    started: OnceLock<Handle>,
    driver: Mutex<Driver>,
}

thread_local! {
    /// The tokio runtime that this thread drives, if it drives one of ours.
    static DRIVEN: Cell<Option<runtime::Id>> = const { Cell::new(None) };
}

#[derive(Default)]
struct Driver {
    running: Option<Running>,
    has_ended: bool,
}

struct Running {
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl OwnReactor {
    /// For runs with these limits.
    pub(crate) fn new(limits: Arc<Limits>) -> Arc<Self> {
        Arc::new(Self { limits, started: OnceLock::new(), driver: Mutex::default() })
    }

    fn start(&self) -> Handle {
        let runtime = Builder::new_current_thread().enable_all().thread_name("taskgraph-blocking").build();
        // What is being polled can only fail by a panic, which is then that task's.
        let runtime =
            runtime.unwrap_or_else(|error| panic!("cannot start a tokio runtime for timers and I/O: {error}"));
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let id = handle.id();
        let drive = move || {
            DRIVEN.set(Some(id));
            if let Err(message) = unwind::catch(|| drop(runtime.block_on(ended))) {
                // A body can give tokio a waker of its own. tokio does not survive a panic in it: no timer of this runtime
                // goes off any more.
                tracing::error!("a waker panicked, and ended what drives timers and I/O with it: {message}");
            }
            // What users left there does not hold up the end of the runtime.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("taskgraph-reactor".into()).spawn(drive);
        let thread =
            thread.unwrap_or_else(|error| panic!("cannot start the thread that drives timers and I/O: {error}"));
        let mut driver = lock(&self.driver);
        if !driver.has_ended {
            driver.running = Some(Running { end, thread });
        }
        handle
    }

    /// Whether this thread drives it, so that nothing the thread waits for may need a timer of this runtime.
    pub(crate) fn is_driven_here(&self) -> bool {
        let driven = DRIVEN.try_with(Cell::get).ok().flatten();
        driven.is_some() && driven == self.started.get().map(Handle::id)
    }

    /// Ends the thread. No body is polled any more.
    pub(crate) fn end(&self) {
        let running = {
            let mut driver = lock(&self.driver);
            driver.has_ended = true;
            driver.running.take()
        };
        if let Some(Running { end, thread }) = running {
            let _ = end.send(());
            if thread.thread().id() != thread::current().id() {
                thread.join().expect("the reactor's thread catches what panics there");
            }
        }
    }
}

impl Reactor for OwnReactor {
    fn enter(&self, poll: &mut dyn FnMut()) {
        let _entered = self.started.get_or_init(|| self.start()).enter();
        poll();
    }

    fn common(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.limits) as _
    }
}

/// The tokio runtime of whoever awaits the run; one of our own once that is gone.
pub(crate) struct CallersReactor {
    own: Arc<dyn Reactor>,
    tokio: Handle,
    /// A task there that only ends with it: tokio does not say otherwise whether it has shut down.
    canary: tokio::task::JoinHandle<()>,
}

impl CallersReactor {
    /// If this thread is inside tokio; for runs of a runtime that has one of its own.
    pub(crate) fn current(own: &Arc<OwnReactor>) -> Option<Arc<Self>> {
        let tokio = Handle::try_current().ok()?;
        let canary = tokio.spawn(future::pending());
        Some(Arc::new(Self { own: Arc::clone(own) as _, tokio, canary }))
    }
}

impl Drop for CallersReactor {
    fn drop(&mut self) {
        self.canary.abort();
    }
}

impl Reactor for CallersReactor {
    fn enter(&self, poll: &mut dyn FnMut()) {
        if self.canary.is_finished() {
            return self.own.enter(poll);
        }
        let _entered = self.tokio.enter();
        poll();
    }

    fn own(&self) -> Option<&Arc<dyn Reactor>> {
        Some(&self.own)
    }

    fn common(&self) -> Arc<dyn Any + Send + Sync> {
        self.own.common()
    }
}

/// Whether this thread is inside tokio, where nobody should block.
pub(crate) fn is_around() -> bool {
    Handle::try_current().is_ok()
}
