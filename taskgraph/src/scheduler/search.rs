//! How a worker with nothing to do looks for work, and when it gives up.
//!
//! At first it looks around unheard; then it says at the gate that it searches, so that nobody else is called; then it
//! gives its permit back, and looks once more: see "Why no work is overlooked" in [`scheduler`](super).

use std::hint;
use std::thread;

use super::gate::Permit;
use super::queues::Found;
use super::worker::Worker;
use crate::barrier;
use crate::sync::atomic::{Ordering, fence};

/// How often an idle worker looks around before it gives its thread back: about 50 microseconds, a few times what
/// calling a worker costs; more if it insists on what others keep.
const SEARCH_ROUNDS: u32 = 64;
/// How many of those while others search, too.
const ROUNDS_TOGETHER: u32 = 8;
/// The rounds before those, of which nobody hears: about five microseconds.
const UNHEARD_ROUNDS: u32 = 16;
/// From which round on it insists on what others keep for themselves: mostly they show it before long.
const INSISTS_FROM: u32 = 8;
/// How often it pauses between two looks at the others' deques, at most.
const PAUSES_MAX: u32 = 32;

impl<'s> Worker<'s> {
    /// Something to do: what is urgent, the newest node of our own, or one from elsewhere.
    #[inline]
    pub(super) fn find(&self, permit: &mut Permit<'s>) -> Option<Found> {
        if !permit.is_searching() {
            // A look around costs the others little while nobody hears of it; and nobody need hear of it while all
            // workers there may be are at work, so that none could be called.
            for round in 0..UNHEARD_ROUNDS {
                if let Some(found) = self.look(round) {
                    return Some(found);
                }
                let state = self.gate.state();
                if !state.is(self.full.get().with_outside(state.has_outside())) {
                    break;
                }
                pause(round);
            }
            self.queues.seat().clear();
            permit.search();
        }
        self.search(permit)
    }

    fn look(&self, round: u32) -> Option<Found> {
        if self.gate.state().is_urgent()
            && let Some(urgent) = self.queues.take_urgent(0, self.gate)
        {
            return Some(urgent);
        }
        let node = self.queues.pop().or_else(|| self.queues.steal(INSISTS_FROM <= round));
        node.map(Found::from).or_else(|| self.queues.take_patient())
    }

    #[cold]
    fn search(&self, permit: &mut Permit<'s>) -> Option<Found> {
        for round in 0..SEARCH_ROUNDS {
            if let Some(found) = self.look(round) {
                // While one searches nobody else is called, so the last that finds something calls the next.
                if permit.found_work() {
                    self.stop_searching();
                }
                return Some(found);
            }
            let state = self.gate.state();
            // One that looks for work is enough: if there is more than it can do, it calls the others.
            let is_surplus = 1 < state.searching() && ROUNDS_TOGETHER <= round;
            if is_surplus || !state.may_stay(self.epoch) {
                return None;
            }
            if round < SEARCH_ROUNDS / 2 {
                pause(round);
            } else {
                thread::yield_now();
            }
        }
        None
    }

    /// The last that searched has found something.
    fn stop_searching(&self) {
        // SeqCst, pairs with that in `call_for_queued`: who queued something before that saw us searching.
        fence(Ordering::SeqCst);
        if !self.gate.state().wants_worker() || self.scheduler.queues.any() {
            self.scheduler.call_for_queued();
        }
    }

    /// Gives the permit back; takes another one if there is work after all.
    #[cold]
    pub(super) fn go_idle(&self, permit: Permit<'s>) -> Option<Permit<'s>> {
        if self.scheduler.queues.any() {
            // Another thief is at it, its owner keeps it, or it has just been queued.
            thread::yield_now();
            return Some(permit);
        }
        drop(permit);
        barrier::patient();
        let has_work = self.scheduler.queues.any() || self.scheduler.aside.has_changed();
        let permit = if has_work { self.gate.try_enter() } else { None };
        if has_work && permit.is_none() {
            self.scheduler.call_for_queued();
        } else if self.scheduler.queues.holds_back_spare() {
            self.scheduler.call_worker_later();
        }
        permit
    }
}

/// Lets the others get on before the next look around: for a moment at first, since what is looked for has often just
/// been queued, later for longer.
fn pause(round: u32) {
    for _ in 0..PAUSES_MAX.min(1 << (round / 2)) {
        hint::spin_loop();
    }
}
