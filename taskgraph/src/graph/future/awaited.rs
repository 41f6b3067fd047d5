//! Awaiting: how the body of an `async` task gets the result of a computation, as `dc.await`.
//!
//! The computation becomes a child of the task. Dropping the future stops it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::child::{self, Bond};
use super::trial::Trial;
use crate::error::Error;
use crate::graph::delayed::DC;
use crate::graph::shared::Shared;

/// The result of a computation, for the body of an `async` task: what `dc.await` waits for.
///
/// The computation starts at the first poll. Dropping this ends it early, unless its result is there.
///
/// ```
/// use std::future::IntoFuture;
/// use taskgraph::{DC, Error, delayed};
///
/// #[delayed]
/// async fn tenfold(x: DC<u64>) -> Result<u64, Error> {
///     let x = x.into_future(); // an `Awaited`, as a variable may hold it: nothing runs yet
///     Ok(10 * x.await?)
/// }
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(tenfold(DC::value(DC::value(7))))?, 70);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct Awaited<T> {
    /// Until it has started.
    delayed: Option<DC<T>>,
    started: Option<Trial<T>>,
}

impl<T> fmt::Debug for Awaited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awaited(..)")
    }
}

impl<T> Awaited<T> {
    pub(in crate::graph) fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// The computation, if it has not started.
    pub(in crate::graph) fn into_delayed(self) -> Option<DC<T>> {
        self.delayed
    }
}

impl<T> Unpin for Awaited<T> {}

impl<T: Send + 'static> Future for Awaited<T> {
    type Output = Result<T, Error>;

    /// # Panics
    ///
    /// If it has already given its result.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(delayed) = self.delayed.take() {
            self.started = Some(Trial::start(delayed, Bond::Task, None));
        }
        let polled = self.started.as_mut().expect("it was started").poll_result(context);
        if polled.is_pending() {
            child::give_way();
        }
        polled
    }
}

impl<T: Send + 'static> IntoFuture for DC<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Awaited<T>;

    /// The result, in the body of an `async` task: a failure is a value there, as with [`attempt`](Self::attempt).
    ///
    /// Awaiting it anywhere else is an error. Use [`run_async`](crate::run_async) to await a computation in a tokio program.
    fn into_future(self) -> Awaited<T> {
        Awaited { delayed: Some(self), started: None }
    }
}

impl<T: Clone + Send + Sync + 'static> IntoFuture for Shared<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Awaited<T>;

    #[track_caller]
    fn into_future(self) -> Awaited<T> {
        DC::from(self).into_future()
    }
}
