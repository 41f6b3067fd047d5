//! Trials: a child as its body sees it, which awaits it, tries it several times, or leaves it to itself
//! when its time is up.
//!
//! The task waits for what its body awaits. The whole run waits for what a body may leave: if that does not end in
//! time, it keeps its worker, but nobody else. Its result is dropped, whenever it comes.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::child::{self, Bond, Child, Stop};
use crate::error::Error;
use crate::graph::delayed::DC;
use crate::unwind;

pub(crate) struct Trial<T>(State<T>);

enum State<T> {
    Started(Arc<Child<T>>),
    /// It could not be started.
    Failed(Error),
    Over,
}

/// Stops a trial, from wherever its time is kept.
pub(crate) struct Stopper(Arc<dyn Stop>);

impl<T: Send + 'static> Trial<T> {
    /// Starts a computation, from the body that is polled on this thread. If it is a try, it has a number, which is 1 for
    /// the first. One that may be [left](Self::leave) has a bond with the run.
    pub(crate) fn start(delayed: DC<T>, bond: Bond, try_number: Option<u32>) -> Self {
        Self(match child::start(delayed, bond, try_number) {
            Ok(child) => State::Started(child),
            Err(error) => State::Failed(error),
        })
    }

    pub(crate) fn stopper(&self) -> Option<Stopper> {
        match &self.0 {
            State::Started(child) => Some(Stopper(Arc::clone(child) as _)),
            State::Failed(_) | State::Over => None,
        }
    }

    /// # Panics
    ///
    /// If it has given its result.
    pub(crate) fn poll_result(&mut self, context: &Context<'_>) -> Poll<Result<T, Error>> {
        // Wakers are user code, and may panic; then the child is still there, to be stopped.
        if let State::Started(child) = &self.0 {
            let result = child.result.poll(context);
            if result.is_ready() {
                self.0 = State::Over;
            }
            return result;
        }
        match mem::replace(&mut self.0, State::Over) {
            State::Failed(error) => Poll::Ready(Err(error)),
            State::Started(_) | State::Over => panic!("a result was asked for again"),
        }
    }

    /// Nobody wants the result any more; `is_through` is called when nothing is left of what made it.
    pub(crate) fn leave(mut self, is_through: impl FnOnce() + Send + 'static) {
        if let State::Started(child) = mem::replace(&mut self.0, State::Over) {
            child.result.refuse(is_through);
            child.leave();
            // The result may be there.
            unwind::drop_values(|| drop(child));
        }
    }
}

impl<T> Unpin for Trial<T> {}

impl<T: Send + 'static> Future for Trial<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_result(context)
    }
}

impl Stopper {
    pub(crate) fn stop(&self) {
        self.0.stop();
    }
}

impl<T> Drop for Trial<T> {
    fn drop(&mut self) {
        if let State::Started(child) = &self.0 {
            child.leave();
        }
    }
}
