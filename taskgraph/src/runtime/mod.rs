//! The runtime: builds what a run needs, takes runs, and ends with them.

mod builder;
mod handle;
mod results;
mod run;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use crate::MAX_WORKERS_LIMIT;
use crate::control::Control;
use crate::error::Error;
use crate::event::{Status, Steering};
use crate::graph::{self, DC, Home, Reactor};
use crate::reactor::{self, CallersReactor, OwnReactor};
use crate::scheduler::{self, Scheduler};
use crate::sync::{Condvar, Mutex, lock};
use handle::CancelOnDrop;
use run::{Cancel, Run};

pub use builder::Builder;
pub use handle::Handle;
pub use results::{IntoStream, Results};

/// Workers, and the control port through which their number changes while they run.
///
/// Dropping it cancels the runs that have not settled, waits for the steps that are running, and ends all threads.
/// Where a task drops it, that happens behind its back: one of the steps could be waiting for this one. So it does in
/// async code, which must not wait.
///
/// ```
/// use taskgraph::{DC, Runtime};
///
/// let runtime = Runtime::builder().max_workers(2).no_control().build()?;
/// let first = runtime.spawn(DC::new(|| 20, ()));
/// let second = runtime.spawn(DC::new(|| 22, ()));
/// runtime.set_max_workers(4)?;
/// assert_eq!(first.join()? + second.join()?, 42);
/// # Ok::<(), taskgraph::Error>(())
/// ```
pub struct Runtime {
    core: Arc<Core>,
    control: Option<Control>,
}

/// What runs and windows share of a runtime.
struct Core {
    scheduler: Arc<Scheduler>,
    reactor: Arc<OwnReactor>,
    live: Mutex<Live>,
    none_live: Condvar,
}

/// The runs that have not settled.
#[derive(Default)]
struct Live {
    runs: HashMap<u64, Arc<dyn Cancel>>,
    next_id: u64,
}

impl Runtime {
    /// Every setting with its default.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().max_workers(2).no_control().build()?;
    /// assert_eq!(runtime.max_workers(), 2);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs a computation, and waits for its result.
    ///
    /// May be called from several threads, and from inside a task, whose place another worker has meanwhile. The thread
    /// of that task is lost to the others as long as it waits, so they move to new ones: this costs `max_workers` new
    /// threads, some 20 microseconds each.
    ///
    /// # Errors
    ///
    /// The first failure of the run. What was running then has ended, and nothing else was started.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// assert_eq!(runtime.run(taskgraph::DC::new(|| 6 * 7, ()))?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn run<T: Send + 'static>(&self, delayed: DC<T>) -> Result<T, Error> {
        self.spawn(delayed).join()
    }

    /// Starts a computation; the handle waits for it, or cancels it.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(taskgraph::DC::new(|| 6 * 7, ()));
    /// // .. it runs meanwhile ..
    /// assert_eq!(handle.join()?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<T: Send + 'static>(&self, delayed: DC<T>) -> Handle<T> {
        self.core.start(delayed, Arc::clone(&self.core.reactor) as _)
    }

    /// Runs a computation for async code, which awaits the result.
    ///
    /// It starts at the first poll. Dropping the future cancels the run. Inside of tokio the run's own futures use the
    /// timers and the I/O of the runtime that awaits it.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), taskgraph::Error> {
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// assert_eq!(runtime.run_async(taskgraph::DC::new(|| 6 * 7, ())).await?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_async<T: Send + 'static>(
        &self,
        delayed: DC<T>,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<T> {
        let core = Arc::clone(&self.core);
        async move {
            let reactor = match CallersReactor::current() {
                Some(callers) => callers as Arc<dyn Reactor>,
                None => Arc::clone(&core.reactor) as _,
            };
            CancelOnDrop(core.start(delayed, reactor)).await
        }
    }

    /// Starts computations, and gives their results as they come: from `source`, that is any number of computations, or a
    /// [`Stream`](crate::Stream).
    ///
    /// Of computations each result comes as soon as it is there; one that fails is a failure among them. They are taken
    /// from `source` as there is room for their results: who consumes slowly slows them down.
    ///
    /// # Panics
    ///
    /// If `source` is a stream of which items were asked for before.
    ///
    /// ```
    /// use taskgraph::{DC, Runtime};
    ///
    /// let runtime = Runtime::builder().no_control().build()?;
    /// let squares = (0..10_000u64).map(|x| DC::new(|x| x * x, (x,)));
    /// let mut sum = 0;
    /// for square in runtime.stream(squares) {
    ///     sum += square?;
    /// }
    /// assert_eq!(sum, 333_283_335_000);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn stream<T: Send + 'static>(&self, source: impl IntoStream<T>) -> Results<T> {
        let (items, maker) = source.into_stream().into_parts();
        Results::new(items, CancelOnDrop(self.spawn(maker)))
    }

    /// How many workers there may be now.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().max_workers(2).no_control().build()?;
    /// assert_eq!(runtime.max_workers(), 2);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn max_workers(&self) -> usize {
        self.core.scheduler.max_workers()
    }

    /// Changes how many workers there may be, while they run.
    ///
    /// More of them start at once. Fewer: each surplus worker ends with its current step. Nothing is stopped, lost, or
    /// run again.
    ///
    /// # Errors
    ///
    /// If `max_workers` is 0 or above [`MAX_WORKERS_LIMIT`], or if the system has no threads left. Nothing has
    /// changed then.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().max_workers(2).no_control().build()?;
    /// runtime.set_max_workers(4)?;
    /// assert!(runtime.set_max_workers(0).is_err());
    /// assert_eq!(runtime.max_workers(), 4);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn set_max_workers(&self, max_workers: usize) -> Result<(), Error> {
        self.core.set_max_workers(max_workers)
    }

    /// The address of the control port; `None` without one.
    ///
    /// ```
    /// let any_port = "127.0.0.1:0".parse().unwrap();
    /// let runtime = taskgraph::Runtime::builder().control(any_port).build()?;
    /// assert!(runtime.control_addr().is_some_and(|addr| addr.port() != 0));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(Control::addr)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Nobody rescales a runtime that ends.
        self.control = None;
        let runs: Vec<_> = lock(&self.core.live).runs.values().cloned().collect();
        runs.iter().for_each(|run| run.cancel());
        let core = Arc::clone(&self.core);
        let end = move || {
            core.wait_for_runs();
            core.scheduler.end();
            core.reactor.end();
        };
        if (scheduler::is_in_task() || reactor::is_around()) && !runs.is_empty() {
            // One of these runs may not settle before the task ends that this is in.
            if let Err(error) = thread::Builder::new().name("taskgraph-end".into()).spawn(end) {
                tracing::error!("the threads of a runtime that one of its tasks dropped stay: {error}");
            }
        } else if runs.is_empty() {
            end();
        } else {
            scheduler::blocking(end);
        }
    }
}

impl Core {
    #[track_caller]
    fn start<T: Send + 'static>(self: &Arc<Self>, delayed: DC<T>, reactor: Arc<dyn Reactor>) -> Handle<T> {
        let run = Run::start(self, reactor);
        Arc::clone(&self.scheduler).inject(graph::root(delayed, Arc::clone(&run)));
        Handle::new(run)
    }

    /// Adds a run; gives its key.
    fn add(&self, run: Arc<dyn Cancel>) -> u64 {
        let mut live = lock(&self.live);
        let id = live.next_id;
        live.next_id += 1;
        live.runs.insert(id, run);
        id
    }

    /// A run has settled.
    fn remove(&self, id: u64) {
        let mut live = lock(&self.live);
        live.runs.remove(&id);
        if live.runs.is_empty() {
            drop(live);
            self.none_live.notify_all();
            graph::trim();
        }
    }

    fn wait_for_runs(&self) {
        let mut live = lock(&self.live);
        while !live.runs.is_empty() {
            live = self.none_live.wait(live).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

impl Steering for Core {
    fn max_workers(&self) -> usize {
        self.scheduler.max_workers()
    }

    fn set_max_workers(&self, max_workers: usize) -> Result<(), Error> {
        check_max_workers(max_workers)?;
        self.scheduler.set_max_workers(max_workers)
    }

    fn status(&self) -> Status {
        Status {
            max_workers: self.scheduler.max_workers(),
            running: self.scheduler.running(),
            runs: lock(&self.live).runs.len(),
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("status", &self.core.status())
            .field("control_addr", &self.control_addr())
            .finish()
    }
}

fn check_max_workers(max_workers: usize) -> Result<(), Error> {
    if (1..=MAX_WORKERS_LIMIT).contains(&max_workers) { Ok(()) } else { Err(Error::max_workers(max_workers)) }
}
