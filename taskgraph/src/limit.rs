//! Limits: how many bodies of one function may run at once.
//!
//! A body needs a *turn* to run, also while it waits for a timer or a socket. While it waits for computations, or is held
//! back because enough of what it has yielded is in flight, it gives its turn to others: those may be what it waits for.
//! So limits cannot deadlock, whatever calls what.

use std::future::{self, Future};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Semaphore;

use crate::graph;

/// That of one function, for the whole process. Who waits for a turn sleeps, and gets it in the order of asking.
pub struct Limit(Semaphore);

impl Limit {
    /// So many at once.
    pub const fn new(limit: usize) -> Self {
        Self(Semaphore::const_new(limit))
    }

    /// A body that runs when it is its turn.
    pub async fn apply<F: Future>(&self, body: F) -> F::Output {
        let mut body = pin!(body);
        loop {
            let turn = self.0.acquire().await.expect("a limit is never closed");
            let ended = future::poll_fn(|context| {
                let (polled, gives_way) = graph::gives_way(|| body.as_mut().poll(context));
                match polled {
                    Poll::Ready(output) => Poll::Ready(Some(output)),
                    Poll::Pending if gives_way => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            drop(turn);
            if let Some(output) = ended {
                return output;
            }
            until_woken().await;
        }
    }
}

/// Waits for whatever wakes the task next: what was polled just before has seen to that.
async fn until_woken() {
    let mut is_first = true;
    future::poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
}
