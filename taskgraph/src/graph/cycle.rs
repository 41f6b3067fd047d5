//! Cycles: a shared computation that would wait for itself, and with it all who need it, for ever.
//!
//! A task cannot need what is built from it, but the body of a shared computation may get hold of a handle on itself. So
//! whoever is part of a shared computation, and would wait for one that others wait for already, looks outwards first: who
//! waits for what he is part of, who waits for that, and so on. If he comes to the one he wants, he fails instead.
//!
//! # Who has to look
//!
//! Few. The *first* to want something closes no cycle, nor does anybody else until it has started: it wants nothing itself
//! yet. Looking and starting to wait happen under one lock, so of those that close a cycle together the last one sees all
//! the others. And if somebody starts to wait, without the lock, for what starts just then? Whoever looks leaves a
//! [mark](super::head) where he comes by, and who finds one has to look, too.
//!
//! # How far
//!
//! Those that somebody came by have *places*: who waits as part of one is before the one that he waits for. Whoever has none
//! gets one behind all others when somebody comes by, after those who wait for it. So whoever wants one that has none, or one
//! behind his own, is through: everybody is looked at once. Whoever wants one before his own looks at those between the two,
//! and if he does not come to the one he wants, they are put before it. That needs room between places.
//!
//! What is seen stays while we look: it waits for us.

use std::collections::{BinaryHeap, HashMap};
use std::ptr::NonNull;

use super::head::Head;
use super::node::Node;
use super::scope::{Outwards, Scope, Waiter};
use super::settle;
use crate::error::Error;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::task::Task;

/// Between two places that are given one after the other.
const ROOM: u64 = 1 << 20;
/// As many can be put before the first as come after it.
const FIRST: u64 = u64::MAX / 2;

/// What there is of all cycles: the last place. Who has it may start to wait although that may close a cycle.
pub(super) struct Asking {
    last: u64,
}

#[cfg(not(taskgraph_loom))]
static ASKING: Mutex<Asking> = Mutex::new(Asking { last: FIRST });
#[cfg(taskgraph_loom)]
loom::lazy_static! {
    static ref ASKING: Mutex<Asking> = Mutex::new(Asking { last: FIRST });
}

/// The place of a shared computation. It changes under the lock.
pub(super) struct Place(AtomicU64);

impl Place {
    const NONE: u64 = 0;

    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Self::NONE))
    }

    fn get(&self) -> u64 {
        // Relaxed, here and below: the lock orders them.
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, place: u64) {
        self.0.store(place, Ordering::Relaxed);
    }
}

/// While it is held nobody else starts to wait who may close a cycle.
pub(super) fn lock_asking() -> MutexGuard<'static, Asking> {
    lock(&ASKING)
}

/// How a shared computation was found: `waiting` is a part of it, and waits for `inside`, or is the asker.
struct Found {
    waiting: NonNull<Node>,
    inside: Option<NonNull<Head>>,
}

impl Asking {
    /// The tasks through which `asker`, which is part of `scope`, waits for itself if it waits for `wanted`: from itself
    /// outwards. If there are none, it may wait.
    ///
    /// # Safety
    ///
    /// The asker is the caller's, and so has not arrived; it has a handle on `wanted`.
    pub(super) unsafe fn path(
        &mut self,
        asker: NonNull<Node>,
        scope: &Scope,
        wanted: NonNull<Head>,
    ) -> Option<Vec<Task>> {
        let first = computation(scope)?;
        let mut found = HashMap::from([(first, Found { waiting: asker, inside: None })]);
        // SAFETY: the asker is a part of `first`.
        let meets = first == wanted || unsafe { self.place(first, wanted, &mut found) };
        // SAFETY: as above.
        (meets || unsafe { reorder(first, wanted, &mut found) }).then(|| told(&found, wanted))
    }

    /// Gives a place to `first` and to all outwards of it that have none; whether one of those is `wanted`.
    ///
    /// # Safety
    ///
    /// `first` has started, and not settled.
    unsafe fn place(
        &mut self,
        first: NonNull<Head>,
        wanted: NonNull<Head>,
        found: &mut HashMap<NonNull<Head>, Found>,
    ) -> bool {
        // SAFETY: the caller's promise; what waits for `first` has not settled, here and below.
        let has_place = |head| unsafe { place_of(head) } != Place::NONE;
        if has_place(first) {
            return false;
        }
        // Each with those outwards of it that are still to be looked at.
        // SAFETY: the caller's promise.
        let mut way = vec![(first, unsafe { outwards(first) })];
        while let Some((inner, outer)) = way.last_mut() {
            let inner = *inner;
            let Some((waiting, next)) = outer.pop() else {
                way.pop();
                self.last += ROOM;
                // SAFETY: as above.
                unsafe { set_place(inner, self.last) };
                continue;
            };
            if has_place(next) || found.contains_key(&next) {
                continue;
            }
            found.insert(next, Found { waiting, inside: Some(inner) });
            if next == wanted {
                return true;
            }
            // SAFETY: as above.
            way.push((next, unsafe { outwards(next) }));
        }
        false
    }
}

/// Puts `first`, and whatever outwards of it has to be, before `wanted`; unless that is one of them, which is what this tells.
///
/// # Safety
///
/// As for [`Asking::place`], which has placed all of them but `wanted`. The caller has a handle on that.
unsafe fn reorder(first: NonNull<Head>, wanted: NonNull<Head>, found: &mut HashMap<NonNull<Head>, Found>) -> bool {
    // SAFETY: the caller's promise; what waits for `first` has not settled.
    let place_of = |head| unsafe { place_of(head) };
    let before = place_of(wanted);
    if before == Place::NONE || place_of(first) < before {
        return false;
    }
    found.retain(|head, _| *head == first);
    let mut places = HashMap::from([(first, before - 1)]);
    // The last in the order first: then all whom another one waits for have been looked at before it.
    let mut to_do = BinaryHeap::from([(place_of(first), first)]);
    let mut moved = Vec::new();
    while let Some((now, inner)) = to_do.pop() {
        if inner == wanted {
            return true;
        }
        let place = places[&inner];
        if now <= place {
            continue;
        }
        moved.push((inner, place));
        // SAFETY: as above.
        for (waiting, outer) in unsafe { outwards(inner) } {
            found.entry(outer).or_insert_with(|| {
                to_do.push((place_of(outer), outer));
                Found { waiting, inside: Some(inner) }
            });
            let last = places.entry(outer).or_insert(place - 1);
            *last = (*last).min(place - 1);
        }
    }
    for (head, place) in moved {
        // SAFETY: as above.
        unsafe { set_place(head, place) };
    }
    false
}

/// # Safety
///
/// As for [`Head::place`]: the lock is held.
unsafe fn place_of(head: NonNull<Head>) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { Head::place(head) }.map_or(Place::NONE, Place::get)
}

/// # Safety
///
/// As above; somebody has come by there, who waits for it.
unsafe fn set_place(head: NonNull<Head>, place: u64) {
    // SAFETY: the caller's promise.
    unsafe { Head::place(head) }.expect("whoever comes by leaves a mark").set(place);
}

/// The shared computations that wait for this one, each with the node that does.
///
/// # Safety
///
/// It has started, and not settled.
unsafe fn outwards(inner: NonNull<Head>) -> Vec<(NonNull<Node>, NonNull<Head>)> {
    // SAFETY: the caller's promise.
    let waiting = unsafe { Head::look_at_waiting(inner) };
    let outer = |waiter: &Waiter| {
        // SAFETY: who waits does so in its scope, which is part of what has not settled.
        let scope = unsafe { waiter.scope.get().as_ref() };
        Some((waiter.consumer, computation(scope)?))
    };
    waiting.filter_map(outer).collect()
}

/// The tasks on the way to `wanted`, from the asker outwards.
fn told(found: &HashMap<NonNull<Head>, Found>, wanted: NonNull<Head>) -> Vec<Task> {
    let mut waiting = Vec::new();
    let mut next = Some(wanted);
    while let Some(found) = next.and_then(|head| found.get(&head)) {
        waiting.push(found.waiting);
        next = found.inside;
    }
    waiting.iter().rev().flat_map(|&node| settle::waiting(node)).take(Error::TRACE_LEN_MAX).collect()
}

/// The shared computation that a scope is part of.
fn computation(scope: &Scope) -> Option<NonNull<Head>> {
    let mut scope = scope;
    loop {
        match scope.outwards() {
            Outwards::Scope(outer) => scope = outer,
            Outwards::Shared(head) => return Some(head),
            Outwards::Nowhere => return None,
        }
    }
}
