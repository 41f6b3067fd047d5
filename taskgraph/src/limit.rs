//! Limits: how many bodies of one function may run at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// That of one function, for the whole process. Who waits for a turn sleeps, and gets it in the order of asking.
pub struct Limit(Semaphore);

/// The right to run, given back when it is dropped.
#[must_use]
pub struct Turn<'a>(#[expect(dead_code, reason = "what counts is that it is there")] SemaphorePermit<'a>);

impl Limit {
    /// So many at once.
    pub const fn new(limit: usize) -> Self {
        Self(Semaphore::const_new(limit))
    }

    /// Waits until there is one turn less than there may be.
    pub async fn turn(&self) -> Turn<'_> {
        Turn(self.0.acquire().await.expect("a limit is never closed"))
    }
}
