//! The handle on a started run.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use super::run::{Cancel, Run};
use crate::error::{CancelledBy, Error};
use crate::graph;
use crate::limit;
use crate::scheduler::Blocking;

/// A handle on a run that was started with [`Runtime::spawn`](crate::Runtime::spawn), to wait for it or to cancel it.
///
/// It is also a `Future`, so that async code can await the result. **Dropping it cancels the run**, since nobody can get
/// the result any more; [`detach`](Self::detach) lets the run go on by itself.
///
/// # Panics
///
/// As a future, if it is polled again after it has given its result.
///
/// ```
/// let runtime = taskgraph::Runtime::builder().no_control().build()?;
/// let handle = runtime.spawn(taskgraph::DC::new(|| 6 * 7, ()));
/// assert_eq!(handle.join()?, 42);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "dropping the handle cancels the run: `join` it, or `detach` it"]
pub struct Handle<T> {
    run: Arc<Run<T>>,
    is_detached: bool,
}

impl<T> Handle<T> {
    /// Whether the result is there, so that [`join`](Self::join) would not wait.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(taskgraph::DC::new(|| 6 * 7, ()));
    /// while !handle.is_finished() {
    ///     std::thread::yield_now(); // or whatever else there is to do
    /// }
    /// assert_eq!(handle.join()?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        !self.run.result.is_empty()
    }
}

impl<T: Send + 'static> Handle<T> {
    pub(super) fn new(run: Arc<Run<T>>) -> Self {
        Self { run, is_detached: false }
    }

    /// Waits for the result.
    ///
    /// Inside a task, another worker takes the task's place meanwhile.
    ///
    /// # Errors
    ///
    /// The first failure of the run, or its cancellation. Inside a task, also if the system has no thread left that could take
    /// the task's place; and inside a future that a task has given to `tokio::spawn`, because that would block the thread that
    /// drives timers and I/O. In these two cases, the run is cancelled.
    ///
    /// # Panics
    ///
    /// If the handle was polled as a future and has given its result.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let (a, b) = (runtime.spawn(taskgraph::DC::new(|| 20, ())), runtime.spawn(taskgraph::DC::new(|| 22, ())));
    /// assert_eq!(a.join()? + b.join()?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn join(self) -> Result<T, Error> {
        if self.run.result.is_empty() {
            let _blocking = self.begin_blocking()?;
            limit::blocking(|| self.run.result.wait());
        }
        self.run.result.take()
    }

    /// This thread is about to block until the run has something to give.
    pub(super) fn begin_blocking(&self) -> Result<Blocking, Error> {
        if self.run.is_driven_here() {
            let message = "a run cannot be waited for on the thread that drives the timers and the I/O of its runtime, as in a \
                           future that a task gives to `tokio::spawn`: await it there, or block in \
                           `tokio::task::spawn_blocking`";
            return Err(Error::setting(message.to_owned()));
        }
        Blocking::begin()
    }

    /// Ends the run early: running steps finish, nothing more is started, and the result is an error for which
    /// [`Error::is_cancelled`] is true, unless the result was there first.
    ///
    /// Whatever waits (for its turn, for a timer, for a socket) ends at once. A running body can
    /// [check](crate::is_cancelled).
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// #[delayed]
    /// async fn wait_for_ever() {
    ///     std::future::pending().await
    /// }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(wait_for_ever());
    /// handle.cancel();
    /// assert!(handle.join().unwrap_err().is_cancelled());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        self.run.cancel(CancelledBy::Call("Handle::cancel", Location::caller()));
    }

    /// Like [`cancel`](Self::cancel), with a reason that the run's error shows.
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(wait_for_ever());
    /// handle.cancel_because("there is a newer one");
    /// assert_eq!(handle.join().unwrap_err().to_string(), "the run was cancelled: there is a newer one");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn cancel_because(&self, reason: impl Into<Cow<'static, str>>) {
        self.run.cancel(CancelledBy::Reason(reason.into()));
    }

    /// A value that can cancel the run from elsewhere: from another thread, such as that on which the `ctrlc` crate handles
    /// signals (it must not be used in a bare signal handler).
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(wait_for_ever());
    /// let canceller = handle.canceller();
    /// std::thread::spawn(move || canceller.cancel_because("the window was closed"));
    /// assert_eq!(handle.join().unwrap_err().to_string(), "the run was cancelled: the window was closed");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn canceller(&self) -> Canceller {
        let run: Weak<Run<T>> = Arc::downgrade(&self.run);
        Canceller(run)
    }

    /// Lets the run go on by itself: its result and its failure are lost. It still ends with its runtime.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// # let (done, is_done) = std::sync::mpsc::channel();
    /// runtime.spawn(taskgraph::DC::new(move || { println!("done"); done.send(()).unwrap() }, ())).detach();
    /// # is_done.recv().unwrap();
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn detach(mut self) {
        self.is_detached = true;
    }

    /// Ends the run at that time, if it has not finished by then: like [`cancel`](Self::cancel), but with an error for which
    /// [`Error::is_timeout`] is true. If several are set, the last one counts.
    ///
    /// To limit the time of a part of a run, see [`DC::timeout`](crate::DC::timeout).
    ///
    /// # Panics
    ///
    /// If it is the first timer of its runtime, and the system has no thread for it.
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// use std::time::{Duration, Instant};
    ///
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(wait_for_ever()).deadline(Instant::now() + Duration::from_millis(10));
    /// assert!(handle.join().unwrap_err().is_timeout());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn deadline(self, at: Instant) -> Self {
        self.run.set_deadline(at);
        self
    }
}

impl<T: Send + 'static> Future for Handle<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.run.result.poll(context);
        if polled.is_pending() {
            graph::give_way();
        }
        polled
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if !self.is_detached && !self.is_finished() {
            self.run.cancel(CancelledBy::DroppedHandle);
        }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_finished", &self.is_finished()).finish()
    }
}

/// Cancels a run from anywhere; see [`Handle::canceller`]. Does nothing once the run has ended.
///
/// ```
/// let runtime = taskgraph::Runtime::builder().no_control().build()?;
/// let handle = runtime.spawn(taskgraph::DC::value(7));
/// let canceller = handle.canceller();
/// assert_eq!(handle.join()?, 7);
/// canceller.cancel(); // too late
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[derive(Clone)]
pub struct Canceller(Weak<dyn Cancel>);

impl Canceller {
    /// Like [`Handle::cancel`].
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(wait_for_ever());
    /// handle.canceller().cancel();
    /// assert!(handle.join().unwrap_err().is_cancelled());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        self.cancel_by(CancelledBy::Call("Canceller::cancel", Location::caller()));
    }

    /// The same, with a reason that the run's error shows.
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let handle = runtime.spawn(wait_for_ever());
    /// handle.canceller().cancel_because("Ctrl-C");
    /// assert_eq!(handle.join().unwrap_err().to_string(), "the run was cancelled: Ctrl-C");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn cancel_because(&self, reason: impl Into<Cow<'static, str>>) {
        self.cancel_by(CancelledBy::Reason(reason.into()));
    }

    fn cancel_by(&self, by: CancelledBy) {
        if let Some(run) = self.0.upgrade() {
            run.cancel(by);
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canceller")
    }
}
