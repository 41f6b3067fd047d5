//! A place for one result, and for whoever waits for it: a thread, or a future.

use std::mem;
use std::task::{Context, Poll, Waker};

use crate::sync::{Condvar, Mutex, lock};

pub(crate) struct Mailbox<T> {
    content: Mutex<Content<T>>,
    full: Condvar,
}

enum Content<T> {
    /// Nothing yet; who polls for it.
    Empty(Option<Waker>),
    Full(T),
    Taken,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self { content: Mutex::new(Content::Empty(None)), full: Condvar::new() }
    }

    /// The result is there. Once.
    pub(crate) fn put(&self, result: T) {
        let before = mem::replace(&mut *lock(&self.content), Content::Full(result));
        self.full.notify_all();
        match before {
            Content::Empty(Some(waker)) => waker.wake(),
            Content::Empty(None) => {}
            Content::Full(_) | Content::Taken => unreachable!("a result is there once"),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(*lock(&self.content), Content::Empty(_))
    }

    /// Waits for the result.
    pub(crate) fn wait(&self) {
        let mut content = lock(&self.content);
        while matches!(*content, Content::Empty(_)) {
            content = self.full.wait(content).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// The result, once it is there.
    ///
    /// # Panics
    ///
    /// If it was taken before.
    pub(crate) fn take(&self) -> T {
        match mem::replace(&mut *lock(&self.content), Content::Taken) {
            Content::Full(result) => result,
            Content::Empty(_) => unreachable!("the result is there"),
            Content::Taken => panic!("a result was asked for again"),
        }
    }

    /// # Panics
    ///
    /// As for [`take`](Self::take).
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<T> {
        // Wakers are code of users: they are cloned and dropped while nothing is locked.
        let waker = context.waker().clone();
        let before = match &mut *lock(&self.content) {
            Content::Empty(before) => before.replace(waker),
            Content::Full(_) | Content::Taken => None,
        };
        drop(before);
        if self.is_empty() { Poll::Pending } else { Poll::Ready(self.take()) }
    }
}
