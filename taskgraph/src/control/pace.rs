//! How much of a core the port may take, whatever is sent to it.
//!
//! Clients that send without pause would keep this thread busy, and with it a core that the run needs. So everything
//! the port does is done at one [`Pace`]: work is paid for with a multiple of rest. All tasks rest together, since it is
//! their thread that sleeps: a thread that waited for sockets meanwhile would be woken by every packet of a flood. The
//! rest is short, and a turn is sure to follow it, so nobody waits long because others flood the port.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::{Mutex, lock};

/// How much rest is due for work: the port takes less than 2.5 % of one core, even if a run has no other.
const REST_PER_WORK: u32 = 40;

/// Once this much rest is due, all of it is taken. People and small scripts never get there, and it is short enough for
/// the kernel to keep the connections that nobody takes meanwhile.
const DEBT_MAX: Duration = Duration::from_millis(10);

/// What it costs, roughly, outside the task, to wake the thread and to poll a task.
const TURN_COST: Duration = Duration::from_micros(4);

/// A longer turn counts as this long. It was not all work: if workers keep every core busy, this thread had to wait for
/// one.
const TURN_MAX: Duration = Duration::from_millis(1);

/// What all tasks of the port share. They run on one thread, so its lock is always free.
#[derive(Clone)]
pub(super) struct Pace(Arc<Mutex<Debt>>);

impl Pace {
    pub(super) fn new() -> Pace {
        Pace(Arc::new(Mutex::new(Debt { due: Duration::ZERO, at: Instant::now() })))
    }

    /// `future`, at this pace.
    pub(super) fn keep<F: Future>(&self, future: F) -> Paced<F> {
        Paced { future: Box::pin(future), pace: self.clone() }
    }
}

/// A future that takes its turns at a [`Pace`].
pub(super) struct Paced<F> {
    future: Pin<Box<F>>,
    pace: Pace,
}

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // This thread may block: it has nothing else to do.
        let due = lock(&this.pace.0).rest(Instant::now());
        due.into_iter().for_each(thread::sleep);
        let started = Instant::now();
        let output = this.future.as_mut().poll(context);
        lock(&this.pace.0).add_turn(started, Instant::now());
        output
    }
}

/// The rest that is due.
#[derive(Debug)]
struct Debt {
    due: Duration,
    /// When `due` was right; it shrinks from then on.
    at: Instant,
}

impl Debt {
    /// How long to rest, if it is time to.
    fn rest(&self, now: Instant) -> Option<Duration> {
        let due = self.due_at(now);
        (DEBT_MAX < due).then_some(due)
    }

    fn add_turn(&mut self, started: Instant, ended: Instant) {
        let work = ended.duration_since(started).min(TURN_MAX) + TURN_COST;
        self.due = self.due_at(started) + work * REST_PER_WORK;
        self.at = ended;
    }

    fn due_at(&self, now: Instant) -> Duration {
        self.due.saturating_sub(now.duration_since(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_micros(99);

    fn no_debt(now: Instant) -> Debt {
        Debt { due: Duration::ZERO, at: now }
    }

    #[test]
    fn a_flood_gets_a_40th_of_a_core_at_most() {
        let time = Duration::from_secs(100);
        let start = Instant::now();
        let mut now = start;
        let mut debt = no_debt(start);
        let mut worked = Duration::ZERO;
        while now.duration_since(start) < time {
            now += debt.rest(now).unwrap_or_default();
            debt.add_turn(now, now + TURN);
            worked += TURN;
            now += TURN;
        }
        assert!(worked < time / 40, "{worked:?}");
        assert!(time / 50 < worked, "{worked:?}");
    }

    #[test]
    fn a_small_script_never_rests() {
        let mut now = Instant::now();
        let mut debt = no_debt(now);
        for _ in 0..3 {
            assert_eq!(debt.rest(now), None);
            debt.add_turn(now, now + TURN);
            now += TURN;
        }
    }

    #[test]
    fn being_kept_from_the_core_is_not_work() {
        let start = Instant::now();
        let end = start + Duration::from_secs(1);
        let mut debt = no_debt(start);
        debt.add_turn(start, end);
        assert!(debt.rest(end) < Some(Duration::from_millis(41)), "{debt:?}");
    }
}
