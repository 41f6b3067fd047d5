//! A barrier in two halves; the half on everybody's path is free.
//!
//! A thread that writes one word and then reads another, and a thread that writes the second and then reads the first, need
//! a fence each, or both may read what was there before. If one thread does so at every step and the other hardly ever, the
//! first should not pay: it has the [`light`] half, which keeps the compiler from moving one access across the other, and
//! does nothing else. There are two halves for the other thread.
//!
//! * [`patient`] waits until what other cores have written is visible. Stores wait in their buffers for a few hundred
//!   nanoseconds at most, and an interrupted core drains its own. It is for callers that lose nothing but time if the wait
//!   was too short.
//! * [`heavy`] has the system interrupt all threads of the process that are running just then, so that each has gone through
//!   a fence: `membarrier(2)` on Linux, some 2 microseconds, and one more for each of those threads.
//!
//! Such a pair is called an asymmetric fence (D. Goldblatt: *P1202: Asymmetric Fences*, for C++).
//!
//! The model checker knows neither time nor interrupts: in models, all halves are fences. The light half that pairs with
//! [`heavy`] is a fence only in models that ask for it (`in_model`), since the others check what needs no barrier.

use std::hint;

use crate::sync::atomic::{Ordering, fence};

/// Orders what this thread has written before what it reads next, for threads that have another half in between.
#[inline(always)]
pub(crate) fn light() {
    #[cfg(taskgraph_loom)]
    fence(Ordering::SeqCst);
    #[cfg(not(taskgraph_loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// The same, for threads whose other half is [`heavy`].
#[inline(always)]
pub(crate) fn light_for_heavy() {
    #[cfg(taskgraph_loom)]
    in_model::light_for_heavy();
    #[cfg(not(taskgraph_loom))]
    light();
}

/// The other half, by waiting.
pub(crate) fn patient() {
    /// A few microseconds.
    const PAUSES: u32 = 128;
    fence(Ordering::SeqCst);
    if !cfg!(taskgraph_loom) {
        for _ in 0..PAUSES {
            hint::spin_loop();
        }
    }
}

/// The other half, by the system. False if the system refuses it: then this was no barrier.
#[must_use]
pub(crate) fn heavy() -> bool {
    #[cfg(taskgraph_loom)]
    if in_model::has_heavy() {
        return in_model::heavy();
    }
    membarrier::interrupt_all()
}

/// Whether there is a heavy half. The system could still refuse it one day.
pub(crate) fn is_exact() -> bool {
    membarrier::is_registered()
}

/// Sees to it that there is a heavy half before long, where there can be one.
pub(crate) fn make_exact() {
    if !cfg!(taskgraph_loom) {
        membarrier::register();
    }
}

#[cfg(taskgraph_loom)]
pub(crate) mod in_model {
    use std::cell::Cell;

    use super::{Ordering, fence};

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Heavy {
        NotAsked,
        Fence,
        Refused,
    }

    thread_local! {
        /// All threads of a model run on one thread of the system.
        static HEAVY: Cell<Heavy> = const { Cell::new(Heavy::NotAsked) };
    }

    /// Runs a model in which there are heavy halves, or threads that ask for them and are refused.
    #[cfg(test)]
    pub(crate) fn with_heavy(is_refused: bool, model: impl FnOnce()) {
        HEAVY.set(if is_refused { Heavy::Refused } else { Heavy::Fence });
        model();
        HEAVY.set(Heavy::NotAsked);
    }

    pub(crate) fn has_heavy() -> bool {
        HEAVY.get() != Heavy::NotAsked
    }

    pub(super) fn heavy() -> bool {
        let is_fence = HEAVY.get() == Heavy::Fence;
        if is_fence {
            fence(Ordering::SeqCst);
        }
        is_fence
    }

    pub(super) fn light_for_heavy() {
        if HEAVY.get() == Heavy::Fence {
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(target_os = "linux")]
mod membarrier {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use rustix::thread::{MembarrierCommand, membarrier};

    static IS_REGISTERED: AtomicBool = AtomicBool::new(false);

    pub(super) fn is_registered() -> bool {
        // Acquire, pairs with the Release in `register`.
        IS_REGISTERED.load(Ordering::Acquire)
    }

    /// On a thread of its own: the system takes some 10 milliseconds for it if there are other threads.
    pub(super) fn register() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let register = || {
                let is_registered = membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
                IS_REGISTERED.store(is_registered, Ordering::Release);
            };
            // Without a thread nothing is lost but time.
            let _ = thread::Builder::new().name("taskgraph-fence".into()).spawn(register);
        });
    }

    pub(super) fn interrupt_all() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod membarrier {
    pub(super) fn is_registered() -> bool {
        false
    }

    pub(super) fn register() {}

    pub(super) fn interrupt_all() -> bool {
        false
    }
}
