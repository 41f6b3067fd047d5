//! Several futures at once, for the body of an `async` task.

use std::future::{self, Future};
use std::pin::pin;
use std::task::Poll;

use futures_util::future::maybe_done;

/// Awaits up to eight computations, or other futures, at once, in the body of an `async` task; gives a tuple of their outputs.
/// For more of them, or a number not known in advance, await [`all`](crate::all) of them.
///
/// All of them run in parallel. Computations that are awaited one after the other run one after the other.
///
/// ```
/// use taskgraph::{DC, Error, delayed, join};
///
/// #[delayed]
/// fn half(x: u64) -> u64 { x / 2 }
///
/// #[delayed]
/// async fn halves(a: u64, b: u64) -> Result<u64, Error> {
///     let (a, b) = join!(half(a), half(b));
///     Ok(a? + b?)
/// }
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(halves(20, 64))?, 42);
/// # Ok::<(), Error>(())
/// ```
#[macro_export]
macro_rules! join {
    ($($future:expr),+ $(,)?) => {
        $crate::__private::Join::join(($(::core::future::IntoFuture::into_future($future),)+)).await
    };
}

/// A tuple of futures.
pub trait Join {
    /// The tuple of their outputs.
    type Outputs;
    /// All of them at once.
    fn join(self) -> impl Future<Output = Self::Outputs>;
}

macro_rules! tuple {
    ($($future:ident $name:ident)*) => {
        impl<$($future: Future),*> Join for ($($future,)*) {
            type Outputs = ($($future::Output,)*);

            async fn join(self) -> Self::Outputs {
                let ($($name,)*) = self;
                $(let mut $name = pin!(maybe_done($name));)*
                future::poll_fn(|context| {
                    let polled = [$($name.as_mut().poll(context)),*];
                    if polled.iter().all(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                ($($name.as_mut().take_output().expect("each is done"),)*)
            }
        }
    };
}

tuple!(A a);
tuple!(A a B b);
tuple!(A a B b C c);
tuple!(A a B b C c D d);
tuple!(A a B b C c D d E e);
tuple!(A a B b C c D d E e F f);
tuple!(A a B b C c D d E e F f G g);
tuple!(A a B b C c D d E e F f G g H h);
