//! How a task is shown to users: by the function, by a name, and by the place of the call.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

/// A task as errors name it: the function, the name from [`named`](crate::DC::named), and where it was called.
///
/// A function that is passed by name, as in `.map(simulate)`, is called from no line of the program. Its tasks have the line
/// where the function is written.
///
/// ```
/// let broken = taskgraph::DC::<u32>::failed("disk full").named("page 7");
/// let error = taskgraph::Runtime::builder().no_control().build()?.run(broken).unwrap_err();
/// let task = error.task().unwrap();
/// assert_eq!(task.to_string(), format!("`failed` \"page 7\" ({}:{})", task.file(), task.line()));
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Task {
    pub(crate) name: Cow<'static, str>,
    pub(crate) label: Option<Cow<'static, str>>,
    pub(crate) origin: &'static Location<'static>,
}

impl Task {
    /// Whether a call was made from nowhere in particular: by the compiler's own code, for a function that was passed by name.
    pub(crate) fn is_nowhere(origin: &Location<'_>) -> bool {
        origin.file().rsplit(['/', '\\']).take(4).eq(["function.rs", "ops", "src", "core"])
    }

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

    /// The name from [`named`](crate::DC::named) or `#[delayed(name = "..")]`.
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

    /// The file that called the constructor, or the one with the function.
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

    /// The line of that call or function, from 1.
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
