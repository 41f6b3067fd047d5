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
    /// It has us as its waker.
    _sleep: Pin<Box<dyn Future<Output = ()> + Send>>,
    go_off: Box<dyn FnOnce() + Send>,
}

impl Timer {
    /// Calls `go_off` after so long.
    pub(crate) fn start(reactor: &dyn Reactor, after: Duration, go_off: impl FnOnce() + Send + 'static) -> Self {
        let inner = Arc::new(Inner { deadline: OnceLock::new(), armed: Mutex::new(None) });
        let waker = Waker::from(Arc::clone(&inner));
        let mut go_off = Some(go_off);
        reactor.enter(&mut || {
            let Some(go_off) = go_off.take() else { return };
            let sleep = sleep(after);
            inner.deadline.get_or_init(|| sleep.deadline());
            // It has to be registered at this one poll, whoever's turn this is.
            let mut sleep = Box::pin(unconstrained(sleep));
            let mut armed = lock(&inner.armed);
            if let Poll::Ready(()) = sleep.as_mut().poll(&mut Context::from_waker(&waker)) {
                drop(armed);
                return go_off();
            }
            *armed = Some(Armed { _sleep: sleep, go_off: Box::new(go_off) });
        });
        Self(inner)
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        // A runtime that is shut down wakes everybody, too.
        if self.deadline.get().is_none_or(|deadline| Instant::now() < *deadline) {
            return;
        }
        let armed = lock(&self.armed).take();
        if let Some(armed) = armed {
            (armed.go_off)();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let armed = lock(&self.0.armed).take();
        drop(armed);
    }
}
