//! The items of a stream, outside the graph.

use std::fmt;
use std::future::{self, Future};
use std::iter::FusedIterator;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::handle::{Canceller, Handle};
use crate::block_on::block_on;
use crate::error::Error;
use crate::graph::{self, DC, Items, Stream};
use crate::limit;

/// What [`Runtime::stream`](crate::Runtime::stream) takes: computations, or a [`Stream`].
///
/// ```
/// use taskgraph::DC;
///
/// let runtime = taskgraph::Runtime::builder().no_control().build()?;
/// let of_many = runtime.stream([1, 2].map(DC::value));
/// let of_a_stream = runtime.stream(DC::value(vec![3, 4]).into_stream());
/// assert_eq!(of_many.chain(of_a_stream).sum::<Result<u32, _>>()?, 10);
/// # Ok::<(), taskgraph::Error>(())
/// ```
pub trait IntoStream<T> {
    #[doc(hidden)]
    #[track_caller]
    fn into_stream(self) -> Stream<T>;
}

impl<T: Send + 'static> IntoStream<T> for Stream<T> {
    fn into_stream(self) -> Stream<T> {
        self
    }
}

impl<I, T> IntoStream<T> for I
where
    I: IntoIterator<Item = DC<T>, IntoIter: Send + 'static>,
    T: Send + 'static,
{
    fn into_stream(self) -> Stream<T> {
        graph::stream(self).as_completed()
    }
}

/// The results of a run that was started with [`Runtime::stream`](crate::Runtime::stream), as they come: an iterator, which
/// blocks, and a `futures::Stream`.
///
/// Dropping it cancels the run.
///
/// ```
/// use taskgraph::DC;
///
/// let runtime = taskgraph::Runtime::builder().no_control().build()?;
/// let mut results = runtime.stream((1..).map(DC::value)); // without an end, but only made as it is consumed
/// assert!(1 <= results.next().unwrap()?);
/// drop(results); // ends the run
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "dropping the results cancels the run"]
pub struct Results<T> {
    items: Items<T>,
    run: Handle<()>,
    /// Whether an error was given that is not the run's: after that there is nothing more.
    is_over: bool,
}

impl<T: Send + 'static> Results<T> {
    pub(super) fn new(items: Items<T>, run: Handle<()>) -> Self {
        Self { items, run, is_over: false }
    }

    /// A value that can cancel the run from elsewhere, like [`Handle::canceller`]: even while [`next`](Iterator::next) waits,
    /// which then gives an error.
    ///
    /// ```
    /// # use taskgraph::{DC, delayed};
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let mut results = runtime.stream([wait_for_ever()]);
    /// let canceller = results.canceller();
    /// std::thread::spawn(move || canceller.cancel());
    /// assert!(results.next().unwrap().unwrap_err().is_cancelled());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn canceller(&self) -> Canceller {
        self.run.canceller()
    }

    /// Ends the run if it has not finished by `at`, like [`Handle::deadline`].
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use taskgraph::{DC, delayed};
    /// # #[delayed]
    /// # async fn wait_for_ever() {
    /// #     std::future::pending().await
    /// # }
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// let mut results = runtime.stream([wait_for_ever()]).deadline(Instant::now() + Duration::from_millis(5));
    /// assert!(results.next().unwrap().unwrap_err().is_timeout());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn deadline(self, at: Instant) -> Self {
        Self { run: self.run.deadline(at), ..self }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.items.poll_next(context, |context| Pin::new(&mut self.run).poll(context))
    }
}

impl<T> Unpin for Results<T> {}

impl<T: Send + 'static> FusedIterator for Results<T> {}

impl<T: Send + 'static> Iterator for Results<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(item) = self.poll(&mut context) {
            return item;
        }
        match self.run.begin_blocking() {
            Ok(_blocking) => limit::blocking(|| block_on(future::poll_fn(|context| self.poll(context)))),
            Err(error) => {
                self.is_over = true;
                self.run.cancel_because("nobody can wait for its results");
                Some(Err(error))
            }
        }
    }
}

impl<T: Send + 'static> futures_core::Stream for Results<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl<T> fmt::Debug for Results<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Results")
    }
}
