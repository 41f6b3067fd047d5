//! What went wrong, in which task, and who needed that task.
//!
//! A run reports its first failure. Errors are cheap to clone: all tasks that needed a failed
//! [`Shared`](crate::Shared) result get the same cause, each with its own chain of tasks.

mod cause;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use self::cause::causes_of;
pub(crate) use self::cause::{Cause, IntoCause};
use crate::MAX_WORKERS_LIMIT;
use crate::task::Task;

/// Why a run has no result, or why a runtime could not be set up.
///
/// `{}` names the task that failed and the cause; `{:#}` adds the causes behind that, and the chain of tasks that needed
/// the failed one.
///
/// ```
/// #[taskgraph::delayed]
/// fn parse(text: String) -> Result<i32, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// let runtime = taskgraph::Runtime::builder().no_control().build()?;
/// let error = runtime.run(parse("seven")).unwrap_err();
/// assert_eq!(error.task().unwrap().name(), "parse");
/// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
/// assert!(error.to_string().ends_with("failed: invalid digit found in string"));
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    /// The task that failed; a failure to set up a runtime has none.
    task: Option<Task>,
    /// The tasks that needed it, the nearest first.
    trace: Vec<Task>,
    /// Whether more tasks needed it than `trace` holds.
    cut: bool,
    /// How each try of a task that was tried again failed: the first and the last of them.
    attempts: Vec<Error>,
    /// How many tries there were.
    tries: u32,
}

/// An error that a task passes on as it is, since that task is not shown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Passed(pub(crate) Error);

#[derive(Clone, Debug, thiserror::Error)]
enum Kind {
    #[error("failed: {0}")]
    Failed(Arc<dyn StdError + Send + Sync>),
    #[error("panicked: {0}")]
    Panicked(String),
    #[error("waits for itself: what it needs depends on {}", Path(.0))]
    Cycle(Arc<[Task]>),
    #[error("timed out after {ran:?}; its timeout is {limit:?}")]
    TimedOut { ran: Duration, limit: Duration },
    #[error("{0}")]
    Cancelled(CancelledBy),
    #[error("the run did not finish by its deadline; it had run for {0:?}")]
    PastDeadline(Duration),
    #[error("was awaited outside a task: await it in an `async` task, or give it to `taskgraph::run_async`")]
    AwaitedNowhere,
    #[error("the run is deadlocked: everything left is waiting, and nothing will wake it")]
    Stalled,
    #[error("max_workers must be from 1 to {MAX_WORKERS_LIMIT}, not {0}")]
    MaxWorkers(usize),
    #[error("cannot start {workers} worker threads: {source}; ask for fewer workers")]
    Threads { workers: usize, source: Arc<dyn StdError + Send + Sync> },
    #[error("cannot open the control port on {addr}: {source}{}", hint(source))]
    Control { addr: SocketAddr, source: Arc<io::Error> },
    #[error("{0}")]
    Setting(String),
}

/// Tasks, each of which needs the one before.
struct Path<'a>(&'a [Task]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In reverse: each is followed by the one that it needs.
        for (i, task) in self.0.iter().rev().enumerate() {
            let separator = if i == 0 { "" } else { ", which needs " };
            write!(f, "{separator}{task}")?;
        }
        Ok(())
    }
}

/// What to do about a control port that cannot be opened, if its error does not say it.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; take another port, or 0 for any that is free",
        _ => "",
    }
}

/// Nobody reads microseconds.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Inner {
    fn new(kind: Kind, task: Option<Task>) -> Self {
        Self { kind, task, trace: Vec::new(), cut: false, attempts: Vec::new(), tries: 0 }
    }
}

/// Who ended a run early.
#[derive(Clone, Debug)]
pub(crate) enum CancelledBy {
    /// A call of this method, there.
    Call(&'static str, &'static Location<'static>),
    /// A client of the control port.
    Client(SocketAddr),
    /// The program, for this reason.
    Reason(Cow<'static, str>),
    DroppedHandle,
    DroppedRuntime,
    /// It was part of other runs, and all of them had ended.
    NobodyLeft,
    /// It was part of a run that was cancelled, as this text says.
    With(Arc<str>),
}

impl fmt::Display for CancelledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // Only a shared computation is asked for again after that.
            Self::NobodyLeft | Self::With(_) => "the shared computation was cancelled",
            _ => "the run was cancelled",
        })?;
        match self {
            Self::Call(method, place) => write!(f, " by `{method}` ({}:{})", place.file(), place.line()),
            Self::Client(addr) => write!(f, " by {addr}, on the control port"),
            Self::Reason(reason) => write!(f, ": {reason}"),
            Self::DroppedHandle => f.write_str(": its handle was dropped"),
            Self::DroppedRuntime => f.write_str(": its runtime was dropped"),
            Self::NobodyLeft => f.write_str(": every run that needed it ended before it finished; create a new one"),
            Self::With(run) => write!(f, " with the run that computed it ({run}); create a new one"),
        }
    }
}

impl Error {
    /// How many tasks of the chain "needed by" an error keeps.
    ///
    /// Chains can be millions long, and nobody reads more than a screenful.
    pub(crate) const TRACE_LEN_MAX: usize = 64;
    /// How many failed tries an error keeps: half of them are the first, half the last.
    pub(crate) const ATTEMPTS_LEN_MAX: usize = 64;

    #[cold]
    pub(crate) fn failed(cause: Cause, task: Task) -> Self {
        let cause = match cause.downcast::<Passed>() {
            Ok(passed) => return passed.0.labelled(task.label),
            Err(cause) => cause,
        };
        match cause.downcast::<Self>() {
            // An error that is passed on, for example with `?`, stays what it is: errors do not nest.
            Ok(error) => error.needed_by(iter::once(task)),
            Err(cause) => Self::of_task(Kind::Failed(Arc::from(cause)), task),
        }
    }

    /// A task waits for a shared result that needs the tasks on the path, the first of which is the task itself.
    #[cold]
    pub(crate) fn cycle(task: Option<Task>, path: Vec<Task>) -> Self {
        Self(Arc::new(Inner::new(Kind::Cycle(path.into()), task)))
    }

    /// A task that has run for longer than its `limit`.
    #[cold]
    pub(crate) fn timed_out(task: Task, ran: Duration, limit: Duration) -> Self {
        Self::of_task(Kind::TimedOut { ran: rounded(ran), limit }, task)
    }

    #[cold]
    pub(crate) fn panicked(message: String, task: Task) -> Self {
        Self::of_task(Kind::Panicked(message), task)
    }

    #[cold]
    pub(crate) fn cancelled(by: CancelledBy) -> Self {
        Self::of_setup(Kind::Cancelled(by))
    }

    /// A run that was ended at its deadline, this long after its start.
    #[cold]
    pub(crate) fn past_deadline(after: Duration) -> Self {
        Self::of_setup(Kind::PastDeadline(rounded(after)))
    }

    #[cold]
    pub(crate) fn stalled() -> Self {
        Self::of_setup(Kind::Stalled)
    }

    /// A computation, by its name if it has one, was awaited outside a task.
    #[cold]
    pub(crate) fn awaited_nowhere(task: Option<Task>) -> Self {
        Self(Arc::new(Inner::new(Kind::AwaitedNowhere, task)))
    }

    pub(crate) fn max_workers(given: usize) -> Self {
        Self::of_setup(Kind::MaxWorkers(given))
    }

    pub(crate) fn threads(workers: usize, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::of_setup(Kind::Threads { workers, source: Arc::new(source) })
    }

    pub(crate) fn control(addr: SocketAddr, source: io::Error) -> Self {
        Self::of_setup(Kind::Control { addr, source: Arc::new(source) })
    }

    /// A setting that cannot be used; `message` says which, and what to write instead.
    pub(crate) fn setting(message: String) -> Self {
        Self::of_setup(Kind::Setting(message))
    }

    fn of_task(kind: Kind, task: Task) -> Self {
        Self(Arc::new(Inner::new(kind, Some(task))))
    }

    fn of_setup(kind: Kind) -> Self {
        Self(Arc::new(Inner::new(kind, None)))
    }

    /// The same error, with `needed_by` appended to the chain of tasks that needed the failed one.
    pub(crate) fn needed_by(mut self, needed_by: impl Iterator<Item = Task>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        for task in needed_by {
            if inner.trace.len() == Self::TRACE_LEN_MAX {
                inner.cut = true;
                break;
            }
            inner.trace.push(task);
        }
        self
    }

    /// The error of the last of several tries, with those of all tries.
    pub(crate) fn after(mut self, attempts: Vec<Error>, tries: u32) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        (inner.attempts, inner.tries) = (attempts, tries);
        self
    }

    /// The same error; the last task known to have needed the failed one gets this label, if there is one.
    pub(crate) fn labelled(mut self, label: Option<Cow<'static, str>>) -> Self {
        if label.is_some() && !self.0.cut {
            let inner = Arc::make_mut(&mut self.0);
            if let Some(task) = inner.trace.last_mut().or(inner.task.as_mut()) {
                task.label = label;
            }
        }
        self
    }

    /// The task that failed. `None` if no task did: for a run that was cancelled, is past its deadline or cannot go on, and for
    /// a runtime that could not be set up.
    ///
    /// ```
    /// let failing = taskgraph::DC::<()>::new(|| -> Result<(), &str> { Err("no") }, ()).named("step 1");
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(failing).unwrap_err();
    /// assert_eq!(error.task().unwrap().label(), Some("step 1"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn task(&self) -> Option<&Task> {
        self.0.task.as_ref()
    }

    /// The tasks that needed the failed one, the nearest first; at most 64 are kept.
    ///
    /// ```
    /// # use taskgraph::{DC, delayed};
    /// #[delayed]
    /// fn load() -> Result<u32, String> { Err("no such file".into()) }
    /// #[delayed]
    /// fn double(x: u32) -> u32 { 2 * x }
    ///
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(double(load())).unwrap_err();
    /// assert_eq!(error.task().unwrap().name(), "load");
    /// assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["double"]);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn trace(&self) -> &[Task] {
        &self.0.trace
    }

    /// The error of every try, in order; empty unless the task was tried again. The error itself is that of the last try.
    /// At most 64 are kept: the first 32 and the last 32.
    ///
    /// ```
    /// # use taskgraph::{attempt, delayed};
    /// #[delayed(retries = 2, backoff = "1ms..10ms")]
    /// fn unlucky() -> Result<(), String> {
    ///     Err(format!("bad luck, {}", attempt()))
    /// }
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(unlucky()).unwrap_err();
    /// assert!(error.attempts()[0].to_string().ends_with("failed: bad luck, 1"));
    /// assert_eq!(error.attempts().len(), 3);
    /// assert!(error.to_string().ends_with("failed: bad luck, 3 (the last of 3 tries)"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn attempts(&self) -> &[Error] {
        &self.0.attempts
    }

    /// Whether the task panicked.
    ///
    /// ```
    /// let broken = taskgraph::DC::<u32>::new(|| -> u32 { panic!("out of luck") }, ());
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(broken).unwrap_err();
    /// assert!(error.is_panic());
    /// assert!(error.to_string().ends_with("panicked: out of luck"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self.0.kind, Kind::Panicked(_))
    }

    /// Whether the run was cancelled; the text says by whom. ([`is_cancelled()`](crate::is_cancelled) in a body is true for
    /// other reasons, too.)
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().max_workers(1).no_control().build()?;
    /// # let (go, wait) = std::sync::mpsc::channel();
    /// let _busy = runtime.spawn(taskgraph::DC::<()>::new(move || wait.recv().unwrap(), ()));
    /// let handle = runtime.spawn(taskgraph::DC::value(1));
    /// handle.cancel();
    /// # go.send(()).unwrap();
    /// let error = handle.join().unwrap_err();
    /// assert!(error.is_cancelled());
    /// let text = format!("the run was cancelled by `Handle::cancel` ({}:{})", file!(), line!() - 4);
    /// assert_eq!(error.to_string(), text);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.kind, Kind::Cancelled(_))
    }

    /// Whether time ran out: for the task (its `timeout`), for the run (its deadline), or for something that the task did,
    /// if the cause is an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut), or was caused by one.
    ///
    /// ```
    /// # use std::io;
    /// # use std::time::Duration;
    /// # use taskgraph::delayed;
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let late = wait_for_ever().timeout(Duration::from_millis(10));
    /// assert!(runtime.run(late).unwrap_err().is_timeout());
    ///
    /// let slow = taskgraph::DC::<()>::new(|| -> io::Result<()> { Err(io::ErrorKind::TimedOut.into()) }, ());
    /// assert!(runtime.run(slow).unwrap_err().is_timeout());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        match &self.0.kind {
            Kind::TimedOut { .. } | Kind::PastDeadline(_) => true,
            _ => causes_of(self)
                .filter_map(<dyn StdError>::downcast_ref::<io::Error>)
                .any(|error| error.kind() == io::ErrorKind::TimedOut),
        }
    }

    /// Whether it could never have finished: a shared computation would have waited for itself, or, in a
    /// [simulated run](crate::testing::run_seeded), everything left was waiting, and not for a timer.
    ///
    /// ```
    /// use taskgraph::{delayed, testing};
    ///
    /// #[delayed]
    /// async fn wait_for_ever() {
    ///     std::future::pending().await
    /// }
    /// assert!(testing::run_seeded(wait_for_ever(), 1).unwrap_err().is_deadlock());
    /// ```
    pub fn is_deadlock(&self) -> bool {
        matches!(self.0.kind, Kind::Cycle(_) | Kind::Stalled)
    }

    /// The cause, if the task failed with an `E`; otherwise the first `E` among the causes behind that, which is where
    /// `anyhow` and others keep an error to which they have added context.
    ///
    /// ```
    /// use std::io;
    ///
    /// let failing = taskgraph::DC::<()>::failed(io::Error::other("no paper"));
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(failing).unwrap_err();
    /// assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::Other);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        causes_of(self).find_map(<dyn StdError>::downcast_ref)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.task, &self.0.kind) {
            (Some(task), _) => write!(f, "task {task} ")?,
            // A computation without a name has no task to show.
            (None, Kind::AwaitedNowhere | Kind::Cycle(_)) => f.write_str("a computation ")?,
            (None, _) => {}
        }
        write!(f, "{}", self.0.kind)?;
        let attempts = &self.0.attempts;
        if 1 < attempts.len() {
            write!(f, " (the last of {} tries)", self.0.tries)?;
        }
        if f.alternate() {
            let cause = self.0.kind.cause();
            let mut told = cause.map(ToString::to_string).unwrap_or_default();
            for cause in cause.into_iter().flat_map(causes_of).map(ToString::to_string) {
                // Many errors have their cause in their own text.
                if !told.ends_with(&cause) {
                    write!(f, "\n  caused by: {}", indented(&cause))?;
                }
                told = cause;
            }
            let left_out = self.0.tries as usize - attempts.len();
            for (i, attempt) in attempts.iter().enumerate().take_while(|_| 1 < attempts.len()) {
                let is_after = left_out != 0 && Self::ATTEMPTS_LEN_MAX / 2 <= i;
                let number = if is_after { left_out + i + 1 } else { i + 1 };
                write!(f, "\n  try {number}: {}", indented(&attempt.to_string()))?;
            }
            for task in &self.0.trace {
                write!(f, "\n  needed by {task}")?;
            }
            if self.0.cut {
                write!(f, "\n  and by more")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    /// The whole story: `main` prints the error it returns with this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

/// A text below another: each of its lines is indented.
fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.kind.cause()
    }
}

impl Kind {
    fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(cause) => Some(cause.as_ref()),
            Self::Threads { source, .. } => Some(source.as_ref()),
            Self::Control { source, .. } => Some(source.as_ref()),
            Self::Panicked(_)
            | Self::Cycle(_)
            | Self::TimedOut { .. }
            | Self::Cancelled(_)
            | Self::PastDeadline(_)
            | Self::AwaitedNowhere
            | Self::Stalled
            | Self::MaxWorkers(_)
            | Self::Setting(_) => None,
        }
    }
}
