//! Timers: something that is done once its time has come, on the thread that drives timers, whatever the workers do.
//!
//! A worker may be in a body for hours. So what ends a task or a run in time must not need one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::Instant;
pub(crate) use tokio::time::sleep;

use crate::graph::Reactor;
use crate::sync::{Mutex, lock};

/// Goes off once, unless it is dropped first.
#[must_use = "a timer that is dropped does not go off"]
pub(crate) struct Timer(Arc<Inner>);

struct Inner {
    deadline: OnceLock<Instant>,
    armed: Mutex<Option<Armed>>,
}

/// Until it has gone off, or is not wanted any more.
struct Armed {
    /// It has us as its waker. None while it is polled, for it may wake us from there.
    sleep: Option<Sleeping>,
    go_off: Box<dyn FnOnce() + Send>,
}

type Sleeping = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Timer {
    /// Calls `go_off` after so long.
    pub(crate) fn start(reactor: &dyn Reactor, after: Duration, go_off: impl FnOnce() + Send + 'static) -> Self {
        let inner = Arc::new(Inner { deadline: OnceLock::new(), armed: Mutex::new(None) });
        let mut go_off = Some(go_off);
        reactor.enter(&mut || {
            let Some(go_off) = go_off.take() else { return };
            let sleep = sleep(after);
            let deadline = sleep.deadline();
            // It has to be registered at its one poll, whoever's turn this is.
            inner.arm(deadline, Box::pin(unconstrained(sleep)), Box::new(go_off));
        });
        Self(inner)
    }
}

impl Inner {
    fn arm(self: &Arc<Self>, deadline: Instant, mut sleep: Sleeping, go_off: Box<dyn FnOnce() + Send>) {
        self.deadline.get_or_init(|| deadline);
        *lock(&self.armed) = Some(Armed { sleep: None, go_off });
        let waker = Waker::from(Arc::clone(self));
        // Without the lock: if the time comes just now we are woken from within, on this thread.
        if let Poll::Ready(()) = sleep.as_mut().poll(&mut Context::from_waker(&waker)) {
            return self.go_off();
        }
        // It may have come meanwhile.
        if let Some(armed) = &mut *lock(&self.armed) {
            armed.sleep = Some(sleep);
        }
    }

    /// Once, unless it is not wanted any more.
    fn go_off(&self) {
        let armed = lock(&self.armed).take();
        if let Some(Armed { sleep, go_off }) = armed {
            drop(sleep);
            go_off();
        }
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        // A runtime that is shut down wakes everybody, too.
        if self.deadline.get().is_none_or(|deadline| Instant::now() < *deadline) {
            return;
        }
        self.go_off();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let armed = lock(&self.0.armed).take();
        drop(armed);
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// How often a timer goes off that is woken from within its own poll, which then gives `polled`.
    fn woken_within(polled: Poll<()>) -> u32 {
        let inner = Arc::new(Inner { deadline: OnceLock::new(), armed: Mutex::new(None) });
        let count = Arc::new(AtomicU32::new(0));
        let counts = Arc::clone(&count);
        let sleep = poll_fn(move |context| {
            context.waker().wake_by_ref();
            polled
        });
        let go_off = move || {
            counts.fetch_add(1, Ordering::Relaxed);
        };
        inner.arm(Instant::now(), Box::pin(sleep), Box::new(go_off));
        drop(Timer(inner));
        count.load(Ordering::Relaxed)
    }

    #[test]
    fn a_timer_whose_time_comes_while_it_is_armed_goes_off_once() {
        assert_eq!(woken_within(Poll::Pending), 1);
        assert_eq!(woken_within(Poll::Ready(())), 1);
    }
}
