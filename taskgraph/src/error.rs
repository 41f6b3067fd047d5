//! What went wrong, in which task, and who needed that task.
//!
//! A run reports its first failure. Errors are cheap to clone: everybody who needed a failed
//! [`Shared`](crate::Shared) result gets the same cause, each with its own chain of tasks.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;

use crate::MAX_WORKERS_LIMIT;

/// A cause as users give it: anything that `?` makes of an error or of a text.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// Why a run has no result, or why a runtime could not be set up.
///
/// `{}` names the task that failed and the cause; `{:#}` adds the chain of tasks that needed it.
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
}

#[derive(Clone, Debug, thiserror::Error)]
enum Kind {
    #[error("failed: {0}")]
    Failed(Arc<dyn StdError + Send + Sync>),
    #[error("panicked: {0}")]
    Panicked(String),
    #[error("the run was cancelled")]
    Cancelled,
    #[error("was awaited where no task is: await it in an `async` task, or give it to `taskgraph::run_async`")]
    AwaitedNowhere,
    #[error("the run cannot go on: all that is left waits, and nothing will wake it")]
    Stalled,
    #[error("max_workers is {0}, and must be from 1 to {MAX_WORKERS_LIMIT}")]
    MaxWorkers(usize),
    #[error("cannot start {workers} worker threads: {source}; ask for fewer workers")]
    Threads { workers: usize, source: Arc<dyn StdError + Send + Sync> },
    #[error("cannot open the control port on {addr}: {source}")]
    Control { addr: SocketAddr, source: Arc<io::Error> },
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// How many tasks of the chain "needed by" an error keeps.
    ///
    /// Chains can be millions long, and nobody reads more than a screenful.
    pub(crate) const TRACE_LEN_MAX: usize = 64;

    #[cold]
    pub(crate) fn failed(cause: Cause, task: Task) -> Self {
        match cause.downcast::<Self>() {
            // An error that is handed on, with `?` for one, stays what it is: errors do not nest.
            Ok(error) => error.needed_by(iter::once(task)),
            Err(cause) => Self::of_task(Kind::Failed(Arc::from(cause)), task),
        }
    }

    #[cold]
    pub(crate) fn panicked(message: String, task: Task) -> Self {
        Self::of_task(Kind::Panicked(message), task)
    }

    #[cold]
    pub(crate) fn cancelled() -> Self {
        Self::of_setup(Kind::Cancelled)
    }

    #[cold]
    pub(crate) fn stalled() -> Self {
        Self::of_setup(Kind::Stalled)
    }

    /// A computation, by its name if it has one, was awaited outside of a task.
    #[cold]
    pub(crate) fn awaited_nowhere(task: Option<Task>) -> Self {
        Self(Arc::new(Inner { kind: Kind::AwaitedNowhere, task, trace: Vec::new(), cut: false }))
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
        Self(Arc::new(Inner { kind, task: Some(task), trace: Vec::new(), cut: false }))
    }

    fn of_setup(kind: Kind) -> Self {
        Self(Arc::new(Inner { kind, task: None, trace: Vec::new(), cut: false }))
    }

    /// The same error with `needed_by` behind what it already knows of who needed the task.
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

    /// The task that failed; `None` for a cancelled run and for a runtime that could not be set up.
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

    /// Whether somebody cancelled the run.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().max_workers(1).no_control().build()?;
    /// # let (go, wait) = std::sync::mpsc::channel();
    /// let _busy = runtime.spawn(taskgraph::DC::<()>::new(move || wait.recv().unwrap(), ()));
    /// let handle = runtime.spawn(taskgraph::DC::value(1));
    /// handle.cancel();
    /// # go.send(()).unwrap();
    /// assert!(handle.join().unwrap_err().is_cancelled());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.kind, Kind::Cancelled)
    }

    /// Whether the task ran out of time: its cause is an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// ```
    /// use std::io;
    /// let slow = taskgraph::DC::<()>::new(|| -> io::Result<()> { Err(io::ErrorKind::TimedOut.into()) }, ());
    /// assert!(taskgraph::Runtime::builder().no_control().build()?.run(slow).unwrap_err().is_timeout());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    /// The cause as the type the task failed with, if it is an `E`.
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
        self.source()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(task) = &self.0.task {
            write!(f, "task {task} ")?;
        }
        write!(f, "{}", self.0.kind)?;
        if f.alternate() {
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
    /// The whole story: `main` prints an error it returns with this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            Kind::Failed(cause) => Some(cause.as_ref()),
            Kind::Threads { source, .. } => Some(source.as_ref()),
            Kind::Control { source, .. } => Some(source.as_ref()),
            Kind::Panicked(_)
            | Kind::Cancelled
            | Kind::AwaitedNowhere
            | Kind::Stalled
            | Kind::MaxWorkers(_)
            | Kind::Setting(_) => None,
        }
    }
}

/// A task as errors name it: the function, what [`named`](crate::DC::named) called it, and where it was called.
///
/// ```
/// let broken = taskgraph::DC::<u32>::failed("disk full").named("page 7");
/// let error = taskgraph::Runtime::builder().no_control().build()?.run(broken).unwrap_err();
/// let task = error.task().unwrap();
/// assert_eq!(task.to_string(), format!("`failed` \"page 7\" ({}:{})", task.file(), task.line()));
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Task {
    pub(crate) name: Cow<'static, str>,
    pub(crate) label: Option<Cow<'static, str>>,
    pub(crate) origin: &'static Location<'static>,
}

impl Task {
    /// The name of the function, or of the method of [`DC`](crate::DC) that made the task.
    ///
    /// ```
    /// # let failing = taskgraph::DC::<u32>::failed("no").named("try 1");
    /// # let error = taskgraph::Runtime::builder().no_control().build()?.run(failing).unwrap_err();
    /// assert_eq!(error.task().unwrap().name(), "failed"); // `DC::failed` made it
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What [`named`](crate::DC::named) or `#[delayed(name = "..")]` called it.
    ///
    /// ```
    /// # let failing = taskgraph::DC::<u32>::failed("no").named("try 1");
    /// # let error = taskgraph::Runtime::builder().no_control().build()?.run(failing).unwrap_err();
    /// assert_eq!(error.task().unwrap().label(), Some("try 1"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The file that called the constructor.
    ///
    /// ```
    /// let failing = taskgraph::DC::<u32>::failed("no");
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(failing).unwrap_err();
    /// assert_eq!(error.task().unwrap().file(), file!());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn file(&self) -> &'static str {
        self.origin.file()
    }

    /// The line of that call, from 1.
    ///
    /// ```
    /// let failing = taskgraph::DC::<u32>::failed("no");
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(failing).unwrap_err();
    /// assert_eq!(error.task().unwrap().line(), line!() - 2);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn line(&self) -> u32 {
        self.origin.line()
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `named` made has no function.
        if !self.name.is_empty() {
            write!(f, "`{}` ", self.name)?;
        }
        if let Some(label) = &self.label {
            write!(f, "{label:?} ")?;
        }
        write!(f, "({}:{})", self.origin.file(), self.origin.line())
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
