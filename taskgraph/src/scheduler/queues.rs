//! Who is next: a deque for each worker, and injectors for what belongs to none.
//!
//! The owner of a deque takes the newest node, thieves take the oldest: the owner goes depth first and keeps what is
//! live small, a thief gets the largest part of the graph that is left. A deque is claimed by one worker at a time; what
//! a worker leaves in its deque is a line, for the others to steal from, or for the next worker that has a [turn](super::turns)
//! for it.
//!
//! The injectors are `crossbeam-deque`'s, which is named here and nowhere else. The deques are the graph's own
//! ([`Deque`]), since nodes change their owner there.

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_deque::{Injector, Steal};

use super::gate::Gate;
use super::ranks::Ranks;
use crate::graph::{Deque, Queued, Seat, Stealer};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};

pub(super) struct Queues {
    /// From outside.
    outside: Injector<Queued>,
    /// For those who have nothing of their own to do.
    deferred: Injector<Queued>,
    /// For those who would go idle.
    spare: Injector<Queued>,
    /// Tasks that block. While [many](MANY_BLOCKED) do, little is taken of what is spare.
    blocked: AtomicUsize,
    /// When more of it may be taken, then.
    spare_at: Mutex<Instant>,
    /// By priority, before everything else or after it.
    ranks: Ranks<Queued>,
    /// Whether something may have stopped since somebody looked through the ranks for that.
    has_stopped: AtomicBool,
    deques: Mutex<Deques>,
    /// How many lines wait.
    lines: AtomicUsize,
    /// Whom a thief insists on next.
    insists_on: AtomicUsize,
    /// How often deques came or went.
    changes: AtomicUsize,
}

/// What a worker looks at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// What somebody has left in a deque: the one that has waited longest.
    Line,
    Outside,
    Deferred,
    Spare,
    /// The oldest node of some deque, although its owner may want it.
    Oldest,
}

/// This many deques are kept, whether anybody needs them or not; and as many as there may be workers.
const KEPT: usize = 16;

/// If this many tasks block, generators make little more than is plenty: each child may be one more thread. Not nothing: those
/// that block may wait for a run whose children wait for each other.
const MANY_BLOCKED: usize = 32;
/// How much later a spare node is taken then; twice as much for each that many more.
const SPARE_AFTER: Duration = Duration::from_millis(10);
const SPARE_AFTER_MAX: Duration = Duration::from_secs(1);

struct Deques {
    /// With their indices, the largest first.
    unclaimed: Vec<(usize, Deque)>,
    /// Those in which nodes were left, with their indices, the one that has waited longest first.
    lines: VecDeque<(usize, Deque)>,
    /// One for each deque.
    seats: Vec<Arc<Seat>>,
    stealers: Arc<[Stealer]>,
}

/// A worker's own deque, and its view of the others. [Released](Self::release) when the worker goes.
pub(super) struct Claim<'q> {
    queues: &'q Queues,
    worker_idx: usize,
    own: Deque,
    seat: Arc<Seat>,
    stealers: RefCell<Arc<[Stealer]>>,
    /// The changes that it has seen.
    seen: Cell<usize>,
    /// What it looks at first. If that is no injector, they come first in turn.
    pub(super) first: Cell<Source>,
    is_deferreds: Cell<bool>,
}

/// A node that a worker has found.
pub(super) struct Found {
    pub(super) node: Queued,
    /// By which it was queued, or 0.
    pub(super) priority: i32,
}

impl From<Queued> for Found {
    fn from(node: Queued) -> Self {
        Self { node, priority: 0 }
    }
}

impl Deques {
    fn add_unclaimed(&mut self, worker_idx: usize, own: Deque) {
        let at = self.unclaimed.partition_point(|(idx, _)| worker_idx < *idx);
        self.unclaimed.insert(at, (worker_idx, own));
    }

    /// The line that has waited longest. Thieves may have left nothing of those before it.
    fn take_line(&mut self) -> Option<(usize, Deque)> {
        while let Some((worker_idx, own)) = self.lines.pop_front() {
            if !own.is_empty() {
                own.come();
                return Some((worker_idx, own));
            }
            self.add_unclaimed(worker_idx, own);
        }
        None
    }
}

impl Queues {
    pub(super) fn new() -> Self {
        let deques =
            Deques { unclaimed: Vec::new(), lines: VecDeque::new(), seats: Vec::new(), stealers: Arc::from([]) };
        Self {
            outside: Injector::new(),
            deferred: Injector::new(),
            spare: Injector::new(),
            blocked: AtomicUsize::new(0),
            spare_at: Mutex::new(Instant::now()),
            ranks: Ranks::new(),
            has_stopped: AtomicBool::new(false),
            deques: Mutex::new(deques),
            lines: AtomicUsize::new(0),
            insists_on: AtomicUsize::new(0),
            changes: AtomicUsize::new(0),
        }
    }

    /// Queues a node from outside.
    pub(super) fn inject(&self, node: Queued) {
        self.outside.push(node);
    }

    /// Queues a node for those who have nothing of their own to do.
    pub(super) fn defer(&self, node: Queued) {
        self.deferred.push(node);
    }

    /// Queues a node behind everything else.
    pub(super) fn inject_spare(&self, node: Queued) {
        self.spare.push(node);
    }

    /// Queues a node by its priority; the gate hears of it.
    pub(super) fn rank(&self, node: Queued, priority: i32, gate: &Gate) {
        if let Some(stopped) = self.ranks.push(node, priority, gate, Queued::is_stopped) {
            self.inject(stopped);
        }
    }

    /// Something has stopped, perhaps of what comes after everything else: it is not to wait for that.
    pub(super) fn look_through_ranks(&self) {
        // Release, pairs with the Acquire of whoever looks. An exchange, not a store, so that they know of all that had stopped
        // before they look. Nobody checks whether anything is there: a node that is about to be may have been asked before.
        self.has_stopped.swap(true, Ordering::Release);
    }

    /// Lets what has stopped among the ranks have its turn as if it came from outside.
    fn bring_stopped(&self) {
        if self.has_stopped.load(Ordering::Relaxed) && self.has_stopped.swap(false, Ordering::Acquire) {
            self.ranks.take_stopped(Queued::is_stopped).into_iter().for_each(|node| self.inject(node));
        }
    }

    /// A deque for a worker that looks there first: a line if it is the turn of one, or an empty one.
    pub(super) fn claim(&self, first: Source) -> Claim<'_> {
        let mut deques = lock(&self.deques);
        let line = if first == Source::Line { deques.take_line() } else { None };
        self.lines.store(deques.lines.len(), Ordering::Relaxed);
        let (worker_idx, own) = line.or_else(|| deques.unclaimed.pop()).unwrap_or_else(|| {
            let own = Deque::new();
            let worker_idx = deques.stealers.len();
            deques.seats.push(Arc::new(Seat::new()));
            deques.stealers = deques.stealers.iter().cloned().chain([own.stealer()]).collect();
            self.note_change();
            (worker_idx, own)
        });
        let stealers = RefCell::new(Arc::clone(&deques.stealers));
        let seat = Arc::clone(&deques.seats[worker_idx]);
        let seen = Cell::new(self.changes.load(Ordering::Relaxed));
        Claim {
            queues: self,
            worker_idx,
            own,
            seat,
            stealers,
            seen,
            first: Cell::new(first),
            is_deferreds: Cell::new(false),
        }
    }

    /// A worker leaves its deque. Empty ones at the end go once that halves the number of all: there may be many while
    /// many tasks block, and whoever looks for work looks at all of them.
    fn leave(&self, worker_idx: usize, own: Deque, max_workers: usize) {
        let mut deques = lock(&self.deques);
        if !own.is_empty() {
            deques.lines.push_back((worker_idx, own));
            self.lines.store(deques.lines.len(), Ordering::Relaxed);
            return;
        }
        deques.add_unclaimed(worker_idx, own);
        let (len, kept) = (deques.stealers.len(), KEPT.max(max_workers));
        if len <= kept {
            return;
        }
        // Those that are unclaimed, as far as they are the last of all.
        let left = (0..len).rev().zip(&deques.unclaimed);
        let ends = left.take_while(|(last, (idx, _))| last == idx && deques.stealers[*idx].is_empty()).count();
        let needed = kept.max(len - ends);
        if needed <= len / 2 {
            deques.unclaimed.drain(..len - needed);
            deques.seats.truncate(needed);
            deques.stealers = deques.stealers[..needed].iter().cloned().collect();
            self.note_change();
        }
    }

    /// Relaxed: it only tells that a view is old; views are taken under the lock, which the caller has.
    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// The seats of those who have a deque, or have had one.
    pub(super) fn seats(&self) -> Vec<Arc<Seat>> {
        lock(&self.deques).seats.clone()
    }

    /// Roughly how many nodes are queued.
    pub(super) fn len(&self) -> usize {
        let in_deques: usize = lock(&self.deques).stealers.iter().map(Stealer::len).sum();
        self.outside.len() + self.deferred.len() + self.spare.len() + self.ranks.len() + in_deques
    }

    /// A task blocks from now on.
    pub(super) fn add_blocked(&self) {
        self.blocked.fetch_add(1, Ordering::Relaxed);
    }

    /// A task does not block any more.
    pub(super) fn remove_blocked(&self) {
        self.blocked.fetch_sub(1, Ordering::Relaxed);
    }

    fn has_spare(&self) -> bool {
        !self.spare.is_empty() && !self.holds_back()
    }

    /// Whether what is spare is to be taken later, since many block.
    fn holds_back(&self) -> bool {
        MANY_BLOCKED <= self.blocked.load(Ordering::Relaxed) && Instant::now() < *lock(&self.spare_at)
    }

    /// Whether something spare waits for its time only.
    pub(super) fn holds_back_spare(&self) -> bool {
        !self.spare.is_empty() && self.holds_back()
    }

    /// The oldest of the nodes for those who would go idle.
    fn take_spare(&self) -> Option<Queued> {
        if !self.has_spare() {
            return None;
        }
        let blocked = self.blocked.load(Ordering::Relaxed);
        if MANY_BLOCKED <= blocked {
            let doublings = (blocked / MANY_BLOCKED - 1).min(16) as u32;
            *lock(&self.spare_at) = Instant::now() + (SPARE_AFTER * (1 << doublings)).min(SPARE_AFTER_MAX);
        }
        take(&self.spare)
    }

    /// Whether there is anything of that kind; the oldest nodes are not looked for.
    pub(super) fn has(&self, source: Source) -> bool {
        match source {
            Source::Line => 0 < self.lines(),
            Source::Outside => self.has_outside(),
            Source::Deferred => !self.deferred.is_empty(),
            Source::Spare => self.has_spare(),
            Source::Oldest => true,
        }
    }

    /// How many lines wait.
    pub(super) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// Whether anything from outside is queued.
    pub(super) fn has_outside(&self) -> bool {
        !self.outside.is_empty() || self.has_stopped.load(Ordering::Relaxed)
    }

    /// Whether anything is queued anywhere.
    pub(super) fn any(&self) -> bool {
        self.has_outside()
            || !self.deferred.is_empty()
            || self.has_spare()
            || !self.ranks.is_empty()
            || lock(&self.deques).stealers.iter().any(|stealer| !stealer.is_empty())
    }
}

impl Claim<'_> {
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    #[inline(always)]
    pub(super) fn push(&self, node: Queued) {
        self.own.push(node);
    }

    /// The worker goes on with something else: see [`Deque::show`].
    #[inline(always)]
    pub(super) fn show(&self, kept: usize) {
        self.own.show(kept);
    }

    /// Where the worker's own nodes end.
    pub(super) fn bottom(&self) -> usize {
        self.own.bottom()
    }

    /// The newest of the worker's own nodes.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<Queued> {
        self.own.pop()
    }

    /// The oldest node from outside.
    fn take_outside(&self) -> Option<Queued> {
        self.queues.bring_stopped();
        take(&self.queues.outside)
    }

    /// The oldest node that was deferred.
    pub(super) fn take_deferred(&self) -> Option<Queued> {
        take(&self.queues.deferred)
    }

    /// The oldest node of an injector, beginning with that one.
    pub(super) fn take_injected(&self, first: Source) -> Option<Queued> {
        let spare = if first == Source::Spare { self.queues.take_spare() } else { None };
        spare.or_else(|| match first {
            Source::Deferred => self.take_deferred().or_else(|| self.take_outside()),
            _ => self.take_outside().or_else(|| self.take_deferred()),
        })
    }

    /// Something from an injector, the oldest node of another worker, or what is for those who would go idle. What
    /// another worker keeps for itself is only taken if this one [insists](Stealer::insist).
    pub(super) fn steal(&self, insists: bool) -> Option<Queued> {
        let first = match self.first.get() {
            Source::Oldest => {
                self.first.set(Source::Line);
                return self.insist().or_else(|| self.steal(insists));
            }
            // Each of the two may never be empty.
            Source::Line if self.is_deferreds.replace(!self.is_deferreds.get()) => Source::Deferred,
            first => first,
        };
        let injected = self.take_injected(first);
        let stolen = || self.steal_public().or_else(|| if insists { self.insist() } else { None });
        injected.or_else(stolen).or_else(|| self.queues.take_spare())
    }

    /// As far as this worker has heard of them.
    fn stealers(&self) -> Ref<'_, Arc<[Stealer]>> {
        if self.seen.get() != self.queues.changes.load(Ordering::Relaxed) {
            let deques = lock(&self.queues.deques);
            self.stealers.replace(Arc::clone(&deques.stealers));
            self.seen.set(self.queues.changes.load(Ordering::Relaxed));
        }
        self.stealers.borrow()
    }

    /// The oldest node that another worker shows.
    fn steal_public(&self) -> Option<Queued> {
        let stealers = self.stealers();
        // Each worker starts at its neighbour, so that thieves spread over their victims.
        let (before, from) = stealers.split_at(self.worker_idx);
        from[1..].iter().chain(before).find_map(Stealer::steal)
    }

    /// The oldest node of some deque, whatever its owner does. One deque after the other, since each takes its time.
    fn insist(&self) -> Option<Queued> {
        let stealers = self.stealers();
        let idx = self.queues.insists_on.fetch_add(1, Ordering::Relaxed) % stealers.len();
        stealers[idx..].iter().chain(&stealers[..idx]).find(|stealer| !stealer.is_empty())?.insist()
    }

    /// Whether none of the worker's own nodes is left.
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Whether one waits with a priority above `least`.
    pub(super) fn has_urgent(&self, least: i32) -> bool {
        self.queues.ranks.has_urgent(least)
    }

    /// The highest priority that waits.
    pub(super) fn highest_waiting(&self) -> i32 {
        self.queues.ranks.highest()
    }

    /// The first of the nodes that come before everything else, if its priority is above `least`.
    pub(super) fn take_urgent(&self, least: i32, gate: &Gate) -> Option<Found> {
        self.queues.ranks.take_urgent(least, gate).map(|(node, priority)| Found { node, priority })
    }

    /// The first of the nodes that come after everything else, if there is nothing else.
    pub(super) fn take_patient(&self) -> Option<Found> {
        if self.queues.ranks.is_empty() || self.stealers.borrow().iter().any(|stealer| !stealer.is_empty()) {
            return None;
        }
        self.queues.ranks.take_patient().map(|(node, priority)| Found { node, priority })
    }

    /// Now and then: see [`Deque::calm_down`].
    pub(super) fn calm_down(&self, patience: u32) {
        self.own.calm_down(patience);
    }

    /// Leaves the deque to the next worker; there may be `max_workers`.
    pub(super) fn release(self, max_workers: usize) {
        self.seat.leave();
        self.own.leave();
        self.queues.leave(self.worker_idx, self.own, max_workers);
    }
}

/// The oldest node there.
fn take(injector: &Injector<Queued>) -> Option<Queued> {
    // Much cheaper than trying.
    if injector.is_empty() {
        return None;
    }
    loop {
        match injector.steal() {
            Steal::Success(node) => return Some(node),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    #[test]
    fn deques_that_many_tasks_needed_once_go_again() {
        let queues = Queues::new();
        let few: Vec<_> = (0..3).map(|_| queues.claim(Source::Line)).collect();
        let many: Vec<_> = (0..1000).map(|_| queues.claim(Source::Line)).collect();
        let view = few[0].stealers.borrow().len();
        assert_eq!((view, queues.seats().len()), (1, 1003));
        assert!(few[0].steal(false).is_none());
        assert_eq!(few[0].stealers.borrow().len(), 1003, "it has seen that others came");
        // Those at the end stay as long as the last of them is claimed.
        let mut many = many.into_iter();
        let last = many.next_back().expect("there are some");
        let leave = |claim: Claim<'_>| claim.release(100);
        many.for_each(leave);
        assert_eq!(queues.seats().len(), 1003);
        leave(last);
        assert_eq!(queues.seats().len(), 100);
        assert!(few[0].steal(false).is_none());
        assert_eq!(few[0].stealers.borrow().len(), 100, "it has seen that they went");
        let again = queues.claim(Source::Line);
        assert_eq!(again.worker_idx, 3, "the first that is left");
        leave(again);
        few.into_iter().for_each(leave);
    }
}
