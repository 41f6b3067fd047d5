//! Turns: how a worker that has enough to do shares its time with what comes from outside, and with what was deferred.
//!
//! ```text
//! nothing waits --something from outside does--> own --after TURN--> outside's --after TURN--> own ..
//!       ^-----------------------nothing does any more--------------------|
//! ```
//!
//! Bodies take nanoseconds or hours, so turns are measured by the clock. A look at it takes as long as a short body. So in its
//! own turn a worker looks after one step, after two more, four, and so on: it sees at once that bodies are long, and short
//! ones hardly pay. What was deferred is in no hurry, and has its turn by the number of steps.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A turn takes so long, and may take one body longer: too short for people to notice, and long enough for thousands of steps.
const TURN: Duration = Duration::from_millis(1);
/// As many short bodies as cost what a look at the clock does; and if bodies become long all of a sudden, as many of those.
const STRIDE_MAX: u32 = 8;
/// After so many steps deferred nodes have their turn.
const STEPS_IN_A_ROW: u32 = 256;

pub(super) struct Turns {
    turn: Cell<Turn>,
    /// Steps to the next look, while that is of interest.
    stride: Cell<u32>,
    /// The steps that the worker may take before it looks, as it was told last.
    granted: Cell<u32>,
    /// Steps to the turn of what was deferred.
    deferred_in: Cell<u32>,
}

#[derive(Clone, Copy)]
enum Turn {
    /// Nothing from outside waits.
    Nobodys,
    /// That of the worker's own nodes, since then.
    Own(Instant),
    Outside(Instant),
}

impl Turns {
    pub(super) fn new() -> Self {
        let steps = || Cell::new(STEPS_IN_A_ROW);
        Self { turn: Cell::new(Turn::Nobodys), stride: steps(), granted: steps(), deferred_in: steps() }
    }

    /// How many steps the worker may take before it looks.
    pub(super) fn grant(&self) -> u32 {
        self.granted.set(self.stride.get());
        self.stride.get()
    }

    /// The same, where `left` of the last ones are left.
    pub(super) fn shorten(&self, left: u32) -> u32 {
        let kept = left.min(self.stride.get());
        self.granted.set(self.granted.get() - (left - kept));
        kept
    }

    /// Whether it is the turn of the worker's own nodes although others wait.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.turn.get(), Turn::Own(_))
    }

    /// Nothing from outside waits any more.
    pub(super) fn end(&self) {
        self.turn.set(Turn::Nobodys);
        self.stride.set(STEPS_IN_A_ROW);
    }

    /// Something from outside waits. Whether to take it now; `has_next` says whether what was taken last goes on, or
    /// something that it has made.
    pub(super) fn decide(&self, now: Instant, has_next: bool) -> bool {
        let is_over = |since| TURN <= now.saturating_duration_since(since);
        match self.turn.get() {
            Turn::Own(since) if is_over(since) => {
                self.turn.set(Turn::Outside(now));
                true
            }
            Turn::Own(_) => {
                self.stride.set((2 * self.stride.get()).min(STRIDE_MAX));
                false
            }
            Turn::Outside(since) if !is_over(since) => !has_next,
            Turn::Outside(_) | Turn::Nobodys => {
                self.turn.set(Turn::Own(now));
                self.stride.set(1);
                false
            }
        }
    }

    /// The worker has taken as many steps as it might. Returns whether what was deferred has its turn.
    pub(super) fn end_stride(&self) -> bool {
        let left = self.deferred_in.get().saturating_sub(self.granted.get());
        self.deferred_in.set(if left == 0 { STEPS_IN_A_ROW } else { left });
        left == 0
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    /// How often a worker whose steps all take this long takes its own and those from outside, and looks at the clock.
    fn shares(step: Duration, steps: u32) -> (u32, u32, u32) {
        let (turns, mut now, mut looks) = (Turns::new(), Instant::now(), 0);
        let (mut own, mut outside, mut to_look) = (0, 0, 1);
        for _ in 0..steps {
            now += step;
            to_look -= 1;
            if to_look != 0 {
                own += 1;
                continue;
            }
            looks += 1;
            let takes = turns.decide(now, false);
            *if takes { &mut outside } else { &mut own } += 1;
            to_look = if turns.is_own() { turns.grant() } else { 1 };
        }
        (own, outside, looks)
    }

    #[test]
    fn both_have_half_of_the_time_however_long_their_steps_are() {
        for step in [100, 10_000, 1_000_000, 1_000_000_000].map(Duration::from_nanos) {
            let (own, outside, _) = shares(step, 100_000);
            assert!(own.abs_diff(outside) <= 5_000, "{own} own and {outside} of others, of {step:?} each");
        }
    }

    #[test]
    fn long_steps_are_seen_at_once_and_short_ones_pay_little() {
        let (own, outside, _) = shares(Duration::from_secs(1), 4);
        assert_eq!((own, outside), (2, 2), "each second one");
        let (own, outside, looks) = shares(Duration::from_nanos(50), 20_000);
        assert_eq!(outside, 0, "the turn of the own ones is not over");
        assert!(looks <= own / STRIDE_MAX + 5, "{looks} looks in {own} steps");
    }

    #[test]
    fn what_was_taken_goes_on_before_the_next() {
        let (turns, now) = (Turns::new(), Instant::now());
        assert!(!turns.decide(now, true));
        assert!(turns.decide(now + TURN, true));
        assert!(!turns.decide(now + TURN, true), "it goes on");
        assert!(turns.decide(now + TURN, false));
        turns.end();
        assert!(!turns.is_own() && turns.grant() == STEPS_IN_A_ROW);
    }

    #[test]
    fn what_was_deferred_has_its_turn_after_as_many_steps_at_any_stride() {
        let (turns, now) = (Turns::new(), Instant::now());
        turns.grant();
        assert!(turns.end_stride(), "they were all its own");
        for is_changing in [false, true] {
            // After a few of them something comes from outside.
            let mut taken = 10;
            let left = turns.grant() - taken;
            turns.decide(now, true);
            let mut steps = turns.shorten(left);
            loop {
                taken += steps;
                if turns.end_stride() {
                    break;
                }
                match is_changing {
                    true if taken % 3 == 0 => turns.end(),
                    _ => drop(turns.decide(now, true)),
                }
                steps = turns.grant();
            }
            assert!((STEPS_IN_A_ROW..2 * STEPS_IN_A_ROW).contains(&taken), "{taken}");
            turns.end();
        }
    }
}
