//! Limits: how many bodies of one function may run at once.
//!
//! A body needs a *turn* to run, also while it waits for a timer or a socket. While it waits for computations, or is held
//! back because enough of what it has yielded is in flight, it gives its turn to others: those may be what it waits for.
//! So limits cannot deadlock, whatever calls what.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{self, Future};
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Semaphore;

use crate::graph;

/// That of one function, for the whole process. Who waits for a turn sleeps, and gets it in the order of asking.
pub struct Limit {
    limit: usize,
    turns: Semaphore,
}

/// The turns of a thread that is a world of its own, by the address of their limit.
type Own = HashMap<*const Limit, Arc<Semaphore>>;

thread_local! {
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
}

/// From now on this thread has all limits for itself: nobody on another one has a turn that is waited for here.
pub(crate) fn isolate_thread() {
    OWN.set(Some(Own::new()));
}

impl Limit {
    /// So many at once.
    pub const fn new(limit: usize) -> Self {
        Self { limit, turns: Semaphore::const_new(limit) }
    }

    /// A body that runs when it is its turn.
    pub async fn apply<F: Future>(&self, body: F) -> F::Output {
        let own = self.own();
        let turns = own.as_deref().unwrap_or(&self.turns);
        let mut body = pin!(body);
        loop {
            let turn = turns.acquire().await.expect("a limit is never closed");
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
            // What was polled has seen to that.
            graph::until_next_poll().await;
        }
    }

    fn own(&self) -> Option<Arc<Semaphore>> {
        OWN.with_borrow_mut(|own| {
            let turns = own.as_mut()?.entry(ptr::from_ref(self));
            Some(Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(self.limit)))))
        })
    }
}
