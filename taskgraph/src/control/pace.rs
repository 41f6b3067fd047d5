//! How much of a core the port may take, whatever is sent to it.
//!
//! A client that sends without pause would keep this thread busy, and with it a core that the run needs. So each
//! connection is [`Paced`]: it pays for the time it works with a multiple of rest. The multiple grows with the
//! number of connections, so that all of them together stay within one share of one core.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// So much rest is due for work: the port takes at most about a tenth of one core.
const REST_PER_WORK: u32 = 10;

/// Rest is taken once so much is due, and then all of it. People and small scripts never get there, and it is short
/// enough for the kernel to keep the connections that nobody takes meanwhile.
const DEBT_MAX: Duration = Duration::from_millis(10);

/// What waking and polling a task costs outside of the task, about.
const TURN_COST: Duration = Duration::from_micros(1);

/// A longer turn counts as this long. It was not all work: where workers keep every core busy, this thread had to
/// wait for its own.
const TURN_MAX: Duration = Duration::from_millis(1);

/// A future that rests after it has worked.
pub(super) struct Paced<F, S> {
    future: Pin<Box<F>>,
    /// Among how many the share is divided at the moment.
    sharers: S,
    debt: Debt,
    rest: Option<Pin<Box<Sleep>>>,
}

impl<F: Future, S: Fn() -> u32> Paced<F, S> {
    pub(super) fn new(future: F, sharers: S) -> Paced<F, S> {
        Paced { future: Box::pin(future), sharers, debt: Debt::none(Instant::now()), rest: None }
    }
}

impl<F: Future, S: Fn() -> u32 + Unpin> Future for Paced<F, S> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            // A wake-up for the future that comes during a rest is not lost: a poll of it follows each rest.
            if let Some(rest) = &mut self.rest {
                if rest.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.rest = None;
            }
            let started = Instant::now();
            if let Poll::Ready(output) = self.future.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            let sharers = (self.sharers)();
            match self.debt.worked(started, Instant::now(), sharers) {
                Some(rest) => self.rest = Some(Box::pin(sleep(rest))),
                None => return Poll::Pending,
            }
        }
    }
}

/// The rest that is due and not yet taken.
#[derive(Debug)]
struct Debt {
    due: Duration,
    /// When `due` was right; it melts away from then on.
    at: Instant,
}

impl Debt {
    fn none(now: Instant) -> Debt {
        Debt { due: Duration::ZERO, at: now }
    }

    /// Adds a turn; says how long to rest if it is time to.
    #[must_use]
    fn worked(&mut self, started: Instant, ended: Instant, sharers: u32) -> Option<Duration> {
        let rested = started.duration_since(self.at);
        let work = ended.duration_since(started).min(TURN_MAX) + TURN_COST;
        self.due = self.due.saturating_sub(rested) + work * REST_PER_WORK * sharers.max(1);
        self.at = ended;
        (DEBT_MAX < self.due).then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_micros(99);

    /// How much of `time` a client may work that takes turns of 99 us (100 with their cost) whenever it can.
    fn worked_in(time: Duration, sharers: u32) -> Duration {
        let start = Instant::now();
        let mut now = start;
        let mut debt = Debt::none(start);
        let mut worked = Duration::ZERO;
        while now.duration_since(start) < time {
            let rest = debt.worked(now, now + TURN, sharers);
            worked += TURN;
            now += TURN + rest.unwrap_or_default();
        }
        worked
    }

    #[test]
    fn a_flood_gets_a_tenth_of_a_core_at_most() {
        let time = Duration::from_secs(100);
        for sharers in [1, 2, 64] {
            let worked = worked_in(time, sharers) * sharers;
            assert!(worked < time / 9, "{sharers} clients worked {worked:?}");
            assert!(time / 12 < worked, "{sharers} clients worked {worked:?}");
        }
    }

    #[test]
    fn a_small_script_never_rests() {
        let mut now = Instant::now();
        let mut debt = Debt::none(now);
        for _ in 0..9 {
            assert_eq!(debt.worked(now, now + TURN, 1), None);
            now += TURN;
        }
    }

    #[test]
    fn being_kept_from_the_core_is_not_work() {
        let now = Instant::now();
        let rest = Debt::none(now).worked(now, now + Duration::from_secs(1), 1);
        assert!(rest < Some(Duration::from_millis(11)), "{rest:?}");
    }
}
