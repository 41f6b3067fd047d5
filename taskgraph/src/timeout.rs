//! Timeouts: a computation that fails when it has taken too long.
//!
//! The time runs out on the thread that drives timers, which stops all that is left of the computation at once: what is
//! queued is given up, what waits ends, and a body that [checks](crate::is_cancelled) finds out. One that does not keeps its
//! worker until it returns; what needs its result does not wait for that, and the log says when it has returned.

use std::cell::RefCell;
use std::future::{self, Future};
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::{Error, Passed};
use crate::graph::{self, Bond, DC, Fallible, Stopper, Trial};
use crate::sync::{Mutex, lock};
use crate::task::Task;
use crate::timer::Timer;

/// What ends this soon after its time was up is not reported as late.
const LATE_MIN: Duration = Duration::from_millis(100);

impl<T: Send + 'static> DC<T> {
    /// Fails the computation if it does not finish in time. [`Error::is_timeout`] is then true, and the error says how long
    /// the computation ran.
    ///
    /// The time starts with the computation and covers all that it is made of: its arguments, and what it returns or
    /// yields. Waiting for a worker counts, too. (`#[delayed(timeout = "30s")]` covers a body and what comes of it, from
    /// the start of the body.)
    ///
    /// When the time is up, all of it is [cancelled](crate::is_cancelled), as when a run is. A body that does not check
    /// keeps its worker until it returns, and the run ends after that; but everything else goes on without it, and a log
    /// line says that it was late. Its result is dropped.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskgraph::{Runtime, delayed};
    ///
    /// #[delayed]
    /// async fn ask() -> String {
    ///     std::future::pending().await // nobody answers
    /// }
    /// let answer = ask().timeout(Duration::from_millis(10)).attempt().map(|answer| answer.unwrap_or("42".into()));
    /// assert_eq!(Runtime::builder().no_control().build()?.run(answer)?, "42");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn timeout(self, limit: Duration) -> Self {
        graph::task! { Timeout "timeout", is_counted: false }
        let origin = Location::caller();
        let task = self.task().unwrap_or(Task { name: "timeout".into(), label: None, origin });
        let body = async move {
            let countdown = Countdown::new(limit);
            countdown.start();
            countdown.in_time(Trial::start(self, Bond::Run, Some(graph::attempt())), task).await.map_err(Passed)
        };
        graph::future::<Timeout, Fallible, T, _>(graph::sent(body))
    }
}

/// The time that something has, from its start.
pub(crate) struct Countdown {
    limit: Duration,
    started: OnceLock<Instant>,
    timer: Mutex<Option<Timer>>,
    is_over: AtomicBool,
    over: Notify,
    /// What is stopped when it is over.
    stopper: OnceLock<Stopper>,
}

thread_local! {
    /// The countdown of the body that is about to start on this thread, if it first waits for something else.
    static HELD: RefCell<Option<Arc<Countdown>>> = const { RefCell::new(None) };
}

impl Countdown {
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            started: OnceLock::new(),
            timer: Mutex::new(None),
            is_over: AtomicBool::new(false),
            over: Notify::new(),
            stopper: OnceLock::new(),
        })
    }

    /// Time passes from now on. Called in a step.
    pub(crate) fn start(self: &Arc<Self>) {
        let this = Arc::downgrade(self);
        let end = move || {
            if let Some(this) = Weak::upgrade(&this) {
                this.end();
            }
        };
        let timer = graph::with_reactor(|reactor| {
            let mut is_first = false;
            reactor.enter(&mut || is_first = self.started.set(Instant::now()).is_ok());
            is_first.then(|| Timer::start(reactor, self.limit, end))
        });
        if let Some(Some(timer)) = timer {
            *lock(&self.timer) = Some(timer);
        }
    }

    /// Time is up.
    fn end(&self) {
        // Release, pairs with the Acquire in `is_over`: whoever finds the computation stopped finds this, too.
        self.is_over.store(true, Ordering::Release);
        if let Some(stopper) = self.stopper.get() {
            stopper.stop();
        }
        self.over.notify_one();
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// The result of `trial`, whose name is `task`, if it comes in time. Called in a body.
    pub(crate) async fn in_time<T: Send + 'static>(
        self: &Arc<Self>,
        mut trial: Trial<T>,
        task: Task,
    ) -> Result<T, Error> {
        if let Some(stopper) = trial.stopper() {
            let is_first = self.stopper.set(stopper).is_ok();
            debug_assert!(is_first, "a countdown is for one thing");
        }
        let mut over = pin!(self.over.notified());
        let in_time = future::poll_fn(|context| {
            if over.as_mut().poll(context).is_ready() || self.is_over() {
                return Poll::Ready(None);
            }
            match trial.poll_result(context) {
                // It has failed because its time was up.
                Poll::Ready(Err(_)) if self.is_over() => Poll::Ready(None),
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if let Some(result) = in_time {
            return result;
        }
        let limit = self.limit;
        let ran = self.started.get().map_or(limit, Instant::elapsed);
        // The only worker may have been in the very body that was late. What follows takes real time, whatever the clock.
        let (late, late_so_far, over_at) = (task.clone(), ran.saturating_sub(limit), std::time::Instant::now());
        trial.leave(move || {
            let late_by = late_so_far + over_at.elapsed();
            if LATE_MIN <= late_by {
                tracing::warn!("{late} ended {late_by:.1?} after its timeout of {limit:?}; its result was dropped");
            }
        });
        Err(Error::timed_out(task, ran, limit))
    }

    /// Makes something whose first part may wait. Its time is started after that, by what has waited.
    pub(crate) fn hold<R>(self: &Arc<Self>, make: impl FnOnce() -> R) -> R {
        struct Restore(Option<Arc<Countdown>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                HELD.set(self.0.take());
            }
        }
        let _restore = Restore(HELD.replace(Some(Arc::clone(self))));
        make()
    }
}

/// The countdown of what is [made](Countdown::hold) on this thread.
pub(crate) fn held() -> Option<Arc<Countdown>> {
    HELD.with_borrow(Option::clone)
}
