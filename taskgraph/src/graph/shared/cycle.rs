//! Cycles: a shared computation that would wait for itself, and with it all who need it, for ever.
//!
//! A task cannot need what is built from it, but the body of a shared computation may get hold of a handle on that
//! computation. So a task that is part of a shared computation, and would wait for one that others wait for already,
//! looks outwards first: who waits for the computation that it is part of, who waits for those, and so on. If it comes
//! to the one it wants, it fails instead.
//!
//! # Who has to look
//!
//! Few. Each shared computation has a *number*, and whoever waits as part of one has a lower number than the one it
//! waits for. As long as that holds there is no cycle. So a task that is about to wait compares two of them, and looks
//! only if its own is not the lower one.
//!
//! A new computation gets a lower number than those that its thread made before: what is built bottom up is in order
//! from the start. A computation that starts waits for nothing yet, so the first task that wants it moves it behind its
//! own: what is built top down, each by the body of the one that needs it, is in order as well.
//!
//! # What it does
//!
//! The task looks outwards, at everything up to the number of the computation that it wants. If it does not meet that one,
//! it moves all that it has seen before it, and waits. (That is Pearce and Kelly's way to keep an order under insertions:
//! *A dynamic topological sort algorithm for directed acyclic graphs*, ACM Journal of Experimental Algorithmics 11, 2006.)
//!
//! One task looks at a time, under a lock; a task that need not look takes none. The one that looks leaves a
//! [mark](super::head) among those who wait for what it moves, before it looks at them: whoever comes to wait there
//! before that is seen, and whoever comes later finds the mark, and has to look, too. For everybody else numbers may
//! change at any time: the number of what has started only becomes lower, which keeps it before what it waits for, and
//! the number of what has not started only becomes higher, which keeps it behind those who wait for it.
//!
//! What we see stays while we look, since it waits for us.

use std::cell::Cell;
use std::collections::{BinaryHeap, HashMap};
use std::ptr::NonNull;

use super::head::Head;
use crate::error::Error;
use crate::graph::node::Node;
use crate::graph::scope::{Outwards, Scope, Waiter};
use crate::graph::settle;
use crate::sync::{Mutex, MutexGuard, lock, shared_static};
use crate::task::Task;

/// The room between two numbers, so that others can be moved there without moving more.
const ROOM: usize = 1 << 12;
/// How many numbers a thread gets at a time, to use one after the other.
const BLOCK: usize = ROOM << 10;
/// Half of all come after it, for what is moved behind others.
const FIRST: usize = 1 << (usize::BITS - 1);

/// Whoever has it may start to wait although that may close a cycle.
pub(in crate::graph) struct Search(());

shared_static! {
    static SEARCH: Mutex<Search> = Mutex::new(Search(()));
}

/// The number of a new shared computation.
#[inline(always)]
pub(in crate::graph) fn next_number() -> usize {
    thread_local! {
        static NEXT: Cell<usize> = const { Cell::new(0) };
    }
    let mut number = NEXT.get();
    if number.is_multiple_of(BLOCK) {
        number = next_block();
    }
    NEXT.set(number - ROOM);
    number
}

#[cold]
fn next_block() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BLOCKS: AtomicUsize = AtomicUsize::new(0);
    // If they are ever used up they start again: any order is right, and some are fast.
    let block = BLOCKS.fetch_add(1, Ordering::Relaxed) % (FIRST / BLOCK / 2);
    FIRST - block * BLOCK - ROOM
}

/// While this is held, nobody else who may close a cycle starts to wait.
pub(in crate::graph) fn lock_search() -> MutexGuard<'static, Search> {
    lock(&SEARCH)
}

/// Whether waiting for `wanted` as part of `scope` keeps the order.
///
/// # Safety
///
/// The caller is part of `scope`, and has a handle on `wanted`.
#[inline(always)]
pub(super) unsafe fn is_in_order(scope: &Scope, wanted: NonNull<Head>) -> bool {
    // SAFETY: the caller is a part of `first`, which therefore has not settled; its handle keeps `wanted`.
    computation(scope).is_none_or(|first| unsafe { Head::number(first) < Head::number(wanted) })
}

/// Moves `wanted`, which has not started, behind the computation of `scope`, a part of which is the first to want it.
///
/// # Safety
///
/// As for `is_in_order`, and `wanted` is the caller's to start.
#[inline(always)]
pub(in crate::graph) unsafe fn put_in_order(scope: &Scope, wanted: NonNull<Head>) {
    // SAFETY: as in `is_in_order`.
    unsafe {
        // Read once: this number may become lower meanwhile, but that of `wanted`, which others have compared with, must not.
        if let Some(first) = computation(scope).map(|first| Head::number(first))
            && Head::number(wanted) <= first
        {
            Head::set_number(wanted, first.saturating_add(ROOM));
        }
    }
}

/// How a shared computation was found: `waiting` is a part of it, and waits for `inside`, or is the asker.
struct Found {
    waiting: NonNull<Node>,
    inside: Option<NonNull<Head>>,
}

impl Search {
    /// The tasks through which `asker`, which is part of `scope`, would wait for itself if it waited for `wanted`: from
    /// itself outwards. If there are none, it may wait.
    ///
    /// # Safety
    ///
    /// The asker is the caller's, and so has not arrived; it has a handle on `wanted`.
    pub(in crate::graph) unsafe fn path(
        &mut self,
        asker: NonNull<Node>,
        scope: &Scope,
        wanted: NonNull<Head>,
    ) -> Option<Vec<Task>> {
        let first = computation(scope)?;
        let mut found = HashMap::from([(first, Found { waiting: asker, inside: None })]);
        // SAFETY: the asker is a part of `first`; what was found on the way waits for it, and we have the lock.
        unsafe {
            let meets = first == wanted || reorder(first, wanted, &mut found);
            meets.then(|| told(&found, wanted))
        }
    }
}

/// Puts `first`, and whatever outwards of it has to be, before `wanted`; returns true instead if `wanted` is one of them.
///
/// # Safety
///
/// `first` has started, and not settled; the caller has a handle on `wanted`, and the lock.
unsafe fn reorder(first: NonNull<Head>, wanted: NonNull<Head>, found: &mut HashMap<NonNull<Head>, Found>) -> bool {
    // SAFETY: the caller has a handle on `wanted`; what waits for `first`, which has not settled, has not either.
    let number_of = |head| unsafe { Head::number(head) };
    let before = number_of(wanted);
    if number_of(first) < before {
        return false;
    }
    let mut numbers = HashMap::from([(first, before.saturating_sub(1))]);
    // The highest number first: then all that a computation waits for have been looked at before it.
    let mut to_do = BinaryHeap::from([(number_of(first), first)]);
    let mut moved = Vec::new();
    while let Some((now, inner)) = to_do.pop() {
        if inner == wanted {
            return true;
        }
        let number = numbers[&inner];
        if now <= number {
            continue;
        }
        moved.push((inner, number));
        // SAFETY: `inner` is `first` or waits for it, so it has started and not settled.
        for (waiting, outer) in unsafe { outwards(inner) } {
            found.entry(outer).or_insert_with(|| {
                to_do.push((number_of(outer), outer));
                Found { waiting, inside: Some(inner) }
            });
            let last = numbers.entry(outer).or_insert(number.saturating_sub(1));
            *last = (*last).min(number.saturating_sub(1));
        }
    }
    for (head, number) in moved {
        // SAFETY: as above, of each that is moved.
        unsafe { Head::set_number(head, number) };
    }
    false
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
        // SAFETY: whoever waits does so in its scope, which is part of what has not settled.
        let scope = unsafe { waiter.scope().as_ref() };
        Some((waiter.consumer, computation(scope)?))
    };
    waiting.filter_map(outer).collect()
}

/// The tasks on the way to `wanted`, from the asker outwards.
///
/// # Safety
///
/// What was `found` waits, and the caller has the lock.
unsafe fn told(found: &HashMap<NonNull<Head>, Found>, wanted: NonNull<Head>) -> Vec<Task> {
    let mut waiting = Vec::new();
    let mut next = Some(wanted);
    while let Some(found) = next.and_then(|head| found.get(&head)) {
        waiting.push(found.waiting);
        next = found.inside;
    }
    // SAFETY: the caller's promise.
    let waiting = waiting.iter().rev().flat_map(|&node| unsafe { settle::waiting(node) });
    waiting.take(Error::TRACE_LEN_MAX).collect()
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
