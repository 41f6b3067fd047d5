//! The gate: how many workers may take steps, and how many do.
//!
//! All of it is one word, so that no two parts of it can disagree:
//!
//! | field | counts |
//! |---|---|
//! | `max` | how many workers may run: what users set, and one for each pool on which pieces block |
//! | `running` | permits that are out: each worker that takes steps, or looks for one to take, has one |
//! | `searching` | those of them that look for work, or have been called and will |
//! | `returning` | tasks that blocked, gave their place back, and want it again: they come before new workers |
//! | `epoch` | changes of the pool: a worker that sees an epoch other than its own moves over |
//! | `urgent` | not a count: whether nodes wait that come before everything else that is ready |
//! | `outside` | not a count: whether nodes from outside wait while every worker is at work |
//! | `ping` | not a count: it changes now and then; a worker that sees this notes it, so it is not in one body for long |
//! | `paused` | not a count: whether no step is to start |
//!
//! A permit is given while `running + returning < max`, so there are never more than `max` steps at once; after `max`
//! has become smaller, a worker keeps its permit only to the end of its step. The word changes when a worker comes or
//! goes, not when it works: while all are busy, everybody reads it from its own cache.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, lock, wait};

pub(super) struct Gate {
    word: AtomicU64,
    /// For tasks that want their place back.
    lock: Mutex<()>,
    place_free: Condvar,
}

/// The word, to be taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State(u64);

const COUNT_BITS: u32 = 12;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const RUNNING: u32 = 0;
const SEARCHING: u32 = COUNT_BITS;
const RETURNING: u32 = 2 * COUNT_BITS;
const MAX: u32 = 3 * COUNT_BITS;
/// It may wrap: a worker that misses exactly this many changes in one step stays in its pool for longer, that is all.
const EPOCH: u32 = 4 * COUNT_BITS;
const EPOCHS: u64 = (1 << 10) - 1;
const URGENT: u64 = 1 << 63;
const PAUSED: u64 = 1 << 62;
const OUTSIDE: u64 = 1 << 61;
const PING: u32 = EPOCH + EPOCHS.count_ones();
const PINGS: u64 = 7;

const _: () = assert!(PINGS << PING < OUTSIDE, "the fields do not overlap");

const RETURNING_MAX: usize = COUNT as usize / 2;

const _: () = assert!((crate::MAX_WORKERS_LIMIT as u64) <= COUNT / 2, "more tasks may return than there are workers");

const fn one(field: u32) -> u64 {
    1 << field
}

impl State {
    fn count(self, field: u32) -> usize {
        (self.0 >> field & COUNT) as usize
    }

    pub(super) fn max(self) -> usize {
        self.count(MAX)
    }

    pub(super) fn running(self) -> usize {
        self.count(RUNNING)
    }

    pub(super) fn searching(self) -> usize {
        self.count(SEARCHING)
    }

    fn returning(self) -> usize {
        self.count(RETURNING)
    }

    pub(super) fn epoch(self) -> u16 {
        (self.0 >> EPOCH & EPOCHS) as u16
    }

    /// Whether nodes wait that come before everything else.
    #[inline(always)]
    pub(super) fn is_urgent(self) -> bool {
        self.0 & URGENT != 0
    }

    /// Whether nodes from outside wait while every worker is at work.
    pub(super) fn has_outside(self) -> bool {
        self.0 & OUTSIDE != 0
    }

    /// Whether no step is to start, except of what is stopped.
    #[inline(always)]
    pub(super) fn is_paused(self) -> bool {
        self.0 & PAUSED != 0
    }

    /// Whether there is a place for a worker.
    pub(super) fn has_place(self) -> bool {
        self.running() + self.returning() < self.max()
    }

    /// Whether there is a place for a worker, and nobody will look for work anyway.
    #[inline(always)]
    pub(super) fn wants_worker(self) -> bool {
        self.searching() == 0 && self.has_place()
    }

    /// Whether a worker of this epoch may go on after its step.
    pub(super) fn may_stay(self, epoch: u16) -> bool {
        self.epoch() == epoch && self.running() + self.returning() <= self.max()
    }

    /// What the word is while every worker of this epoch is at work, however many search.
    pub(super) fn full(self, epoch: u16) -> State {
        State(
            self.0 & PINGS << PING
                | (epoch as u64) << EPOCH
                | (self.max() as u64) << MAX
                | (self.max() as u64) << RUNNING,
        )
    }

    /// The same, made into what the word never is.
    pub(super) fn never(self) -> State {
        State(self.0 | COUNT << SEARCHING)
    }

    /// The same, but for whether nodes from outside wait.
    pub(super) fn with_outside(self, has_outside: bool) -> State {
        State(if has_outside { self.0 | OUTSIDE } else { self.0 & !OUTSIDE })
    }

    pub(super) fn ping(self) -> u8 {
        (self.0 >> PING & PINGS) as u8
    }

    /// The same, with the ping of `other`.
    pub(super) fn with_ping_of(self, other: State) -> State {
        State(self.0 & !(PINGS << PING) | other.0 & PINGS << PING)
    }

    /// Whether there is nothing for a worker to see here: all run, none returns, the epoch is the same, nothing is urgent or
    /// comes from outside.
    #[inline(always)]
    pub(super) fn is(self, full: State) -> bool {
        self.0 & !(COUNT << SEARCHING) == full.0
    }
}

/// The right to take steps, one at a time. Dropping it gives the place back.
#[must_use]
pub(super) struct Permit<'g> {
    gate: &'g Gate,
    searching: bool,
}

impl Gate {
    pub(super) fn new(max: usize) -> Self {
        Self { word: AtomicU64::new((max as u64) << MAX), lock: Mutex::new(()), place_free: Condvar::new() }
    }

    /// The state as this thread last heard of it.
    #[inline(always)]
    pub(super) fn state(&self) -> State {
        State(self.word.load(Ordering::Relaxed))
    }

    /// Changes how many may run, and moves all workers to the pool that goes with it.
    pub(super) fn set_max(&self, max: usize) {
        self.update(|state| {
            let epoch = (State(state).epoch() as u64 + 1) & EPOCHS;
            Some(state & !(COUNT << MAX | EPOCHS << EPOCH) | (max as u64) << MAX | epoch << EPOCH)
        });
        // A smaller `max` frees nothing, a larger one may.
        self.call_returning();
    }

    /// Sets whether nodes wait that come before everything else.
    pub(super) fn set_urgent(&self, is_urgent: bool) {
        self.update(|state| Some(if is_urgent { state | URGENT } else { state & !URGENT }));
    }

    /// Sets whether nodes from outside wait while every worker is at work.
    pub(super) fn set_outside(&self, has_outside: bool) {
        self.update(|state| Some(State(state).with_outside(has_outside).0));
    }

    /// Has all workers that end a step from now on note that they have; returns the ping that they note. If possible it is
    /// one that no worker has `heard` last: a worker that stays in one body must not seem to have heard this ping.
    pub(super) fn change_ping(&self, heard: impl Fn(u8) -> bool) -> u8 {
        // If somebody else changes it as well, workers seem to be in one body for a moment.
        let ping = self.state().ping();
        let mut others = (1..=PINGS as u8).map(|i| ping.wrapping_add(i) & PINGS as u8);
        let next = others.clone().find(|other| !heard(*other)).or(others.next()).expect("there are other pings");
        self.update(|state| Some(state & !(PINGS << PING) | (next as u64) << PING));
        next
    }

    /// Sets whether no step is to start.
    pub(super) fn set_paused(&self, is_paused: bool) {
        self.update(|state| Some(if is_paused { state | PAUSED } else { state & !PAUSED }));
        // Tasks that want their place back wait for something else now.
        let _guard = lock(&self.lock);
        self.place_free.notify_all();
    }

    /// A permit for a worker that will look for work, if there is a place.
    pub(super) fn try_enter(&self) -> Option<Permit<'_>> {
        self.enter_if(State::has_place)
    }

    /// The same, unless somebody is looking for work anyway.
    pub(super) fn try_call(&self) -> Option<Permit<'_>> {
        self.enter_if(State::wants_worker)
    }

    fn enter_if(&self, condition: impl Fn(State) -> bool) -> Option<Permit<'_>> {
        self.update(|state| condition(State(state)).then_some(state + one(RUNNING) + one(SEARCHING)))?;
        Some(Permit { gate: self, searching: true })
    }

    /// Gives a running task's place back while it blocks.
    pub(super) fn block(&self) {
        self.release(one(RUNNING));
    }

    /// The end of [`block`](Self::block): waits for a place, and for the end of a pause. `has_left` is called when this
    /// does not wait for a place any more.
    pub(super) fn unblock(&self, has_left: impl Fn()) {
        loop {
            self.wait_for_resume();
            // From here on no new worker takes a place that becomes free, and one that is too many leaves after its step.
            let announce = |state: u64| (State(state).returning() < RETURNING_MAX).then_some(state + one(RETURNING));
            while self.update(announce).is_none() {
                // So many return at once that the word cannot count them: the others wait to be counted.
                std::thread::yield_now();
            }
            if self.try_return() {
                return;
            }
            has_left();
        }
    }

    fn wait_for_resume(&self) {
        let mut guard = lock(&self.lock);
        while self.state().is_paused() {
            guard = wait(&self.place_free, guard);
        }
    }

    /// Waits for a place for a task that is announced; gives up if a pause comes first.
    fn try_return(&self) -> bool {
        let mut guard = lock(&self.lock);
        let take = |state: u64| {
            let has_place = State(state).running() < State(state).max().max(1) && !State(state).is_paused();
            has_place.then_some(state + one(RUNNING) - one(RETURNING))
        };
        let leave = |state: u64| State(state).is_paused().then_some(state - one(RETURNING));
        // Whoever frees a place sees us returning, and takes the lock before it notifies: so it comes either before
        // this look at the word or after we wait. The same for whoever pauses.
        while self.update(take).is_none() {
            if self.update(leave).is_some() {
                return false;
            }
            guard = wait(&self.place_free, guard);
        }
        true
    }

    fn release(&self, what: u64) {
        self.update(|state| Some(state - what));
        self.call_returning();
    }

    fn call_returning(&self) {
        if 0 < State(self.word.load(Ordering::SeqCst)).returning() {
            let _guard = lock(&self.lock);
            self.place_free.notify_all();
        }
    }

    /// Changes the word unless `change` declines; returns what it was before.
    ///
    /// SeqCst: whoever leaves, or stops searching, looks at the queues after this; whoever filled a queue looks at the word
    /// after that (see [`scheduler`](super)); and a returning task and whoever frees its place look at each other's change.
    fn update(&self, change: impl Fn(u64) -> Option<u64>) -> Option<State> {
        self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change).ok().map(State)
    }
}

impl<'g> Permit<'g> {
    /// The worker has found work. Returns whether it was the last that searched: then it should call another if there is more.
    pub(super) fn found_work(&mut self) -> bool {
        debug_assert!(self.searching, "work is found by searching");
        self.searching = false;
        let before = self.gate.update(|state| Some(state - one(SEARCHING)));
        before.is_some_and(|before| before.searching() == 1)
    }

    /// The worker has nothing left, and looks for work.
    pub(super) fn search(&mut self) {
        debug_assert!(!self.searching, "a worker searches once at a time");
        self.searching = true;
        self.gate.update(|state| Some(state + one(SEARCHING)));
    }

    pub(super) fn is_searching(&self) -> bool {
        self.searching
    }

    /// Gives the permit back if the worker may not stay: only as many leave as have to.
    pub(super) fn stay(self, epoch: u16) -> Option<Self> {
        let leave = |state: u64| (!State(state).may_stay(epoch)).then_some(state - self.held());
        if self.gate.update(leave).is_none() {
            return Some(self);
        }
        self.gate.call_returning();
        std::mem::forget(self);
        None
    }

    /// The permit as plain data, to go with a job to another thread; [`Gate::receive`] makes it a permit again.
    pub(super) fn send(self) -> SentPermit {
        debug_assert!(self.searching, "only a worker that was called travels");
        std::mem::forget(self);
        SentPermit(())
    }

    fn held(&self) -> u64 {
        one(RUNNING) + if self.searching { one(SEARCHING) } else { 0 }
    }
}

/// A permit on its way to the thread that will use it.
#[must_use = "a permit that is lost is a worker less"]
pub(super) struct SentPermit(());

#[cfg(all(test, taskgraph_loom))]
impl SentPermit {
    /// For a permit that a model forgot on purpose.
    pub(super) fn forgotten() -> Self {
        Self(())
    }
}

impl Gate {
    /// The permit that was sent.
    pub(super) fn receive(&self, _: SentPermit) -> Permit<'_> {
        Permit { gate: self, searching: true }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.gate.release(self.held());
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_more_permits_than_places() {
        let gate = Gate::new(2);
        let first = gate.try_enter().expect("two places");
        let second = gate.try_enter().expect("one place");
        assert!(gate.try_enter().is_none());
        drop(first);
        let third = gate.try_enter().expect("one place again");
        assert_eq!((gate.state().running(), gate.state().searching()), (2, 2));
        drop((second, third));
        assert_eq!(gate.state().running(), 0);
    }

    #[test]
    fn nobody_is_called_while_somebody_searches() {
        let gate = Gate::new(3);
        let mut first = gate.try_call().expect("nobody searches");
        assert!(gate.try_call().is_none());
        assert!(first.found_work(), "it was the only one");
        let _second = gate.try_call().expect("nobody searches any more");
    }

    #[test]
    fn after_a_change_of_max_only_so_many_leave_as_have_to() {
        let gate = Gate::new(3);
        let permits: Vec<_> = (0..3).map(|_| gate.try_enter().expect("a place")).collect();
        let before = gate.state().epoch();
        gate.set_max(1);
        let epoch = gate.state().epoch();
        assert_ne!(epoch, before);
        let staying: Vec<_> = permits.into_iter().filter_map(|permit| permit.stay(epoch)).collect();
        assert_eq!((staying.len(), gate.state().running()), (1, 1));
        assert!(staying.into_iter().all(|permit| permit.stay(before).is_none()), "another pool's workers move");
    }

    #[test]
    fn a_returning_task_comes_before_new_workers() {
        let gate = Gate::new(1);
        std::mem::forget(gate.try_enter().expect("a place"));
        gate.block();
        let other = gate.try_enter().expect("the place was given back");
        std::thread::scope(|scope| {
            let task = scope.spawn(|| gate.unblock(|| {}));
            while gate.state().returning() == 0 {
                std::thread::yield_now();
            }
            assert!(other.stay(gate.state().epoch()).is_none(), "it leaves for the returning task");
            task.join().expect("it has its place again");
        });
        assert_eq!((gate.state().running(), gate.state().returning()), (1, 0));
    }

    #[test]
    fn a_task_that_returns_waits_for_the_end_of_a_pause_and_keeps_no_place_meanwhile() {
        let gate = Gate::new(1);
        std::mem::forget(gate.try_enter().expect("a place"));
        gate.block();
        let other = gate.try_enter().expect("the place was given back");
        std::thread::scope(|scope| {
            let (left, has_left) = std::sync::mpsc::channel();
            let task = scope.spawn(|| gate.unblock(move || left.send(()).expect("somebody listens")));
            while gate.state().returning() == 0 {
                std::thread::yield_now();
            }
            gate.set_paused(true);
            has_left.recv().expect("it leaves");
            drop(other);
            drop(gate.try_enter().expect("nobody wants the place"));
            assert!(!task.is_finished());
            gate.set_paused(false);
            task.join().expect("it has its place again");
        });
        assert_eq!((gate.state().running(), gate.state().returning()), (1, 0));
    }

    #[test]
    fn a_busy_gate_is_recognized_by_one_comparison() {
        let gate = Gate::new(1);
        let full = gate.state().full(gate.state().epoch());
        assert!(!gate.state().is(full));
        let mut permit = gate.try_enter().expect("a place");
        assert!(gate.state().is(full), "searching workers do not matter");
        permit.found_work();
        assert!(gate.state().is(full));
        gate.set_urgent(true);
        assert!(!gate.state().is(full), "something is urgent");
        gate.set_urgent(false);
        gate.set_outside(true);
        assert!(!gate.state().is(full), "something comes from outside");
        gate.set_outside(false);
        assert!(gate.state().is(full));
        gate.set_max(1);
        assert!(!gate.state().is(full), "another epoch");
    }

    #[test]
    fn epochs_wrap_and_touch_nothing_else() {
        let gate = Gate::new(2);
        let _permit = gate.try_enter().expect("two places");
        gate.set_urgent(true);
        for _ in 0..=EPOCHS {
            gate.set_max(3);
        }
        for i in 0..=PINGS {
            assert_eq!(gate.change_ping(|_| false) as u64, (i + 1) & PINGS);
        }
        assert_eq!(gate.change_ping(|ping| ping < 4), 4);
        assert_eq!(gate.change_ping(|_| true), 5, "all were heard of");
        assert_eq!(gate.change_ping(|ping| ping != 0), 0);
        gate.set_outside(true);
        assert!(gate.state().has_outside());
        gate.set_outside(false);
        let state = gate.state();
        assert_eq!((state.epoch(), state.max(), state.running(), state.is_urgent()), (0, 3, 1, true));
        assert_eq!((state.ping(), state.is_paused(), state.returning()), (0, false, 0));
    }
}
