//! Turns: how a worker shares its time among all that is ready.
//!
//! What lies in a worker's deque is its *line* of work. When the worker has been at it for a turn and something else waits, it
//! leaves the line, deque and all, and takes up something else for a turn: what came from outside, what was deferred, what was
//! left for those who would go idle, or the line that has waited longest. Every other turn is a line's. Now and then it is
//! the turn of the oldest node of some deque: a line may be endless, and so may be the body of its worker.
//!
//! What is urgent is not left. It lets a guest have a turn on another deque, so that what is not urgent has a small part of
//! the time.
//!
//! Bodies take nanoseconds or hours, so turns are measured by the clock. A look at that takes as long as a short body. So a
//! worker looks after as many steps as should take half a turn, by the last ones; and after fewer while something from outside
//! waits, in case that bodies become long all of a sudden.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::queues::{Queues, Source};

/// A turn takes so long, and may take one body longer: too short for people to notice, and long enough for thousands of steps.
const TURN: Duration = Duration::from_millis(1);
/// At most so many steps pass between two looks at the clock; and so many while something from outside waits.
const STRIDE_MAX: u32 = 256;
const STRIDE_HURRIED_MAX: u32 = 8;
/// The oldest node of some deque has a turn after so many others, and after twice as many for each line that waits already: as
/// each opens another part of the graph, there are few in the longest of runs. Mostly its turn comes without that.
const OLDEST_AFTER: u32 = 64;
const DOUBLINGS_MAX: usize = 20;
/// Of the time beside what is urgent, what is not has about this part: it may be what that waits for.
const ORDINARY_PART: u32 = 16;

pub(super) struct Turns {
    began: Cell<Instant>,
    looked: Cell<Instant>,
    /// Steps to the next look, those of them that are left, and whether something from outside waits.
    stride: Cell<u32>,
    left: Cell<u32>,
    is_hurried: Cell<bool>,
    /// Steps since it was time to calm down.
    steps: Cell<u32>,
    /// How many turns are over since that of the oldest node.
    over: Cell<u32>,
    /// Whether something urgent was under way at the last look.
    is_urgent: Cell<bool>,
    /// How much more time what is urgent has before what is not has a turn beside it.
    urgent_left: Cell<Duration>,
    /// Whose turn it is, and whose it was that was no line's.
    source: Cell<Source>,
    last: Cell<usize>,
}

/// Each has a turn after the one before.
const OTHERS: [Source; 3] = [Source::Outside, Source::Deferred, Source::Spare];

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: Cell::new(now),
            looked: Cell::new(now),
            stride: Cell::new(1),
            left: Cell::new(1),
            is_hurried: Cell::new(false),
            steps: Cell::new(0),
            over: Cell::new(0),
            is_urgent: Cell::new(false),
            urgent_left: Cell::new(ORDINARY_PART * TURN),
            source: Cell::new(Source::Line),
            last: Cell::new(0),
        }
    }

    /// How many steps the worker may take before it looks at the clock.
    pub(super) fn left(&self) -> u32 {
        self.left.get()
    }

    /// So many of them are left.
    pub(super) fn keep(&self, left: u32) {
        self.left.set(left);
    }

    /// Something from outside waits, or does not any more. Returns how many of the steps that were left still are.
    pub(super) fn hurry(&self, is_hurried: bool, left: u32) -> u32 {
        self.is_hurried.set(is_hurried);
        let kept = if is_hurried { left.min(1) } else { left };
        self.stride.set(self.stride.get() - (left - kept));
        kept
    }

    /// All the steps were taken, and something urgent is under way or is not. Returns whether the turn is over.
    pub(super) fn look(&self, now: Instant, is_urgent: bool) -> bool {
        let took = now.saturating_duration_since(self.looked.replace(now));
        let was_urgent = self.is_urgent.replace(is_urgent);
        if was_urgent && is_urgent {
            self.urgent_left.set(self.urgent_left.get().saturating_sub(took));
        }
        let max = if self.is_hurried.get() { STRIDE_HURRIED_MAX } else { STRIDE_MAX };
        self.steps.set(self.steps.get() + self.stride.get());
        let stride = next_stride(self.stride.get(), took).min(max);
        self.stride.set(stride);
        self.left.set(stride);
        TURN <= now.saturating_duration_since(self.began.get())
    }

    /// Now and then, by the number of steps: see [`Deque::calm_down`](crate::graph::Deque::calm_down).
    pub(super) fn is_time_to_calm(&self) -> bool {
        let steps = self.steps.get();
        self.steps.set(if steps < STRIDE_MAX { steps } else { 0 });
        STRIDE_MAX <= steps
    }

    /// The next turn begins.
    pub(super) fn begin(&self, now: Instant) {
        self.began.set(now);
        self.over.set(self.over.get().saturating_add(1));
    }

    /// Whether anything waits for its turn, besides this worker's line.
    pub(super) fn are_wanted(&self, queues: &Queues) -> bool {
        self.is_oldests(queues) || OTHERS.into_iter().chain([Source::Line]).any(|source| queues.has(source))
    }

    /// Whose turn is next, once this worker has left its line.
    pub(super) fn next(&self, queues: &Queues) -> Source {
        let others = (1..=OTHERS.len()).map(|i| (self.last.get() + i) % OTHERS.len());
        let source = match self.source.get() {
            _ if self.is_oldests(queues) => {
                self.over.set(0);
                Source::Oldest
            }
            Source::Line => others.into_iter().find(|other| queues.has(OTHERS[*other])).map_or(Source::Line, |other| {
                self.last.set(other);
                OTHERS[other]
            }),
            _ => Source::Line,
        };
        self.source.set(source);
        source
    }

    fn is_oldests(&self, queues: &Queues) -> bool {
        OLDEST_AFTER << queues.lines().min(DOUBLINGS_MAX) <= self.over.get()
    }

    /// Something urgent is under way. Returns whose turn it is all the same, if it is that of something that is not.
    pub(super) fn begin_ordinary(&self, queues: &Queues) -> Option<Source> {
        self.urgent_left.get().is_zero().then(|| self.next(queues))
    }

    /// What is not urgent has had that turn, from the last look until now, or nothing of it was found.
    pub(super) fn end_ordinary(&self, now: Instant) {
        let took = now.saturating_duration_since(self.looked.replace(now));
        self.urgent_left.set(ORDINARY_PART * took.max(TURN / ORDINARY_PART));
    }
}

/// As many steps as take half a turn, if they take as long as the last ones; at most twice as many as those.
fn next_stride(steps: u32, took: Duration) -> u32 {
    let fit = u128::from(steps) * (TURN / 2).as_nanos() / took.as_nanos().max(1);
    (fit as u32).clamp(1, 2 * steps.max(1))
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    /// A worker whose steps all take this long: how long its turn was, and how often it looked at the clock.
    fn turn(step: Duration, is_hurried: bool) -> (Duration, u32) {
        let start = Instant::now();
        let (turns, mut now, mut looks) = (Turns::new(start), start, 0);
        turns.hurry(is_hurried, turns.left());
        loop {
            now += step * turns.left();
            looks += 1;
            if turns.look(now, false) {
                return (now - start, looks);
            }
        }
    }

    #[test]
    fn a_turn_takes_its_time_however_long_steps_are() {
        for is_hurried in [false, true] {
            for nanos in [50, 1_000, 100_000, 1_000_000, 1_000_000_000] {
                let step = Duration::from_nanos(nanos);
                let (took, _) = turn(step, is_hurried);
                assert!((TURN..2 * TURN + step).contains(&took), "{took:?} with steps of {step:?}");
            }
        }
    }

    #[test]
    fn looks_at_the_clock_cost_little() {
        let step = Duration::from_nanos(50);
        let steps = (TURN.as_nanos() / step.as_nanos()) as u32;
        assert!(turn(step, false).1 < steps / STRIDE_MAX + 10);
        assert!(turn(step, true).1 < steps / STRIDE_HURRIED_MAX + 10);
    }

    #[test]
    fn bodies_that_become_long_are_seen_at_once_if_something_waits() {
        let start = Instant::now();
        let turns = Turns::new(start);
        while turns.left() < STRIDE_MAX {
            assert!(!turns.look(start, false));
        }
        let left = turns.hurry(true, STRIDE_MAX - 10);
        assert_eq!(left, 1, "of those that were left");
        turns.keep(left);
        assert!(!turns.look(start + TURN / 2, false), "the 11 steps took half a turn");
        assert_eq!(turns.left(), STRIDE_HURRIED_MAX);
        turns.look(start + 2 * TURN, false);
        assert_eq!(turns.left(), 2, "of 8 that took three halves of a turn, as many as take half a turn");
    }

    #[test]
    fn what_is_not_urgent_has_its_part_of_the_time() {
        let start = Instant::now();
        let (turns, queues, mut now) = (Turns::new(start), Queues::new(), start);
        let (mut urgent, mut ordinary) = (Duration::ZERO, Duration::ZERO);
        turns.look(now, true);
        for body in [TURN, 100 * TURN] {
            for _ in 0..10_000 {
                if turns.begin_ordinary(&queues).is_some() {
                    ordinary += body;
                    now += body;
                    turns.end_ordinary(now);
                }
                urgent += TURN;
                now += TURN;
                turns.look(now, true);
            }
        }
        let part = urgent.as_secs_f64() / ordinary.as_secs_f64();
        assert!((15.0..18.0).contains(&part), "{part}");
    }

    #[test]
    fn only_time_that_urgent_work_has_had_counts() {
        let start = Instant::now();
        let (turns, queues) = (Turns::new(start), Queues::new());
        turns.look(start + 100 * TURN, true);
        assert!(turns.begin_ordinary(&queues).is_none(), "until now it was something ordinary that took so long");
        for i in 1..ORDINARY_PART {
            turns.look(start + (100 + i) * TURN, true);
            assert!(turns.begin_ordinary(&queues).is_none(), "{i}");
        }
        turns.look(start + (100 + ORDINARY_PART) * TURN, true);
        assert!(turns.begin_ordinary(&queues).is_some());
    }
}
