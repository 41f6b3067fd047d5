//! The worker loop: takes steps while there are any and the gate lets it, of one line of work for each [turn](super::turns).

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use super::Scheduler;
use super::gate::{Gate, Permit, State};
use super::idle;
use super::levels::Levels;
use super::queues::{Claim, Found, Source};
use super::turns::Turns;
use crate::barrier;
use crate::graph::{self, Cx, Queued, Ready, Seat};

/// For so many times 256 steps, for each worker there may be, a deque stays open once a thief has insisted. The
/// next thief that insists interrupts all workers, so this should be rare, and the rarer the more of them there are.
const CALM_AFTER: u32 = 4;

thread_local! {
    /// The scheduler whose worker this thread is, while it is one.
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    /// The scheduler whose pool this thread is part of; filled in once that is complete.
    static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
    /// The number of that pool.
    static POOL: Cell<u64> = const { Cell::new(0) };
}

/// The scheduler whose worker a thread is, and the seat where the worker notes what it does.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) seat: Arc<Seat>,
}

/// The scheduler of a pool's threads.
pub(super) type Home = Arc<OnceLock<Weak<Scheduler>>>;

/// A worker, from its call until its thread is rayon's again.
pub(super) struct Worker<'s> {
    pub(super) scheduler: &'s Arc<Scheduler>,
    pub(super) gate: &'s Gate,
    pub(super) queues: Claim<'s>,
    pub(super) epoch: u16,
    /// The gate's state while there is nothing in it for us to see. No state is that while there are levels.
    pub(super) full: Cell<State>,
    levels: Levels,
    turns: Turns,
    /// Whether it leaves its line, and for what.
    leaves_for: Cell<Option<Source>>,
    /// If it has one turn beside what is urgent, the priority of that.
    guest_of: Option<i32>,
}

/// Why a worker has stopped.
enum Stop<'s> {
    /// There is nothing to do.
    Idle,
    /// There may be work, but this worker is not to take it.
    Displaced,
    /// It is the turn of something else.
    TurnIsOver(Permit<'s>, Source),
}

/// How a worker goes on after a step.
enum Next {
    /// With this node, or else with the newest of its deque.
    GoOn(Option<Ready>),
    /// Not here: it has put back what was at hand.
    Leave,
}

/// Runs a worker on this thread, which belongs to the pool of `epoch` or to an older one.
///
/// If the thread is inside a task already, which waits for rayon and was given this job meanwhile, the permit comes
/// back unused: a task must not wait for the steps of others on top of its own stack.
pub(super) fn run<'s>(scheduler: &'s Arc<Scheduler>, permit: Permit<'s>, epoch: u16) -> Result<(), Permit<'s>> {
    if CURRENT.with_borrow(Option::is_some) || idle::is_interrupted() {
        return Err(permit);
    }
    let (mut permit, mut first) = (permit, Source::Line);
    let mut turns = Turns::new(Instant::now());
    let is_displaced = loop {
        let worker = Worker::new(scheduler, epoch, first, turns);
        let stop = worker.work(permit);
        worker.queues.release(scheduler.gate.state().max());
        turns = worker.turns;
        match stop {
            Stop::Idle => break false,
            Stop::Displaced => break true,
            Stop::TurnIsOver(kept, next) => (permit, first) = (kept, next),
        }
        // What it has left is for anybody.
        scheduler.call_for_queued();
    };
    graph::flush_memory();
    CURRENT.set(None);
    if is_displaced {
        scheduler.call_for_queued();
    }
    Ok(())
}

/// The scheduler of the task that this thread is in, if it is in one.
pub(super) fn current() -> Option<Current> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Notes that this thread is part of the scheduler's pool of that number.
pub(super) fn set_home(home: Home, pool: u64) {
    HOME.set(Some(home));
    POOL.set(pool);
}

/// The number of the pool that this thread is part of.
pub(super) fn pool() -> u64 {
    POOL.get()
}

/// The scheduler whose pool this thread is part of.
pub(super) fn home() -> Option<Arc<Scheduler>> {
    HOME.try_with(|home| home.borrow().as_ref()?.get()?.upgrade()).ok().flatten()
}

impl<'s> Worker<'s> {
    fn new(scheduler: &'s Arc<Scheduler>, epoch: u16, first: Source, turns: Turns) -> Self {
        let state = scheduler.gate.state();
        let queues = scheduler.queues.claim(first);
        queues.seat().take(state.ping());
        if let Some(counts) = scheduler.counts.get() {
            queues.seat().count_in(counts);
        }
        // This worker has not heard of what is outside.
        turns.hurry(false, turns.left());
        CURRENT.set(Some(Current { scheduler: Arc::clone(scheduler), seat: Arc::clone(queues.seat()) }));
        Self {
            scheduler,
            gate: &scheduler.gate,
            queues,
            epoch,
            full: Cell::new(state.full(epoch)),
            levels: Levels::new(),
            turns,
            leaves_for: Cell::new(None),
            guest_of: None,
        }
    }

    fn work(&self, permit: Permit<'s>) -> Stop<'s> {
        let mut cx = Cx::new(self, self.queues.seat());
        let mut permit = permit;
        loop {
            // Not only after a step: the pool may have changed since this worker was called.
            let Some(staying) = permit.stay(self.epoch) else { return Stop::Displaced };
            permit = staying;
            if let Some(found) = self.find(&mut permit) {
                if let Some(found) = self.admit(found)
                    && let Some(first) = self.begin(found, &mut cx)
                {
                    self.take_steps(first, &mut cx);
                }
                cx.rest();
                self.end_levels(Levels::clear);
                if let Some(first) = self.leaves_for.get() {
                    return Stop::TurnIsOver(permit, first);
                }
                continue;
            }
            if self.scheduler.bring_back() {
                continue;
            }
            match self.go_idle(permit) {
                Some(again) => permit = again,
                None => return Stop::Idle,
            }
        }
    }

    /// Takes steps until there is nothing left to do here, or it is to be done by others.
    fn take_steps(&self, first: Ready, cx: &mut Cx<'_>) {
        let seat = self.queues.seat();
        let first = if seat.counts() { Some(first) } else { self.take_uncounted(first, cx) };
        if let Some(first) = first {
            seat.clear();
            self.take_steps_that::<true>(first, cx);
        }
    }

    /// The same, while nobody counts tasks; then gives what to go on with.
    #[inline(never)]
    fn take_uncounted(&self, first: Ready, cx: &mut Cx<'_>) -> Option<Ready> {
        self.take_steps_that::<false>(first, cx)
    }

    /// Either of them: steps that are not counted must not pay for those that are.
    #[inline(always)]
    fn take_steps_that<const COUNT: bool>(&self, first: Ready, cx: &mut Cx<'_>) -> Option<Ready> {
        let mut ready = first;
        let mut steps = self.turns.left();
        loop {
            let mut next = cx.step(ready);
            if COUNT {
                self.queues.seat().count_done();
            }
            let queued_more = self.queue_ready(cx);
            if queued_more && next.is_some() {
                self.queues.show(0);
            }
            let state = self.gate.state();
            if !state.is(self.full.get()) {
                match self.heed(state, queued_more, next, &mut steps, cx) {
                    Next::GoOn(then) => next = then,
                    Next::Leave => break,
                }
                if !COUNT && self.queues.seat().counts() {
                    steps = 1;
                }
            }
            steps -= 1;
            if steps == 0 {
                match self.give_way(next, cx) {
                    Next::GoOn(then) => next = then,
                    Next::Leave => return None,
                }
                steps = self.turns.left();
                if !COUNT && self.queues.seat().counts() {
                    return next.or_else(|| self.queues.pop().map(|queued| cx.take(queued)));
                }
            }
            ready = match next {
                Some(ready) => ready,
                None => match self.queues.pop() {
                    Some(queued) => cx.take(queued),
                    None => break,
                },
            };
        }
        self.turns.keep(steps);
        None
    }

    /// There is something to see at the gate: whether this worker may stay and nothing is paused, somebody wants to be
    /// called, or something is urgent.
    #[cold]
    fn heed(&self, state: State, queued_more: bool, next: Option<Ready>, steps: &mut u32, cx: &mut Cx<'_>) -> Next {
        self.hear(state);
        if !state.may_stay(self.epoch) || state.is_paused() {
            self.put_back(next, cx);
            return Next::Leave;
        }
        if queued_more && state.has_place() {
            self.scheduler.call_for_queued();
        }
        if next.is_none() {
            self.end_levels(|levels| levels.end(self.queues.bottom()));
        }
        if state.is_urgent() {
            match self.guest_of {
                None => return self.hurry(next, cx),
                Some(priority) if self.queues.has_urgent(priority) => return self.leave(next, cx),
                Some(_) => {}
            }
        }
        if state.has_outside() && !self.scheduler.queues.has(Source::Outside) {
            self.scheduler.end_outside();
        } else if state.has_outside() != self.full.get().has_outside() {
            self.full.set(self.full.get().with_outside(state.has_outside()));
            *steps = self.turns.hurry(state.has_outside(), *steps);
        }
        Next::GoOn(next)
    }

    pub(super) fn end_levels(&self, end: impl FnOnce(&Levels)) {
        if !self.levels.is_empty() {
            end(&self.levels);
            if self.levels.is_empty() {
                let (full, before) = (self.gate.state().full(self.epoch), self.full.get());
                self.full.set(full.with_ping_of(before).with_outside(before.has_outside()));
            }
        }
    }

    /// Notes the ping, if it is a new one: this worker is in no body.
    fn hear(&self, state: State) {
        if self.full.get().ping() != state.ping() {
            self.full.set(self.full.get().with_ping_of(state));
            self.queues.seat().hear(state.ping());
        }
    }

    /// Leaves what the last step returned to others.
    #[cold]
    fn put_back(&self, next: Option<Ready>, cx: &Cx<'_>) {
        if let Some(ready) = next {
            self.queue(cx.put_back(ready));
        }
    }

    /// The found node, unless it has to wait for the end of a pause.
    #[inline]
    fn admit(&self, found: Found) -> Option<Found> {
        let state = self.gate.state();
        self.hear(state);
        if state.is_paused() { self.scheduler.put_aside(found) } else { Some(found) }
    }

    /// Goes on with a node that was found. One that was queued by its priority only starts what it holds, so that is
    /// started here as well.
    fn begin(&self, found: Found, cx: &mut Cx<'_>) -> Option<Ready> {
        if 0 < found.priority {
            self.levels.begin(found.priority, found.node.id(), self.queues.bottom());
            self.full.set(self.full.get().never());
        }
        let mut first = Some(cx.take(found.node));
        if found.priority != 0 {
            first = first.and_then(|holder| cx.step(holder));
            self.queue_ready(cx);
        }
        self.queues.show(0);
        first
    }

    /// Goes on with the first of what comes before everything else; what was at hand waits in our queue. Unless that
    /// was started by a priority that is no lower.
    #[cold]
    fn hurry(&self, next: Option<Ready>, cx: &mut Cx<'_>) -> Next {
        let least = self.levels.priority();
        if !self.queues.has_urgent(least) {
            return Next::GoOn(next);
        }
        self.put_back(next, cx);
        // Nodes that only make others ready may make more urgent ones ready.
        while self.levels.bottom() != Some(self.queues.bottom())
            && let Some(queued) = self.queues.pop()
        {
            if !queued.is_starter() {
                self.queues.push(queued);
                break;
            }
            let starter = cx.take(queued);
            let next = cx.step(starter);
            self.queue_ready(cx);
            self.put_back(next, cx);
        }
        barrier::light();
        if self.gate.state().has_place() {
            self.scheduler.call_for_queued();
        }
        if self.levels.is_empty() && !self.queues.is_empty() {
            // What is not urgent is for others, or has its turns.
            self.leaves_for.set(Some(Source::Outside));
            return Next::Leave;
        }
        // Of what is given up nothing is left to go on with.
        while self.gate.state().may_stay(self.epoch) {
            let Some(found) = self.queues.take_urgent(least, self.gate) else { break };
            if let Some(started) = self.begin(found, cx) {
                return Next::GoOn(Some(started));
            }
            self.end_levels(|levels| levels.end(self.queues.bottom()));
        }
        Next::GoOn(None)
    }

    #[cold]
    fn queue_ranked(&self, cx: &mut Cx<'_>) {
        cx.drain_ready(|node| self.queue(node));
    }

    fn queue(&self, node: Queued) {
        match node.take_rank() {
            None => self.queues.push(node),
            Some(priority) => self.scheduler.rank(node, priority),
        }
    }

    /// So many steps are taken that it is time to look at the clock. This worker leaves its line if that has had its turn.
    #[cold]
    fn give_way(&self, next: Option<Ready>, cx: &mut Cx<'_>) -> Next {
        let now = Instant::now();
        let is_urgent = !self.levels.is_empty() || self.gate.state().is_urgent();
        let is_over = self.turns.look(now, is_urgent);
        let queues = &self.scheduler.queues;
        if self.gate.state().has_outside() && !queues.has(Source::Outside) {
            self.scheduler.end_outside();
        }
        let is_long = self.turns.is_time_to_calm();
        if is_long {
            self.queues.calm_down(CALM_AFTER * self.gate.state().max() as u32);
        }
        if self.guest_of.is_some() {
            return if is_over { self.leave(next, cx) } else { Next::GoOn(next) };
        }
        if is_urgent {
            if !is_over {
                return Next::GoOn(next);
            }
            self.turns.begin(now);
            if !self.turns.are_wanted(queues) {
                return Next::GoOn(next);
            }
            let Some(first) = self.turns.begin_ordinary(queues) else { return Next::GoOn(next) };
            // The guest's bodies may be long: others may wait for what this worker has yet to tell, or take what it has.
            self.put_back(next, cx);
            cx.rest();
            self.queues.show(0);
            self.scheduler.call_for_queued();
            self.let_in_guest(first);
            self.turns.end_ordinary(Instant::now());
            // Its bodies may have been long.
            let state = self.gate.state();
            let goes_on = state.may_stay(self.epoch) && !state.is_paused();
            return if goes_on { Next::GoOn(None) } else { Next::Leave };
        }
        if !is_over {
            return Next::GoOn(if is_long { self.take_up_deferred(next, cx) } else { next });
        }
        self.turns.begin(now);
        if self.turns.are_wanted(queues) { self.leave(next, cx) } else { Next::GoOn(next) }
    }

    /// Leaves the line, with what is at hand.
    fn leave(&self, next: Option<Ready>, cx: &Cx<'_>) -> Next {
        self.put_back(next, cx);
        self.leaves_for.set(Some(self.turns.next(&self.scheduler.queues)));
        Next::Leave
    }

    /// Something else has a turn, on another deque, beside what is urgent.
    fn let_in_guest(&self, first: Source) {
        self.queues.seat().clear();
        let turns = Turns::new(Instant::now());
        let guest_of = Some(self.queues.highest_waiting().max(self.levels.priority()));
        let guest = Worker { guest_of, ..Worker::new(self.scheduler, self.epoch, first, turns) };
        let mut cx = Cx::new(&guest, guest.queues.seat());
        // It does not steal: that could be a part of what is urgent.
        if let Some(found) = guest.queues.pop().or_else(|| guest.queues.take_injected(first))
            && let Some(found) = guest.admit(Found::from(found))
            && let Some(ready) = guest.begin(found, &mut cx)
        {
            guest.take_steps(ready, &mut cx);
        }
        cx.rest();
        guest.queues.release(self.gate.state().max());
        self.scheduler.call_for_queued();
        CURRENT.set(Some(Current { scheduler: Arc::clone(self.scheduler), seat: Arc::clone(self.queues.seat()) }));
    }

    /// Generators keep ahead of what consumes their items. Gives what to go on with.
    fn take_up_deferred(&self, next: Option<Ready>, cx: &mut Cx<'_>) -> Option<Ready> {
        let Some(queued) = self.queues.take_deferred() else { return next };
        self.put_back(next, cx);
        self.queues.show(0);
        Some(cx.take(queued))
    }

    /// Queues what the last step made ready; returns whether that was anything.
    #[inline(always)]
    pub(super) fn queue_ready(&self, cx: &mut Cx<'_>) -> bool {
        let any = cx.has_ready();
        if any {
            match graph::has_priorities() {
                false => cx.drain_ready(|node| self.queues.push(node)),
                true => self.queue_ranked(cx),
            }
        }
        barrier::light();
        any
    }
}
