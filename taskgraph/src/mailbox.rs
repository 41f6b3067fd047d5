//! A place for one result, and for whoever waits for it: a thread, or a future.

use std::mem;
use std::task::{Context, Poll, Waker};

use crossbeam_utils::Backoff;

use crate::sync::{self, Condvar, Mutex, lock};

pub(crate) struct Mailbox<T> {
    content: Mutex<Content<T>>,
    full: Condvar,
}

enum Content<T> {
    Empty(Waiting),
    Full(T),
    Taken,
    /// Nobody wants it; this is called when it would be there.
    Refused(Box<dyn FnOnce() + Send>),
}

#[derive(Default)]
struct Waiting {
    poller: Option<Waker>,
    /// Whether a thread waits, too; notifying one that is not there would still cost a system call.
    thread: bool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self { content: Mutex::new(Content::Empty(Waiting::default())), full: Condvar::new() }
    }

    /// The result is there. Called once.
    pub(crate) fn put(&self, result: T) {
        let before = mem::replace(&mut *lock(&self.content), Content::Full(result));
        let waiting = match before {
            Content::Empty(waiting) => waiting,
            Content::Refused(is_there) => return is_there(),
            Content::Full(_) | Content::Taken => unreachable!("a result is there once"),
        };
        if waiting.thread {
            self.full.notify_all();
        }
        if let Some(waker) = waiting.poller {
            waker.wake();
        }
    }

    /// The result is not wanted; it is dropped with the mailbox. Calls `is_there` when it would have been there.
    pub(crate) fn refuse(&self, is_there: impl FnOnce() + Send + 'static) {
        let mut content = lock(&self.content);
        match *content {
            Content::Empty(_) => {
                let before = mem::replace(&mut *content, Content::Refused(Box::new(is_there)));
                drop(content);
                drop(before);
            }
            Content::Full(_) => {
                drop(content);
                is_there();
            }
            Content::Taken | Content::Refused(_) => panic!("a result was refused that is not there"),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(*lock(&self.content), Content::Empty(_))
    }

    /// Waits for the result.
    pub(crate) fn wait(&self) {
        // Falling asleep and being woken takes longer than a short run. The model checker gains nothing by this.
        let backoff = Backoff::new();
        while !cfg!(taskgraph_loom) && !backoff.is_completed() && self.is_empty() {
            backoff.snooze();
        }
        let mut content = lock(&self.content);
        while let Content::Empty(waiting) = &mut *content {
            waiting.thread = true;
            content = sync::wait(&self.full, content);
        }
    }

    /// The result, once it is there.
    ///
    /// # Panics
    ///
    /// If it was taken before.
    pub(crate) fn take(&self) -> T {
        self.take_if_full().expect("the result is there")
    }

    fn take_if_full(&self) -> Option<T> {
        let mut content = lock(&self.content);
        if let Content::Empty(_) = *content {
            return None;
        }
        match mem::replace(&mut *content, Content::Taken) {
            Content::Full(result) => Some(result),
            Content::Empty(_) | Content::Taken | Content::Refused(_) => panic!("a result was asked for again"),
        }
    }

    /// # Panics
    ///
    /// As for [`take`](Self::take).
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<T> {
        if let Some(result) = self.take_if_full() {
            return Poll::Ready(result);
        }
        // Wakers are user code: they are cloned and dropped while nothing is locked.
        let waker = context.waker().clone();
        let mut content = lock(&self.content);
        let Content::Empty(waiting) = &mut *content else {
            drop(content);
            return Poll::Ready(self.take());
        };
        let before = waiting.poller.replace(waker);
        drop(content);
        drop(before);
        Poll::Pending
    }
}
