//! Bodies that sleep inside shared computations. Any of several scopes may be the last that needs such a body, so the
//! body hears of all stops that may matter, and checks whether it is still wanted.
//!
//! Where many sleep, one call of all of them serves the stops of a while; otherwise n stops would take n² calls.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use crate::graph::scope::Home;
use crate::sync::{Mutex, MutexGuard, lock, shared_static};
use crate::weak_list::WeakList;

/// The bodies that sleep inside shared computations, which several scopes may need, and how often something there has changed.
struct AsleepInShared {
    asleep: WeakList<Alarm>,
    /// Who else wants to know.
    homes: WeakList<dyn Home>,
    changes: u64,
    /// Until when nobody is called, since many have just been called.
    calm_until: Option<Instant>,
}

impl AsleepInShared {
    const fn new() -> Self {
        Self { asleep: WeakList::new(), homes: WeakList::new(), changes: 0, calm_until: None }
    }

    /// How long to wait before the next call.
    fn calm(&self) -> Duration {
        self.calm_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Counts that scopes which waited for shared results have stopped, or handles are gone; returns those who want to know.
    fn change(&mut self) -> Vec<Arc<Alarm>> {
        self.changes += 1;
        let asleep = self.asleep.live_of_swept();
        let many = (CALLED_EACH_TIME < asleep.len()).then_some(asleep.len() as u32);
        self.calm_until = many.map(|len| Instant::now() + (MOMENT * len).min(CALM_MAX));
        asleep
    }
}

/// Whether somebody is about to call all sleepers. No model has so many.
static IS_CALL_DUE: AtomicBool = AtomicBool::new(false);

shared_static! {
    static ASLEEP_IN_SHARED: Mutex<AsleepInShared> = Mutex::new(AsleepInShared::new());
}

thread_local! {
    /// The sleepers of a thread that is a world of its own.
    static ASLEEP_HERE: RefCell<Option<AsleepInShared>> = const { RefCell::new(None) };
}

/// From now on what sleeps on this thread hears only of what stops here, so that no other thread influences the order
/// of things. [`look_around`] finds out what has happened elsewhere.
pub(crate) fn isolate_thread() {
    ASLEEP_HERE.set(Some(AsleepInShared::new()));
}

/// Calls `f` with the sleepers of this thread, if it is a world of its own.
fn with_asleep_here<R>(f: impl FnOnce(&mut AsleepInShared) -> R) -> Option<R> {
    // Handles may be dropped in a destructor at the end of their thread.
    ASLEEP_HERE.try_with(|here| here.borrow_mut().as_mut().map(f)).ok().flatten()
}

fn asleep_in_shared() -> MutexGuard<'static, AsleepInShared> {
    lock(&ASLEEP_IN_SHARED)
}

/// A scope has stopped, or a handle of a shared computation is gone: whoever sleeps for one checks whether it is still wanted.
#[cold]
pub(crate) fn look_around() {
    tell_of_change(true);
}

/// There may be many sleepers, so they only hear of what may matter to them.
pub(in crate::graph) fn tell_of_change(of_shared: bool) {
    if of_shared {
        let asleep_here = with_asleep_here(AsleepInShared::change).unwrap_or_default();
        asleep_here.iter().for_each(|alarm| alarm.ring());
        call_sleepers();
    }
    let homes = asleep_in_shared().homes.live_of_swept();
    homes.into_iter().for_each(|home| home.look_again());
}

/// Up to this many sleepers are called for each stop. If there are more, there is a moment for each between two calls.
const CALLED_EACH_TIME: usize = 256;
const MOMENT: Duration = Duration::from_micros(4);
const CALM_MAX: Duration = Duration::from_millis(100);

/// Makes all sleepers look around: now, or soon if all were called just before.
fn call_sleepers() {
    let calm = asleep_in_shared().calm();
    if calm.is_zero() {
        return call_all();
    }
    // AcqRel, pairs with itself: whoever finds that a call is due has stopped something before that call.
    if IS_CALL_DUE.swap(true, Ordering::AcqRel) {
        return;
    }
    let call = move |calm| {
        thread::sleep(calm);
        IS_CALL_DUE.swap(false, Ordering::AcqRel);
        call_all();
    };
    if thread::Builder::new().name("taskgraph-caller".into()).spawn(move || call(calm)).is_err() {
        call(Duration::ZERO);
    }
}

fn call_all() {
    let asleep = asleep_in_shared().change();
    asleep.iter().for_each(|alarm| alarm.ring());
}

/// From now on a body that sleeps inside a shared computation hears of what may matter to it.
pub(in crate::graph) fn add(alarm: &Arc<Alarm>) {
    with_asleep_here(|here| here.asleep.add(Arc::downgrade(alarm)))
        .unwrap_or_else(|| asleep_in_shared().asleep.add(Arc::downgrade(alarm)));
}

/// How often something has changed that may matter.
pub(in crate::graph) fn changes() -> u64 {
    with_asleep_here(|here| here.changes).unwrap_or_else(|| asleep_in_shared().changes)
}

/// From now on `home` is told whenever something may have stopped.
pub(crate) fn tell_of_stops(home: &Arc<dyn Home>) {
    asleep_in_shared().homes.add(Arc::downgrade(home));
}
