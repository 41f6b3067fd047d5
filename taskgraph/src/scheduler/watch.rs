//! The watch: reports when every worker there may be has been in one body for long.
//!
//! It costs workers next to nothing: each notes in its [seat](crate::graph::Seat) which body it is about to run. Now
//! and then the watch changes a few bits of the [gate](super::gate), its *ping*. A worker that sees a new ping after
//! its step notes that it has heard it. So whoever has not heard the last ping has been in one body since then.
//!
//! The watch is a thread that starts with the first run. It wakes up a few times in each `stall_after`, and not at all
//! [while no run lives](super::nap).

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Scheduler;
use super::nap::Nap;
use crate::graph::{Counts, Seat};
use crate::progress::Progress;
use crate::steering::Running;
use crate::sync::unmodelled::{Mutex, lock};
use crate::task::Task;
use crate::unwind;

/// How often it looks in the time after which it tells: a stall is told that much later at most, and once more.
const LOOKS: u32 = 4;
const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// A line names at most this many bodies.
const NAMED_MAX: usize = 16;

pub(super) struct Watch {
    stall_after: Duration,
    nap: Nap,
    /// By seat: since when, at least, its worker has been in the same body, if it is in one.
    in_body_since: Mutex<Vec<Option<Instant>>>,
}

impl Watch {
    pub(super) fn new(stall_after: Duration) -> Self {
        Self { stall_after, nap: Nap::new(stall_after != Duration::MAX), in_body_since: Mutex::default() }
    }

    pub(super) fn end(&self) {
        self.nap.end();
    }
}

impl Scheduler {
    /// Sets whether there are runs that have not settled. Called in order. False if there is no thread to watch them.
    pub(crate) fn set_has_runs(self: &Arc<Self>, has_runs: bool) -> bool {
        self.watch.nap.set_has_runs(has_runs, || {
            let scheduler = Arc::clone(self);
            self.pool.start_thread("taskgraph-watch", move || scheduler.keep_watch())
        })
    }

    fn keep_watch(&self) {
        let mut rounds = Rounds { last_ping: None, tell_after: self.watch.stall_after };
        let interval = (self.watch.stall_after / LOOKS).max(INTERVAL_MIN);
        while self.watch.nap.sleep(interval) {
            let seats = self.queues.seats();
            rounds.look(self, &seats);
            let heard = |ping| seats.iter().any(|seat| seat.has_heard(ping));
            rounds.last_ping = Some((self.gate.change_ping(heard), Instant::now()));
        }
    }

    /// How many tasks have ended since they are counted, which is from now on at the latest.
    pub(crate) fn progress(&self) -> Progress {
        let seats = self.queues.seats();
        let progress = |counts: &Counts| counts.progress(seats.iter().filter_map(|seat| seat.function()));
        match self.counts.get() {
            Some(counts) => progress(counts),
            None => Progress { counted_for: Duration::ZERO, ..progress(self.count_tasks()) },
        }
    }

    /// Tasks are counted from now on.
    pub(crate) fn count_tasks(&self) -> &Counts {
        let counts = self.counts.get_or_init(|| Arc::new(Counts::new()));
        // A worker that takes its seat after this finds the counts.
        let seats = self.queues.seats();
        seats.iter().for_each(|seat| seat.count_in(counts));
        // Whoever is at work finds out after its step.
        self.gate.change_ping(|ping| seats.iter().any(|seat| seat.has_heard(ping)));
        counts
    }

    /// The bodies in which workers are, as far as that is known.
    pub(crate) fn bodies(&self) -> Vec<Running> {
        let since = lock(&self.watch.in_body_since).clone();
        let now = Instant::now();
        let seats = self.queues.seats();
        let tasks = seats.iter().enumerate().filter_map(|(i, seat)| Some((i, seat.task()?)));
        tasks
            .map(|(i, task)| {
                let since = since.get(i).copied().flatten();
                Running { worker: i + 1, task, at_least: since.map(|since| now.saturating_duration_since(since)) }
            })
            .collect()
    }
}

/// What the watch remembers from one look to the next.
struct Rounds {
    last_ping: Option<(u8, Instant)>,
    /// A stall that has lasted for this long is reported.
    tell_after: Duration,
}

impl Rounds {
    fn look(&mut self, scheduler: &Scheduler, seats: &[Arc<Seat>]) {
        let watch = &scheduler.watch;
        let now = Instant::now();
        let mut bodies = Vec::new();
        {
            let mut all_since = lock(&watch.in_body_since);
            all_since.resize(seats.len(), None);
            for (seat, since) in seats.iter().zip(&mut *all_since) {
                let silent_since = self.last_ping.filter(|(ping, _)| seat.is_silent_since(*ping)).map(|(_, at)| at);
                *since = silent_since.map(|silent_since| since.unwrap_or(silent_since));
                if let Some(since) = *since {
                    bodies.extend(seat.task().map(|task| (task, now.saturating_duration_since(since))));
                }
            }
        }
        let state = scheduler.gate.state();
        let are_all = state.max() <= state.running() && state.running() <= bodies.len() && 0 < state.max();
        let lasted = bodies.iter().map(|(_, lasted)| *lasted).min().unwrap_or_default();
        // While everything is paused nobody wants to go on.
        if !are_all || state.is_paused() || lasted < watch.stall_after {
            if watch.stall_after < self.tell_after {
                let _ = unwind::catch(|| tracing::debug!("workers take steps again, the stall is over"));
            }
            self.tell_after = watch.stall_after;
        } else if self.tell_after <= lasted {
            self.tell_after = self.tell_after.saturating_mul(2);
            // A subscriber of the log is user code, too.
            let _ = unwind::catch(|| tell(&bodies, lasted, scheduler.queues.len()));
        }
    }
}

fn tell(bodies: &[(Task, Duration)], lasted: Duration, waiting: usize) {
    let mut named = String::new();
    for (i, (task, lasted)) in bodies.iter().take(NAMED_MAX).enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        write!(named, "{separator}{task} for {:.1} s", lasted.as_secs_f64()).expect("a text has room");
    }
    if let Some(more @ 1..) = bodies.len().checked_sub(NAMED_MAX) {
        write!(named, ", and {more} more").expect("a text has room");
    }
    tracing::warn!(
        workers = bodies.len(),
        waiting,
        "every worker has been in one body for {:.1} s at least, so nothing else makes progress: {named}",
        lasted.as_secs_f64()
    );
}
