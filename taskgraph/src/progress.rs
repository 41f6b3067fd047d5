//! How far the work is, as it is shown to users.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// How many tasks of each function have ended, as [`Runtime::progress`](crate::Runtime::progress) found it.
///
/// It is shown as the control port shows it, a line for each function.
///
/// ```
/// use taskgraph::{DC, Runtime};
///
/// let runtime = Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
/// runtime.run(DC::value(20).map(|x| x + 1).map(|x| 2 * x))?;
/// assert!(runtime.progress().to_string().starts_with("map  2 done, 0 failed, 0 running"));
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Progress {
    pub(crate) counted_for: Duration,
    pub(crate) functions: Vec<FunctionProgress>,
}

impl Progress {
    /// For how long tasks have been counted.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// assert!(runtime.progress().counted_for().is_zero()); // from now on
    /// assert!(!runtime.progress().counted_for().is_zero());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn counted_for(&self) -> Duration {
        self.counted_for
    }

    /// The functions of which a task has ended meanwhile, or runs now, by name: those of `#[delayed]`, closures, and methods such as
    /// [`map`](crate::DC::map) that call one. What only puts results together is not counted.
    ///
    /// ```
    /// use taskgraph::{Runtime, delayed};
    ///
    /// #[delayed]
    /// fn simulate(seed: u64) -> f64 { (seed as f64).sin() }
    ///
    /// let runtime = Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// runtime.run(taskgraph::each(0..1_000, simulate))?;
    /// let progress = runtime.progress();
    /// let simulate = progress.functions().iter().find(|function| function.name() == "simulate").unwrap();
    /// assert_eq!((simulate.done(), simulate.failed(), simulate.running()), (1_000, 0, 0));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn functions(&self) -> &[FunctionProgress] {
        &self.functions
    }

    /// With how many are done in a second.
    pub(crate) fn line(&self, function: &FunctionProgress) -> String {
        let per_second = function.done as f64 / self.counted_for.as_secs_f64().max(1e-3);
        format!("{function}, {per_second:.1}/s")
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, function) in self.functions.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", self.line(function))?;
        }
        Ok(())
    }
}

/// How many tasks of a function have ended, and how many run.
///
/// ```
/// #[taskgraph::delayed]
/// fn refuse() -> Result<u64, String> { Err("no".into()) }
///
/// let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
/// assert!(runtime.run(refuse()).is_err());
/// let progress = runtime.progress();
/// assert!(progress.functions()[0].to_string().ends_with("0 done, 1 failed, 0 running")); // refuse (src/main.rs:2) ..
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FunctionProgress {
    pub(crate) function: Function,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) running: usize,
}

/// A function whose calls are tasks. The derived order is the one in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// What the attribute's `name` option says.
    pub(crate) label: Option<&'static str>,
    pub(crate) place: Option<&'static Location<'static>>,
}

impl FunctionProgress {
    /// The name of the function, or of the method of [`DC`](crate::DC) that made the tasks.
    ///
    /// ```
    /// # let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// runtime.run(taskgraph::DC::value(1).map(|x| x + 1))?;
    /// assert_eq!(runtime.progress().functions()[0].name(), "map");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        self.function.name
    }

    /// The name from `#[delayed(name = "..")]`.
    ///
    /// ```
    /// #[taskgraph::delayed(name = "page")]
    /// fn load(number: u32) -> u32 { number }
    ///
    /// # let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// runtime.run(load(7))?;
    /// assert_eq!(runtime.progress().functions()[0].label(), Some("page"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn label(&self) -> Option<&str> {
        self.function.label
    }

    /// The file and the line, from 1, with the `#[delayed]` function.
    ///
    /// ```
    /// #[taskgraph::delayed]
    /// fn load(number: u32) -> u32 { number }
    ///
    /// # let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// runtime.run(load(7))?;
    /// assert_eq!(runtime.progress().functions()[0].place().unwrap().0, file!());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn place(&self) -> Option<(&'static str, u32)> {
        self.function.place.map(|place| (place.file(), place.line()))
    }

    /// Bodies that have ended well, in whatever run. One that returned a computation counts when it returned that, a generator when
    /// all its results were there.
    ///
    /// ```
    /// # let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// runtime.run(taskgraph::DC::value(1).map(|x| x + 1))?;
    /// assert_eq!(runtime.progress().functions()[0].done(), 1);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Bodies that have returned an error or panicked, each try for itself. A body that was never called, or was given up while it
    /// waited, is in neither number.
    ///
    /// ```
    /// #[taskgraph::delayed(retries = 2, backoff = "1ms..1ms")]
    /// fn unlucky() -> Result<u32, String> { Err("no luck".into()) }
    ///
    /// # let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// assert!(runtime.run(unlucky()).is_err());
    /// assert_eq!(runtime.progress().functions()[0].failed(), 3);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Workers that are in such a body now, or were a moment ago: a task that has just ended may still be among them. An `async`
    /// body that waits has none.
    ///
    /// ```
    /// # let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// runtime.run(taskgraph::DC::value(1).map(|x| x + 1))?;
    /// assert_eq!(runtime.progress().functions()[0].running(), 0);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn running(&self) -> usize {
        self.running
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(label) = self.label {
            write!(f, " {label:?}")?;
        }
        match self.place {
            Some(place) => write!(f, " ({}:{})", place.file(), place.line()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for FunctionProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, done, failed, running } = self;
        write!(f, "{function}  {done} done, {failed} failed, {running} running")
    }
}
