//! Atomics and locks: the standard library's, or those of the model checker under `--cfg taskgraph_loom`.
//!
//! What the models check comes from here, so that loom sees every access. DESIGN.md has a table of all of it, each with its
//! model or the reason why it has none.

#[cfg(taskgraph_loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(taskgraph_loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

/// A static of what the models check; loom makes it anew for each order that it tries.
macro_rules! shared_static {
    ($(#[$doc:meta])* $(pub($($within:tt)+))? static $name:ident: $type:ty = $value:expr;) => {
        $(#[$doc])*
        #[cfg(not(taskgraph_loom))]
        $(pub($($within)+))? static $name: $type = $value;
        #[cfg(taskgraph_loom)]
        loom::lazy_static! {
            $(#[$doc])*
            $(pub($($within)+))? static ref $name: $type = $value;
        }
    };
}
pub(crate) use shared_static;

/// Locks `mutex`. What a panicking holder left is taken as it is, since no lock is held across code that could leave its
/// content half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Waits to be notified; like [`lock`] if a holder has panicked meanwhile.
pub(crate) fn wait<'a, T>(told: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    told.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The standard library's, in every build: for what no model checks.
pub(crate) mod unmodelled {
    pub(crate) use std::sync::{Mutex, MutexGuard};

    /// Like [`lock`](super::lock).
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
