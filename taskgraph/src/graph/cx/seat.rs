//! A seat: where a worker notes which body it is about to run, for whoever watches.
//!
//! The notes are two separate words: whoever reads while they change may see the name of one body with the place of
//! another. They order nothing but the counts of what has ended, and are the standard library's own atomics, which no model
//! watches.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use super::counts::{Counter, Counts, Ended};
use crate::graph::call::Task;
use crate::progress::Function;
use crate::task;

/// On a cache line of its own, and not on one that is fetched along with another.
#[repr(align(128))]
pub(crate) struct Seat {
    name: AtomicPtr<Name>,
    origin: AtomicPtr<Location<'static>>,
    /// The last ping that its worker has heard of.
    heard: AtomicU8,
    presence: AtomicU8,
    /// Once tasks are counted.
    counter: OnceLock<Counter>,
}

/// How the tasks of a type are named.
pub(in crate::graph) struct Name {
    name: fn() -> &'static str,
    label: Option<&'static str>,
    place: Option<&'static Location<'static>>,
    is_counted: bool,
}

struct Named<N>(PhantomData<N>);

impl<N: Task> Named<N> {
    const NAME: &'static Name = &Name { name: N::name, label: N::LABEL, place: N::PLACE, is_counted: N::IS_COUNTED };
}

impl Name {
    pub(in crate::graph) fn of<N: Task>() -> &'static Self {
        Named::<N>::NAME
    }

    /// That of a task which was called there.
    pub(in crate::graph) fn task(&self, origin: &'static Location<'static>) -> task::Task {
        let origin = self.place.filter(|_| task::Task::is_nowhere(origin)).unwrap_or(origin);
        task::Task { name: Cow::Borrowed((self.name)()), label: self.label.map(Cow::Borrowed), origin }
    }

    #[cfg(test)]
    pub(super) fn of_test(name: fn() -> &'static str) -> Self {
        Self { name, label: None, place: None, is_counted: true }
    }

    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    pub(super) fn function(&self) -> Function {
        Function { name: (self.name)(), label: self.label, place: self.place }
    }
}

/// Nobody works there.
const EMPTY: u8 = 0;
const TAKEN: u8 = 1;
/// The body waits, and another worker has its place.
const WAITING: u8 = 2;

impl Seat {
    pub(crate) const fn new() -> Self {
        Self {
            name: AtomicPtr::new(ptr::null_mut()),
            origin: AtomicPtr::new(ptr::null_mut()),
            heard: AtomicU8::new(0),
            presence: AtomicU8::new(EMPTY),
            counter: OnceLock::new(),
        }
    }

    /// A number for the worker, different from those of most others, and from what a node has that nobody has brought anything.
    #[inline(always)]
    pub(in crate::graph) fn bearer(&self) -> u32 {
        const BITS: u32 = 24;
        let place = ptr::from_ref(self).addr() / align_of::<Self>();
        1 << BITS | place as u32 & ((1 << BITS) - 1)
    }

    /// A worker is about to run the body of a task.
    #[inline(always)]
    pub(in crate::graph) fn note<N: Task>(&self, origin: &'static Location<'static>) {
        // Release, as in `clear`.
        self.name.store(ptr::from_ref(Name::of::<N>()).cast_mut(), Ordering::Release);
        self.origin.store(ptr::from_ref(origin).cast_mut(), Ordering::Relaxed);
    }

    /// A task has failed: it is not counted as done after this step.
    pub(in crate::graph) fn count_failed<N: Task>(&self) {
        if let Some(counter) = self.counter.get() {
            counter.count(Name::of::<N>(), Ended::Badly);
            self.clear();
        }
    }

    /// The step has ended, and so has the task whose body is still noted.
    pub(crate) fn count_done(&self) {
        if let (Some(name), Some(counter)) = (self.noted(), self.counter.get()) {
            counter.count(name, Ended::Well);
            self.clear();
        }
    }

    /// Whether tasks are counted.
    pub(crate) fn counts(&self) -> bool {
        self.counter.get().is_some()
    }

    /// Tasks are counted from now on.
    pub(crate) fn count_in(&self, counts: &Arc<Counts>) {
        self.counter.get_or_init(|| Counter::new(counts));
    }

    /// A worker takes the seat. It runs no body, and has heard of this ping.
    pub(crate) fn take(&self, ping: u8) {
        self.heard.store(ping, Ordering::Relaxed);
        self.set_presence(TAKEN);
    }

    /// Its worker has ended a step since this ping.
    pub(crate) fn hear(&self, ping: u8) {
        self.heard.store(ping, Ordering::Relaxed);
    }

    /// Its worker is in no body any more.
    pub(crate) fn clear(&self) {
        // Release, pairs with the Acquire of whoever looks who runs, and then at the counts: a task that is not noted any more
        // was counted before.
        self.name.store(ptr::null_mut(), Ordering::Release);
    }

    pub(crate) fn leave(&self) {
        self.clear();
        self.set_presence(EMPTY);
    }

    /// The body waits in a call of ours, and another worker has its place; or it goes on.
    pub(crate) fn set_waiting(&self, is_waiting: bool) {
        self.set_presence(if is_waiting { WAITING } else { TAKEN });
    }

    fn set_presence(&self, presence: u8) {
        // Release, as in `clear`.
        self.presence.store(presence, Ordering::Release);
    }

    /// Whether somebody works there who has heard nothing since this ping.
    pub(crate) fn is_silent_since(&self, ping: u8) -> bool {
        self.presence.load(Ordering::Relaxed) == TAKEN && self.heard.load(Ordering::Relaxed) != ping
    }

    /// Whether this was the last ping that somebody has heard of who works there.
    pub(crate) fn has_heard(&self, ping: u8) -> bool {
        self.presence.load(Ordering::Relaxed) == TAKEN && self.heard.load(Ordering::Relaxed) == ping
    }

    /// The task whose body runs there, or ran last.
    pub(crate) fn task(&self) -> Option<task::Task> {
        let name = self.name()?;
        // SAFETY: what is noted lives for ever.
        let origin = unsafe { self.origin.load(Ordering::Relaxed).as_ref() }?;
        Some(name.task(origin))
    }

    /// Its function, if its tasks are counted.
    pub(crate) fn function(&self) -> Option<Function> {
        self.name().filter(|name| name.is_counted()).map(Name::function)
    }

    /// What is noted, if somebody works there.
    fn name(&self) -> Option<&'static Name> {
        // Acquire, here and below: see `clear`.
        if self.presence.load(Ordering::Acquire) == TAKEN { self.noted() } else { None }
    }

    fn noted(&self) -> Option<&'static Name> {
        // SAFETY: what is noted lives for ever.
        unsafe { self.name.load(Ordering::Acquire).as_ref() }
    }
}
