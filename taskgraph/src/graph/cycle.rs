//! Cycles: a shared computation that would wait for itself, and with it all who need it, for ever.
//!
//! A task cannot need what is built from it, but the body of a shared computation may get hold of a handle on itself. So
//! whoever is part of a shared computation, and would wait for one that others wait for already, first looks outwards: who
//! waits for what he is part of, who waits for that, and so on. If he comes to the one he wants, he fails instead.
//!
//! Looking and starting to wait happen under one lock, so of those that close a cycle together the last one sees all the
//! others. The lock is for few, for a computation that has not started wants nothing itself, and nobody closes a cycle by
//! waiting for it. That somebody starts to wait there, without the lock, just when it does start, is found out by a mark:
//! who looks leaves it where he comes by.
//!
//! What is seen stays while we look: it waits for us.

use std::collections::HashMap;
use std::ptr::NonNull;

use super::node::{Destination, Node};
use super::scope::{Outwards, Scope};
use super::settle;
use super::shared::Head;
use crate::error::Error;
use crate::sync::{Mutex, MutexGuard, lock};
use crate::task::Task;

#[cfg(not(taskgraph_loom))]
static ASKING: Mutex<()> = Mutex::new(());
#[cfg(taskgraph_loom)]
loom::lazy_static! {
    static ref ASKING: Mutex<()> = Mutex::new(());
}

/// So many shared computations are looked at, the nearest first: a cycle that somebody has written by mistake is short. Some
/// hundred microseconds.
const LOOKS_MAX: usize = 4096;

/// While it is held nobody else starts to wait who may close a cycle.
pub(super) fn lock_asking() -> MutexGuard<'static, ()> {
    lock(&ASKING)
}

/// The tasks through which `asker`, which is part of `scope`, waits for itself if it waits for `wanted`: from itself outwards.
///
/// # Safety
///
/// The asker is the caller's, and so has not arrived.
#[cold]
pub(super) unsafe fn path(asker: NonNull<Node>, scope: &Scope, wanted: NonNull<Head>) -> Option<Vec<Task>> {
    // Each shared computation that was found: who waits for it, as part of which other one.
    let mut found: HashMap<*const Head, Step> = HashMap::new();
    let first = computation(scope)?;
    found.insert(first.as_ptr(), Step { waiting: asker, inside: None });
    let mut to_do = vec![first];
    let mut looked_at = 0;
    while looked_at < to_do.len().min(LOOKS_MAX) && !found.contains_key(&wanted.as_ptr().cast_const()) {
        let inner = to_do[looked_at];
        looked_at += 1;
        // SAFETY: it waits for the asker, so it has started, and has not settled.
        for waiter in unsafe { Head::look_at_waiting(inner) } {
            // SAFETY: who waits does so in its scope.
            let Some(outer) = computation(unsafe { waiter.scope.get().as_ref() }) else { continue };
            found.entry(outer.as_ptr()).or_insert_with(|| {
                to_do.push(outer);
                Step { waiting: waiter.consumer, inside: Some(inner) }
            });
        }
    }
    let mut waiting = Vec::new();
    let mut next = Some(wanted);
    while let Some(step) = next.and_then(|head| found.get(&head.as_ptr().cast_const())) {
        waiting.push(step.waiting);
        next = step.inside;
    }
    if waiting.is_empty() {
        return None;
    }
    let tasks = waiting.iter().rev().flat_map(|&node| settle::needed_by(Destination::signal(node)));
    Some(tasks.take(Error::TRACE_LEN_MAX).collect())
}

/// How a shared computation was found: `waiting` is a part of it, and waits for `inside`, or is the asker.
struct Step {
    waiting: NonNull<Node>,
    inside: Option<NonNull<Head>>,
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
