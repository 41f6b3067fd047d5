//! The runtime: builds what a run needs, takes runs, and ends with them.

mod builder;
mod handle;
mod results;
mod run;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use crate::MAX_WORKERS_LIMIT;
use crate::control::Control;
use crate::error::{CancelledBy, Error};
use crate::graph::{self, DC, Home, Reactor};
use crate::limit::Limits;
use crate::progress::Progress;
use crate::reactor::{self, CallersReactor, OwnReactor};
use crate::scheduler::{self, Scheduler};
use crate::steering::{LimitStatus, RunStatus, Running, Status, Steering};
use crate::sync::{Condvar, Mutex, lock, wait};
use crate::unwind;
use run::{Cancel, Run};

pub use builder::Builder;
pub use handle::{Canceller, Handle};
pub use results::{IntoStream, Results};

/// Workers, and the control port through which their number can be changed while they run.
///
/// Dropping it cancels the runs that have not settled, waits for the steps that are running, and ends all threads. It also
/// waits for a shared computation that it has started, while a run of another runtime needs it.
/// In a task, where one of those steps could be waiting for this one, and in async code, which must not block, another
/// thread does that, and the drop returns as soon as the control port is closed.
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

/// The part of a runtime that its runs and the control port share.
struct Core {
    scheduler: Arc<Scheduler>,
    reactor: Arc<OwnReactor>,
    limits: Arc<Limits>,
    live: Mutex<Live>,
    none_live: Condvar,
}

/// The runs that have not settled.
#[derive(Default)]
struct Live {
    runs: BTreeMap<u64, Arc<dyn Cancel>>,
    last_id: u64,
    takes_no_more: bool,
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
    /// May be called from several threads, and from inside a task. Another worker takes that task's place while it waits.
    /// Its thread is lost to the pool meanwhile, so the workers move to new threads: with fewer than eight workers every such
    /// call starts `max_workers` of them, with more it starts about nine on average, at about 20 microseconds each. It is a
    /// run of its own: cancelling the run around it does not cancel it.
    ///
    /// # Errors
    ///
    /// The first failure of the run. By then, what was running has ended, and nothing else was started. Inside a task it also
    /// fails if the system has no threads left, as [`Handle::join`] does.
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
    /// It starts at the first poll. Dropping the future cancels the run. Inside tokio, the run's own futures use the
    /// timers and the I/O of the tokio runtime that awaits it.
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
            let reactor = match CallersReactor::current(&core.reactor) {
                Some(callers) => callers as Arc<dyn Reactor>,
                None => Arc::clone(&core.reactor) as _,
            };
            core.start(delayed, reactor).await
        }
    }

    /// Starts any number of computations, or a [`Stream`](crate::Stream), and gives the results as they come.
    ///
    /// The result of a computation comes as soon as it is there; a failed one is an `Err` among them. Computations are
    /// taken from `source` only while there is room for their results, so a slow consumer slows them down.
    ///
    /// # Panics
    ///
    /// If `source` is a stream that was asked for items before.
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
        Results::new(items, self.spawn(maker))
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
    /// Additional workers start at once; a surplus worker ends with its current step. Nothing is stopped, lost, or run
    /// again.
    ///
    /// # Errors
    ///
    /// If `max_workers` is 0 or above [`MAX_WORKERS_LIMIT`], or if the system has no threads left. Then nothing has
    /// changed.
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

    /// Changes how many bodies of all functions with `#[delayed(limit = "name")]` may run at once, in this runtime.
    ///
    /// If the limit grows, more bodies start at once. If it shrinks, running bodies end undisturbed, and no other starts
    /// until few enough are left. A limit that was never set is 1; [`Builder::limit`] sets it from the start.
    ///
    /// # Errors
    ///
    /// If `size` is 0 or above 4,294,967,295, if `name` is not one word of at most 100 bytes, or if it would be one more than
    /// the 1,024 names that a runtime may have. Then nothing has changed.
    ///
    /// ```
    /// use taskgraph::{Runtime, delayed};
    ///
    /// #[delayed(limit = "db")]
    /// async fn read(key: u64) -> u64 { key }
    /// #[delayed(limit = "db")]
    /// fn write(key: u64) {}
    ///
    /// let runtime = Runtime::builder().no_control().build()?;
    /// runtime.set_limit("db", 8)?; // no more than eight at once, reads and writes together
    /// runtime.run(taskgraph::all((0..100).map(read)))?;
    /// # runtime.run(write(1))?;
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn set_limit(&self, name: &str, size: usize) -> Result<(), Error> {
        self.core.set_limit(name, size)
    }

    /// Pauses all runs: no step starts until [`resume`](Self::resume).
    ///
    /// Running steps end; an `async` body stops at its next wait. A task that waits in [`run`](Self::run) or
    /// [`join`](Handle::join) goes on, and so can end, only after the pause, even if its run is cancelled. Timers and sockets
    /// do not stop, nor do timeouts and deadlines; what they wake up waits. Meanwhile,
    /// [the number of workers](Self::set_max_workers) can be changed, runs can be started, and a run that is cancelled or
    /// has failed ends as soon as its running bodies do. Dropping the runtime does not wait for the end of the pause.
    ///
    /// ```
    /// use taskgraph::{DC, Runtime};
    ///
    /// let runtime = Runtime::builder().max_workers(2).no_control().build()?;
    /// runtime.pause();
    /// let (first, second) = (runtime.spawn(DC::new(|| 40, ())), runtime.spawn(DC::new(|| 2, ())));
    /// second.cancel();
    /// assert!(second.join().unwrap_err().is_cancelled());
    /// assert!(runtime.is_paused() && !first.is_finished());
    /// runtime.resume();
    /// assert_eq!(first.join()?, 40);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn pause(&self) {
        self.core.scheduler.pause();
    }

    /// Lets all runs go on where a [`pause`](Self::pause) has left them.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// runtime.pause();
    /// runtime.resume();
    /// assert_eq!(runtime.run(taskgraph::DC::new(|| 6 * 7, ()))?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn resume(&self) {
        self.core.scheduler.resume();
    }

    /// Whether there is a [`pause`](Self::pause), from code or over the control port.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// runtime.pause();
    /// assert!(runtime.is_paused());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn is_paused(&self) -> bool {
        self.core.scheduler.is_paused()
    }

    /// How many tasks of each function have ended, in all runs of this runtime, since they are counted.
    ///
    /// [`Builder::count_tasks`] counts them from the start; otherwise the first call does from now on, or the first `progress` on
    /// the control port. While tasks are counted, each takes some nanoseconds more. Otherwise it costs nothing.
    ///
    /// ```
    /// use taskgraph::{Runtime, delayed};
    ///
    /// #[delayed]
    /// fn render(page: u32) -> String { format!("page {page}") }
    ///
    /// let runtime = Runtime::builder().count_tasks().no_control().build()?;
    /// let pages = runtime.spawn(taskgraph::each(0..100, render));
    /// while !pages.is_finished() {
    ///     println!("{}", runtime.progress()); // render (src/main.rs:3)  57 done, 0 failed, 4 running, 2.3/s
    ///     std::thread::sleep(std::time::Duration::from_millis(1));
    /// }
    /// # pages.join()?;
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn progress(&self) -> Progress {
        self.core.scheduler.progress()
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
        let runs = self.core.take_no_more_runs();
        runs.iter().for_each(|run| run.cancel(CancelledBy::DroppedRuntime));
        // A task may wait for the end of a pause, and all that is left is to be given up.
        self.core.scheduler.resume();
        let core = Arc::clone(&self.core);
        let end = move || {
            core.wait_for_runs();
            core.scheduler.end();
            core.reactor.end();
        };
        // One of these runs may not settle before the task that this is in ends; and a thread cannot wait for its own end.
        let must_not_wait = (scheduler::is_in_task() || reactor::is_around()) && !runs.is_empty();
        // The last owner of a run that was detached drops its result.
        unwind::drop_values(|| drop(runs));
        if must_not_wait || scheduler::is_thread_of(&self.core.scheduler) {
            if let Err(error) = thread::Builder::new().name("taskgraph-end".into()).spawn(end) {
                tracing::error!("the threads of a runtime that one of its tasks dropped stay: {error}");
            }
        } else {
            end();
        }
    }
}

impl Core {
    #[track_caller]
    fn start<T: Send + 'static>(self: &Arc<Self>, delayed: DC<T>, reactor: Arc<dyn Reactor>) -> Handle<T> {
        let run = Run::new(self, reactor, delayed.task());
        if !run.register(self) {
            // The first poll of a run's future may come when the runtime is gone.
            graph::drop_given_up(|| drop(delayed));
            run.result.put(Err(Error::cancelled(CancelledBy::DroppedRuntime)));
            return Handle::new(run);
        }
        let priority = delayed.priority_at_start();
        let root = graph::root(delayed, Arc::clone(&run));
        if priority == 0 {
            Arc::clone(&self.scheduler).inject(root);
        } else {
            self.scheduler.rank(root, priority);
        }
        Handle::new(run)
    }

    /// Adds a run; gives its key, unless the runtime takes no more.
    fn add(&self, run: Arc<dyn Cancel>) -> Option<u64> {
        let mut live = lock(&self.live);
        if live.takes_no_more {
            return None;
        }
        live.last_id += 1;
        let id = live.last_id;
        live.runs.insert(id, run);
        let is_watched = live.runs.len() != 1 || self.scheduler.set_has_runs(true);
        drop(live);
        if !is_watched {
            tracing::error!("no thread can be started that would report stalls");
        }
        Some(id)
    }

    /// The runtime ends with the runs that it has.
    fn take_no_more_runs(&self) -> Vec<Arc<dyn Cancel>> {
        lock(&self.live).takes_no_more = true;
        self.live_runs(None)
    }

    /// A run has settled.
    fn remove(&self, id: u64) {
        let mut live = lock(&self.live);
        live.runs.remove(&id);
        if live.runs.is_empty() {
            self.scheduler.set_has_runs(false);
            // Nobody waits for that earlier, and notifying nobody would still cost a system call.
            let is_awaited = live.takes_no_more;
            drop(live);
            if is_awaited {
                self.none_live.notify_all();
            }
            graph::trim_memory();
        }
    }

    /// The run with this number, or all of them.
    fn live_runs(&self, run: Option<u64>) -> Vec<Arc<dyn Cancel>> {
        let live = lock(&self.live);
        match run {
            Some(id) => live.runs.get(&id).cloned().into_iter().collect(),
            None => live.runs.values().cloned().collect(),
        }
    }

    /// Only once no more are [taken](Self::take_no_more_runs).
    fn wait_for_runs(&self) {
        let mut live = lock(&self.live);
        debug_assert!(live.takes_no_more, "only then the end is told");
        while !live.runs.is_empty() {
            live = wait(&self.none_live, live);
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

    fn pause(&self) {
        self.scheduler.pause();
    }

    fn resume(&self) {
        self.scheduler.resume();
    }

    fn running(&self) -> Vec<Running> {
        self.scheduler.bodies()
    }

    fn progress(&self) -> Progress {
        self.scheduler.progress()
    }

    fn status(&self) -> Status {
        Status {
            max_workers: self.scheduler.max_workers(),
            running: self.scheduler.running(),
            runs: lock(&self.live).runs.len(),
            is_paused: self.scheduler.is_paused(),
        }
    }

    fn runs(&self, at_most: usize) -> Vec<RunStatus> {
        let live = lock(&self.live);
        live.runs.iter().take(at_most).map(|(&id, run)| run.status(id)).collect()
    }

    fn cancel(&self, run: Option<u64>, client: SocketAddr) -> usize {
        let runs = self.live_runs(run);
        runs.iter().for_each(|run| run.cancel(CancelledBy::Client(client)));
        runs.len()
    }

    fn limits(&self) -> Vec<LimitStatus> {
        self.limits.status()
    }

    fn set_limit(&self, name: &str, size: usize) -> Result<(), Error> {
        self.limits.set(name, size)
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
