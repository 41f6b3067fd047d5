//! A barrier in two halves, of which the one that is on everybody's way is free.
//!
//! A thread that writes one word and then reads another, and a thread that writes the second and then reads the first, need
//! a fence each, or both may read what was there before. If one does so at every step and the other hardly ever, the one
//! should not pay: it has the [`light`] half, which keeps the compiler from moving the one access across the other, and
//! nothing else. The [`heavy`] half has the system interrupt all threads of the process that run just then, so that each
//! has gone through a fence: `membarrier(2)` on Linux, some 2 microseconds.
//!
//! Elsewhere, and until the process is [registered](make_exact) for that, it can only wait until what other cores have
//! written is visible: stores wait in their buffers for some hundred nanoseconds at most, and an interrupted core drains its
//! own. Whoever cannot live with that asks [`is_exact`].
//!
//! The model checker knows neither time nor interrupts: for it both halves are fences, and neither is exact.

use std::hint;

use crate::sync::atomic::{Ordering, fence};

/// Orders what this thread has written before what it reads next, seen from whoever has a [`heavy`] barrier in between.
#[inline(always)]
pub(crate) fn light() {
    #[cfg(taskgraph_loom)]
    fence(Ordering::SeqCst);
    #[cfg(not(taskgraph_loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// Orders what this thread has written before what it reads next, and what others do on both sides of a [`light`] one.
pub(crate) fn heavy() {
    /// A few microseconds.
    const PAUSES: u32 = 128;
    fence(Ordering::SeqCst);
    if cfg!(taskgraph_loom) {
        return;
    }
    if is_exact() {
        return membarrier::interrupt_all();
    }
    for _ in 0..PAUSES {
        hint::spin_loop();
    }
}

/// Whether the heavy half is one for sure, not only by waiting. Stays so.
pub(crate) fn is_exact() -> bool {
    membarrier::is_registered()
}

/// Has it become so before long, where that can be.
pub(crate) fn make_exact() {
    if !cfg!(taskgraph_loom) {
        membarrier::register();
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

    /// On a thread of its own: the system takes some 10 milliseconds for it where there are others.
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

    pub(super) fn interrupt_all() {
        membarrier(MembarrierCommand::PrivateExpedited).expect("a process that is registered may do that");
    }
}

#[cfg(not(target_os = "linux"))]
mod membarrier {
    pub(super) fn is_registered() -> bool {
        false
    }

    pub(super) fn register() {}

    pub(super) fn interrupt_all() {
        unreachable!("nothing is registered here")
    }
}
