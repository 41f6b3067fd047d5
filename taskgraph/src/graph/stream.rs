//! Streams: what a generator yields, consumed while it runs.
//!
//! A stream has two ends of one computation: the [feed](outlet) where its items come out, and the
//! [`drain`](mod@drain) that says when there are no more.

pub(super) mod outlet;
pub(super) mod drain;
#[forbid(unsafe_code)]
pub(super) mod race;

use std::convert::{Infallible, identity};
use std::fmt;
use std::future::{self, Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use self::drain::drain;
use self::outlet::{Feed, Order, Outlet};
use super::call::{Fallible, Task, task};
use super::delayed::DC;
use super::future::awaited::Awaited;
use super::future::child;
use super::future::{future, sent};
use super::generator::desk::yield_all;
use super::generator::generate;
use crate::error::{Cause, Error, IntoCause};
use crate::unwind;

/// Items that are made while they are consumed; [`DC::into_stream`] turns a generator into this.
///
/// It is lazy. Consume it in the graph, with [`fold`](Self::fold), [`for_each`](Self::for_each), or [`next`](Self::next)
/// in the body of an `async` task; or outside, with [`Runtime::stream`](crate::Runtime::stream). Items come in the order
/// of the yields, or [as they are completed](Self::as_completed).
///
/// Neither side runs far ahead: a generator is suspended while many items wait to be consumed. Its stream ends after the
/// first failure. Dropping a stream stops the computations that make its items.
///
/// ```
/// use taskgraph::delayed;
///
/// #[delayed]
/// fn square(x: u64) -> u64 { x * x }
/// #[delayed]
/// fn squares(n: u64) -> Vec<u64> {
///     for x in 0..n {
///         yield_!(square(x));
///     }
/// }
///
/// let sum = squares(1_000).into_stream().fold(0, |sum, square| sum + square); // never more than some are in memory
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 332_833_500);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "a stream does nothing unless it is consumed"]
pub struct Stream<T> {
    items: Items<T>,
    /// The computation that makes them.
    maker: Awaited<()>,
    /// What the scope of the body that consumes them saw when it last looked around.
    seen: Option<u64>,
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream(..)")
    }
}

/// Where the items come out.
pub(crate) enum Items<T> {
    Plain(Feed<T>),
    /// Failures among them are not the end.
    Attempts(Feed<Result<T, Error>>),
}

/// A stream of the results of many computations, each of which runs when there is room for its result.
///
/// They are taken from `delayed` while the stream is consumed. Unlike with [`DC::into_stream`], a failed one is an `Err`
/// among the results, and the others go on.
///
/// ```
/// use taskgraph::DC;
///
/// let parse = |text: &'static str| DC::<u32>::new(|text: &str| text.parse::<u32>(), (text,));
/// let sum = taskgraph::stream(["1", "20", "300"].map(parse)).fold(0, |sum, x| sum + x);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 321);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn stream<I, T>(delayed: I) -> Stream<T>
where
    I: IntoIterator<Item = DC<T>, IntoIter: Send + 'static>,
    T: Send + 'static,
{
    task!(Stream "stream", is_counted: false);
    stream_of::<Stream, _>(delayed.into_iter())
}

/// The same for a task of another name.
#[track_caller]
pub(super) fn stream_of<N: Task, T: Send + 'static>(
    delayed: impl Iterator<Item = DC<T>> + Send + 'static,
) -> Stream<T> {
    let attempts = delayed.map(DC::attempt);
    let (items, maker) = parts(generate::<N, Vec<_>, (), _, _>(|yielder| yield_all(yielder, attempts)));
    Stream { items: Items::Attempts(items), maker, seen: None }
}

#[track_caller]
fn parts<C>(collection: DC<C>) -> (Feed<C::Item>, Awaited<()>)
where
    C: IntoIterator<Item: Send + 'static> + Send + 'static,
{
    let outlet = Outlet::new();
    let maker = drain(collection, Arc::clone(&outlet)).into_future();
    (Feed::new(outlet), maker)
}

impl<C> DC<C>
where
    C: IntoIterator<Item: Send + 'static> + Send + 'static,
{
    /// The items of the collection, as they are made.
    ///
    /// If a generator makes it, possibly after taking the place of other computations, the collection itself stays empty.
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// #[delayed]
    /// fn numbers() -> Vec<u64> {
    ///     for x in 1..=4 {
    ///         yield_!(x);
    ///     }
    /// }
    /// let product = numbers().into_stream().fold(1, |product, x| product * x);
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(product)?, 24);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn into_stream(self) -> Stream<C::Item> {
        let (items, maker) = parts(self);
        Stream { items: Items::Plain(items), maker, seen: None }
    }
}

impl<T: Send + 'static> Stream<T> {
    /// Each item comes as soon as it is computed, whatever was yielded before it.
    ///
    /// # Panics
    ///
    /// If items were asked for before.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use taskgraph::delayed;
    /// #[delayed]
    /// async fn answer_after(ms: u64) -> u64 {
    ///     tokio::time::sleep(Duration::from_millis(ms)).await;
    ///     ms
    /// }
    ///
    /// let quick = taskgraph::stream([50, 3].map(answer_after)).as_completed();
    /// let order = quick.fold(Vec::new(), |mut order, ms| {
    ///     order.push(ms);
    ///     order
    /// });
    /// assert_eq!(taskgraph::testing::run_seeded(order, 1)?, [3, 50]);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn as_completed(self) -> Self {
        assert!(!self.maker.has_started(), "the order of a stream that has begun cannot change");
        match &self.items {
            Items::Plain(feed) => feed.outlet().set_order(Order::Completed),
            Items::Attempts(feed) => feed.outlet().set_order(Order::Completed),
        }
        self
    }

    /// Limits how many items are being made, or wait to be consumed, at a time. Use it for large items.
    ///
    /// It applies to the generator that makes them, like `#[delayed(in_flight = ..)]`. Without it, there are a few for each
    /// worker if they take long to make, and a few thousand if they wait for something else.
    ///
    /// # Panics
    ///
    /// If it is 0, or if items were asked for before.
    ///
    /// ```
    /// # use taskgraph::delayed;
    /// #[delayed]
    /// fn load(i: usize) -> Vec<u8> { vec![i as u8; 1 << 20] }
    ///
    /// let images = taskgraph::stream((0..100).map(load)).in_flight(8); // 8 MiB, and the one in hand
    /// let brightness = images.fold(0, |sum, image| sum + u64::from(image[0]));
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(brightness)?, 4_950);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn in_flight(self, items: u32) -> Self {
        assert!(0 < items, "with nothing in flight nothing would ever come");
        assert!(!self.maker.has_started(), "the bound of a stream that has begun cannot change");
        match &self.items {
            Items::Plain(feed) => feed.outlet().set_bound(items),
            Items::Attempts(feed) => feed.outlet().set_bound(items),
        }
        self
    }

    /// Folds all items into one value, one after the other.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let words = taskgraph::stream(["to", "be"].map(DC::value));
    /// let line = words.fold(String::new(), |line, word| line + word + " ");
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(line)?, "to be ");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn fold<A: Send + 'static>(self, init: A, f: impl FnMut(A, T) -> A + Send + 'static) -> DC<A> {
        task!(Fold "fold");
        let mut f = f;
        self.folded::<Fold, _, Infallible>(init, move |folded, item| Ok(f(folded, item)))
    }

    /// Like [`fold`](Self::fold), until `f` fails: then the task fails, too, and no more items are made.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let sizes = taskgraph::stream([200u8, 50, 9].map(DC::value));
    /// let sum = sizes.try_fold(0u8, |sum, size| sum.checked_add(size).ok_or("it is too large"));
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(sum).unwrap_err();
    /// assert!(error.to_string().ends_with("failed: it is too large"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn try_fold<A, E>(self, init: A, f: impl FnMut(A, T) -> Result<A, E> + Send + 'static) -> DC<A>
    where
        A: Send + 'static,
        E: IntoCause,
    {
        task!(TryFold "try_fold");
        self.folded::<TryFold, _, _>(init, f)
    }

    #[track_caller]
    fn folded<N, A, E>(self, init: A, f: impl FnMut(A, T) -> Result<A, E> + Send + 'static) -> DC<A>
    where
        N: Task,
        A: Send + 'static,
        E: IntoCause,
    {
        let (mut stream, mut f) = (self, f);
        future::<N, Fallible, _, _>(sent(async move {
            let fold = async {
                let mut folded = init;
                while let Some(item) = stream.next().await {
                    folded = f(folded, item?).map_err(IntoCause::into_cause)?;
                }
                Ok::<A, Cause>(folded)
            };
            let folded = fold.await;
            // Nobody needs what is left, whatever dropping it does.
            unwind::drop_values(|| drop((stream, f)));
            folded
        }))
    }

    /// Calls `f` with each item, one after the other.
    ///
    /// ```
    /// # use std::sync::mpsc;
    /// # use taskgraph::DC;
    /// let (send, receive) = mpsc::channel();
    /// let sending = taskgraph::stream([1, 2, 3].map(DC::value)).for_each(move |x| send.send(x).unwrap());
    /// taskgraph::Runtime::builder().no_control().build()?.run(sending)?;
    /// assert_eq!(receive.iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn for_each(self, f: impl FnMut(T) + Send + 'static) -> DC<()> {
        task!(ForEach "for_each");
        let mut f = f;
        self.folded::<ForEach, _, Infallible>((), move |(), item| {
            f(item);
            Ok(())
        })
    }

    /// Like [`for_each`](Self::for_each), until `f` fails: then the task fails, too, and no more items are made.
    ///
    /// ```
    /// # use std::io::{self, Write};
    /// # use taskgraph::DC;
    /// let mut file = io::sink(); // a `BufWriter`, let us say
    /// let writing = taskgraph::stream([1, 2, 3].map(DC::value)).try_for_each(move |x| writeln!(file, "{x}"));
    /// taskgraph::Runtime::builder().no_control().build()?.run(writing)?;
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn try_for_each<E: IntoCause>(self, f: impl FnMut(T) -> Result<(), E> + Send + 'static) -> DC<()> {
        task!(TryForEach "try_for_each");
        let mut f = f;
        self.folded::<TryForEach, _, _>((), move |(), item| f(item))
    }

    /// The next item, for the body of an `async` task; `None` after the last one. A failure of what makes them comes last.
    ///
    /// ```
    /// # use taskgraph::{Error, delayed};
    /// #[delayed]
    /// fn numbers() -> Vec<u32> {
    ///     for x in 1.. {
    ///         yield_!(x);
    ///     }
    /// }
    ///
    /// #[delayed]
    /// async fn first_above(limit: u32) -> Result<Option<u32>, Error> {
    ///     let mut numbers = numbers().into_stream();
    ///     while let Some(x) = numbers.next().await {
    ///         let x = x?;
    ///         if limit < x {
    ///             return Ok(Some(x)); // the rest is not made
    ///         }
    ///     }
    ///     Ok(None)
    /// }
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(first_above(41))?, Some(42));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        // A body that is slower than what makes its items never has to wait, and would not hear that its run is over.
        let is_given_up = if self.items.have_next() { child::is_stopped() } else { child::is_given_up(&mut self.seen) };
        if is_given_up {
            return Poll::Pending;
        }
        self.items.poll_next(context, |context| Pin::new(&mut self.maker).poll(context))
    }

    /// Where the items come out, and the computation that makes them.
    ///
    /// # Panics
    ///
    /// If items were asked for before.
    pub(crate) fn into_parts(self) -> (Items<T>, DC<()>) {
        let maker = self.maker.into_delayed().expect("a stream that has begun is consumed where it has");
        (self.items, maker)
    }
}

impl<T> Items<T> {
    /// Whether there is an item for which nothing has to be asked.
    fn have_next(&self) -> bool {
        match self {
            Self::Plain(feed) => feed.has_next(),
            Self::Attempts(feed) => feed.has_next(),
        }
    }

    /// The next item, as [`Feed::poll_next`] has it.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        poll_end: impl FnOnce(&mut Context<'_>) -> Poll<Result<(), Error>>,
    ) -> Poll<Option<Result<T, Error>>> {
        match self {
            Self::Plain(feed) => feed.poll_next(context, poll_end),
            Self::Attempts(feed) => {
                feed.poll_next(context, poll_end).map(|item| item.map(|item| item.and_then(identity)))
            }
        }
    }
}

impl<T> Unpin for Stream<T> {}

impl<T: Send + 'static> futures_core::Stream for Stream<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}
