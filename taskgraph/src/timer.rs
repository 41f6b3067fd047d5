//! Timers: something that is done once its time has come, on the thread that drives timers, whatever the workers do.
//!
//! A worker may be in a body for hours. So what ends a task or a run in time must not need one.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::Instant;
pub(crate) use tokio::time::sleep;

use crate::graph::Reactor;
use crate::sync::{Mutex, lock};
use crate::unwind;

/// Goes off once, unless it is dropped first.
#[must_use = "a timer that is dropped does not go off"]
pub(crate) struct Timer {
    entry: Arc<Entry>,
    /// It has the entry as its waker.
    _sleep: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

struct Entry {
    deadline: OnceLock<Instant>,
    state: Mutex<State>,
    /// Where it goes on if the reactor ends before the deadline.
    own: Option<Arc<dyn Reactor>>,
}

type GoOff = Box<dyn FnOnce() + Send>;

enum State {
    Waiting(GoOff),
    /// It goes off, or is handed on to another timer.
    Leaving,
    #[expect(dead_code, reason = "the other one is there as long as this")]
    HandedOn(Timer),
    Dropped,
}

impl Timer {
    /// Calls `go_off` after this time.
    pub(crate) fn start(reactor: &dyn Reactor, after: Duration, go_off: impl FnOnce() + Send + 'static) -> Self {
        let entry = Arc::new(Entry {
            deadline: OnceLock::new(),
            state: Mutex::new(State::Waiting(Box::new(go_off))),
            own: reactor.own().cloned(),
        });
        let waker = Waker::from(Arc::clone(&entry));
        let mut registered = None;
        reactor.enter(&mut || {
            let sleep = sleep(after);
            entry.deadline.get_or_init(|| sleep.deadline());
            // It has to be registered at this one poll, whatever is left of tokio's budget. The poll itself may call the
            // waker, so nothing is locked meanwhile.
            let mut sleep = Box::pin(unconstrained(sleep));
            match sleep.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(()) => entry.go_off(),
                Poll::Pending => registered = Some(sleep as _),
            }
        });
        Self { entry, _sleep: registered }
    }
}

impl Entry {
    /// Takes what it calls, which nobody else has any more.
    fn take(&self) -> Option<GoOff> {
        let mut state = lock(&self.state);
        match mem::replace(&mut *state, State::Leaving) {
            State::Waiting(go_off) => Some(go_off),
            before => {
                *state = before;
                None
            }
        }
    }

    fn go_off(&self) {
        if let Some(go_off) = self.take() {
            // This may be the last owner of what it ends, and drop the values of users.
            unwind::drop_values(go_off);
        }
    }

    /// The reactor has ended.
    fn hand_on(&self, left: Duration, own: &dyn Reactor) {
        let Some(go_off) = self.take() else { return };
        match unwind::catch(|| Timer::start(own, left, go_off)) {
            Ok(successor) => self.set(State::HandedOn(successor)),
            Err(message) => tracing::error!("a timer is lost with the runtime of tokio that drove it: {message}"),
        }
    }

    fn set(&self, new: State) {
        let mut state = lock(&self.state);
        // Whatever goes may have this for its owner.
        let gone = if let State::Dropped = *state { new } else { mem::replace(&mut *state, new) };
        drop(state);
        drop(gone);
    }
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        // A runtime that is shut down wakes everybody, too.
        let Some(deadline) = self.deadline.get() else { return };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.go_off();
        } else if let Some(own) = &self.own {
            self.hand_on(left, &**own);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.entry.set(State::Dropped);
    }
}
