//! What a started run is held by.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::run::{Cancel, Run};
use crate::error::Error;
use crate::scheduler;

/// A run that was started with [`Runtime::spawn`](crate::Runtime::spawn): waits for it, or cancels it.
///
/// It is a `Future` too, so that async code can await the result. Dropping it lets the run go on by itself.
///
/// ```
/// let runtime = taskgraph::Runtime::builder().no_control().build()?;
/// let handle = runtime.spawn(taskgraph::DC::new(|| 6 * 7, ()));
/// assert_eq!(handle.join()?, 42);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "the run goes on without its handle, but its result and its failure are lost"]
pub struct Handle<T> {
    run: Arc<Run<T>>,
}

impl<T: Send + 'static> Handle<T> {
    pub(super) fn new(run: Arc<Run<T>>) -> Self {
        Self { run }
    }

    /// Waits for the result.
    ///
    /// In a task, the worker takes other steps meanwhile.
    ///
    /// # Errors
    ///
    /// The first failure of the run, or that it was cancelled.
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
            scheduler::blocking(|| self.run.result.wait());
        }
        self.run.result.take()
    }

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

    /// Ends the run early: what is running ends its step, nothing more is started, and the result is an error that
    /// [`is_cancelled`](Error::is_cancelled), unless it was there first.
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
    pub fn cancel(&self) {
        self.run.cancel();
    }
}

impl<T: Send + 'static> Future for Handle<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.run.result.poll(context)
    }
}

/// A run that ends with the interest in it.
pub(super) struct CancelOnDrop<T: Send + 'static>(pub(super) Handle<T>);

impl<T: Send + 'static> Future for CancelOnDrop<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T: Send + 'static> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            self.0.cancel();
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_finished", &self.is_finished()).finish()
    }
}
