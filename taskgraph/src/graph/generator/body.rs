//! How the body of a generator is resumed: it goes on until it pauses, waits, or ends.
//!
//! A body that cannot wait is driven by `genawaiter`, here and nowhere else. One that may await what it likes is
//! polled, as that of an [`async` task](mod@crate::graph::future) is; its pauses are marked, to tell them from its waits.

use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use genawaiter::GeneratorState;
use genawaiter::sync::{Co, Gen};

use crate::error::{Cause, IntoCause};
use crate::graph::cx::Cx;
use crate::graph::future::Sent;
use crate::graph::future::alarm::Sleeper;
use crate::graph::future::child;
use crate::graph::node::Node;
use crate::unwind;

/// How the body of a generator may end.
pub trait Finish: Send + 'static {
    #[doc(hidden)]
    fn finish(self) -> Result<(), Cause>;
}

impl Finish for () {
    fn finish(self) -> Result<(), Cause> {
        Ok(())
    }
}

impl<E: IntoCause + Send + 'static> Finish for Result<(), E> {
    fn finish(self) -> Result<(), Cause> {
        self.map_err(IntoCause::into_cause)
    }
}

/// What a body has come to.
pub(in crate::graph) enum Resumed {
    /// There are enough children for now.
    Paused,
    /// Until the alarm of its pump is rung.
    Waiting,
    Ended(Result<(), Cause>),
}

/// A body, of either kind.
pub(in crate::graph) trait Body: Send + 'static {
    /// Goes on with the body, which is that of `pump` and an input of `node`; a panic comes back as its message.
    ///
    /// # Safety
    ///
    /// The body stays where it is, is the caller's, and has not ended. `cx` is that of the caller's step, which has
    /// lent it to the desk, too; all use it only through this pointer.
    unsafe fn resume(
        &mut self,
        pump: NonNull<Node>,
        node: NonNull<Node>,
        is_paused: &AtomicBool,
        cx: *mut Cx<'static>,
    ) -> Result<Resumed, String>;

    /// What it sleeps with while it is waiting.
    fn sleeper(&mut self) -> &mut Sleeper {
        unreachable!("a body that cannot wait does not sleep")
    }
}

/// How a body pauses.
pub trait Pausing: Send + Sync + 'static {
    /// Returns when the body is resumed. A body that may also wait marks in `is_paused` that it does not wait now.
    fn pause(&self, is_paused: &AtomicBool) -> impl Future<Output = ()> + Send;
}

/// A body that cannot wait.
pub(in crate::graph) struct Coroutine<F: Future>(Gen<(), (), F>);

impl<F: Future> Coroutine<F> {
    pub(in crate::graph) fn new(body: impl FnOnce(Unmarked) -> F) -> Self {
        Self(Gen::new(|co| body(Unmarked(co))))
    }
}

/// How it pauses.
pub struct Unmarked(Co<()>);

impl Pausing for Unmarked {
    fn pause(&self, _: &AtomicBool) -> impl Future<Output = ()> + Send {
        self.0.yield_(())
    }
}

impl<F: Future<Output: Finish> + Send + 'static> Body for Coroutine<F> {
    unsafe fn resume(
        &mut self,
        _: NonNull<Node>,
        _: NonNull<Node>,
        _: &AtomicBool,
        _: *mut Cx<'static>,
    ) -> Result<Resumed, String> {
        unwind::catch(|| match self.0.resume() {
            GeneratorState::Yielded(()) => Resumed::Paused,
            GeneratorState::Complete(end) => Resumed::Ended(end.finish()),
        })
    }
}

/// A body that may wait.
pub(super) struct Polled<F> {
    body: Sent<F>,
    sleeper: Option<Sleeper>,
}

impl<F> Polled<F> {
    pub(in crate::graph) fn new(body: Sent<F>) -> Self {
        Self { body, sleeper: None }
    }
}

/// How it pauses.
pub struct Marked;

impl Pausing for Marked {
    async fn pause(&self, is_paused: &AtomicBool) {
        // Relaxed: the step that polls us reads it.
        is_paused.store(true, Ordering::Relaxed);
        child::give_way();
        child::until_next_poll().await;
    }
}

impl<F: Future<Output: Finish> + 'static> Body for Polled<F> {
    unsafe fn resume(
        &mut self,
        pump: NonNull<Node>,
        node: NonNull<Node>,
        is_paused: &AtomicBool,
        cx: *mut Cx<'static>,
    ) -> Result<Resumed, String> {
        // SAFETY: the body is ours, and stays where it is until it is dropped; the step has lent its `Cx`.
        let polled = unsafe {
            let (waker, children) = Sleeper::wake_up(&mut self.sleeper, pump, &*cx);
            let body = Pin::new_unchecked(&mut self.body.0);
            child::with_parent(node, children, cx, || body.poll(&mut Context::from_waker(waker)))?
        };
        match polled {
            Poll::Ready(end) => unwind::catch(|| Resumed::Ended(end.finish())),
            // Relaxed: as above.
            Poll::Pending if is_paused.swap(false, Ordering::Relaxed) => Ok(Resumed::Paused),
            Poll::Pending => Ok(Resumed::Waiting),
        }
    }

    fn sleeper(&mut self) -> &mut Sleeper {
        self.sleeper.as_mut().expect("it was woken up")
    }
}
