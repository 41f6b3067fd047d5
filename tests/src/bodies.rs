//! Async bodies and what they wait for, for the tests of async tasks.

use std::fmt::Debug;
use std::future::{self, Future};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use taskgraph::{DC, delayed};

use crate::run;
use crate::wait::{self, give_way};

/// Checks something with one worker and with more; it has to come to an end.
#[track_caller]
pub fn at_any_width(check: impl Fn(usize) + Clone + Send + 'static) {
    for max_workers in [1, 2, 4] {
        let check = check.clone();
        wait::ends(move || check(max_workers));
    }
}

/// Checks the result of a computation, with one worker and with more.
#[track_caller]
pub fn check<T: Clone + Debug + PartialEq + Send + 'static>(
    computation: impl Fn() -> DC<T> + Clone + Send + 'static,
    expected: T,
) {
    at_any_width(move |max_workers| match run(computation(), max_workers) {
        Ok(value) => assert_eq!(value, expected.clone()),
        Err(error) => panic!("{error:#}"),
    });
}

/// Something that happens once, and that futures wait for; its wakers can be used as no decent event would.
#[derive(Clone, Default)]
pub struct Event(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Event {
    /// Is polled until it has happened; every waker is kept.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + 'static {
        let this = self.clone();
        future::poll_fn(move |context| {
            let mut inner = this.0.lock().unwrap();
            if inner.0 {
                return Poll::Ready(());
            }
            inner.1.push(context.waker().clone());
            Poll::Pending
        })
    }

    /// How many wakers wait for it.
    pub fn waits(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    /// The first waker that waits for it.
    ///
    /// # Panics
    ///
    /// If none does.
    pub fn first_waker(&self) -> Waker {
        self.0.lock().unwrap().1[0].clone()
    }

    /// Makes it happen; returns the wakers.
    pub fn happen(&self) -> Vec<Waker> {
        let mut inner = self.0.lock().unwrap();
        inner.0 = true;
        std::mem::take(&mut inner.1)
    }
}

/// Both together.
#[delayed]
pub fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// The value, after a computation that is awaited.
#[delayed]
pub async fn later(value: u64) -> u64 {
    through(value).await.expect("it cannot fail")
}

/// The value, after others have had their turn.
#[delayed]
pub async fn through<T: Send + 'static>(value: T) -> T {
    give_way().await;
    value
}
