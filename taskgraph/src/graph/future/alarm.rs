//! Alarms: how a body that waits for something outside the graph is resumed.
//!
//! ```text
//! QUEUED --its step--> AWAKE --it waits--> ASLEEP --rung: whoever rang queues the pump--> QUEUED
//!                        |
//!                        +--rung--> RUNG --it waits: its own step queues the pump--> QUEUED
//! ```
//!
//! The step that polls such a body belongs to its *pump*. While the pump is asleep nobody owns it; whoever rings first
//! gets it. An alarm lives as long as somebody has it as a waker, which may be longer than its pump. Once the pump is
//! gone its alarm is never asleep again.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::child::Children;
use crate::graph::cx::{Cx, Queued};
use crate::graph::node::{Node, Ready};
use crate::graph::scope::Home;
use crate::sync::atomic::{AtomicU32, Ordering};

pub(in crate::graph) struct Alarm {
    state: AtomicU32,
    /// It knows its scope while it is asleep.
    pump: NonNull<Node>,
    home: Arc<dyn Home>,
}

const QUEUED: u32 = 0;
const AWAKE: u32 = 1;
const RUNG: u32 = 2;
const ASLEEP: u32 = 3;

// SAFETY: the pump is only touched by whoever the state gives it to, on any thread.
unsafe impl Send for Alarm {}
// SAFETY: as above.
unsafe impl Sync for Alarm {}

impl Alarm {
    /// Something has changed that the body may be waiting for.
    pub(in crate::graph) fn ring(&self) {
        let rung = |state| match state {
            ASLEEP => Some(QUEUED),
            AWAKE => Some(RUNG),
            // Written all the same, so that whoever polls next sees what has changed.
            QUEUED | RUNG => Some(state),
            _ => unreachable!("an alarm has four states"),
        };
        // AcqRel: Release hands what has changed to the step that polls; Acquire takes the pump from the step that slept.
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, rung) == Ok(ASLEEP) {
            // SAFETY: the pump was asleep with its scope, and is ours now.
            let pump = unsafe { Queued::again(Ready(self.pump)) };
            if let Err(pump) = give_to_listener(&self.home, pump) {
                Arc::clone(&self.home).inject(pump);
            }
        }
    }

    fn wake_up(&self) {
        // AcqRel: Acquire pairs with the Release in `ring`, Release with the Acquire there.
        self.state.swap(AWAKE, Ordering::AcqRel);
    }
}

/// Goes to sleep, unless somebody has rung meanwhile. If this returns true, the pump is no longer the caller's, and the
/// alarm whose state this is may be gone with it.
fn try_sleep(state: &AtomicU32) -> bool {
    // AcqRel: Release pairs with the Acquire in `ring`, so whoever gets the pump sees what its step did; Acquire pairs
    // with the Release there.
    let slept = state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if !slept {
        // Acquire: a ring that comes between the two has handed over something, too, and `wake_up` will only see what
        // comes after this.
        state.swap(QUEUED, Ordering::Acquire);
    }
    slept
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

thread_local! {
    static LISTENER: Cell<Listener> = const { Cell::new(Listener::Nobody) };
}

/// A step that rings, and goes on with what it wakes.
enum Listener {
    Nobody,
    /// For pumps of this home.
    Listening(*const dyn Home),
    Woke(Queued),
}

/// Returns the first pump of this home that `ring` wakes on this thread, to go on here at once.
pub(in crate::graph) fn woken_by(home: &Arc<dyn Home>, ring: impl FnOnce()) -> Option<Queued> {
    let before = LISTENER.replace(Listener::Listening(Arc::as_ptr(home)));
    ring();
    match LISTENER.replace(before) {
        Listener::Woke(pump) => Some(pump),
        Listener::Listening(_) | Listener::Nobody => None,
    }
}

/// This thread is about to block, perhaps for what it has woken: that goes to another worker.
pub(crate) fn release_woken() {
    if let Listener::Woke(pump) = LISTENER.replace(Listener::Nobody) {
        pump.home().inject(pump);
    }
}

fn give_to_listener(home: &Arc<dyn Home>, pump: Queued) -> Result<(), Queued> {
    // A thread that rings from a destructor at its end has no listener.
    let listener = LISTENER.try_with(|listener| listener.replace(Listener::Nobody)).unwrap_or(Listener::Nobody);
    let (given, listener) = match listener {
        Listener::Listening(listening) if ptr::addr_eq(listening, Arc::as_ptr(home)) => (Ok(()), Listener::Woke(pump)),
        listener => (Err(pump), listener),
    };
    let _ = LISTENER.try_with(|cell| cell.set(listener));
    given
}

/// A pump's hold on its alarm, and its body's children. Dropped with the body.
pub(in crate::graph) struct Sleeper {
    alarm: Arc<Alarm>,
    waker: Waker,
    /// Whether its scope, and those around it, will wake it when they stop.
    is_known: bool,
    /// What the scope saw when it last looked around.
    seen: Option<u64>,
    children: Children,
}

impl Sleeper {
    /// For a pump that is about to poll its body for the first time.
    fn new(pump: NonNull<Node>, cx: &Cx<'_>) -> Self {
        let home = Arc::clone(cx.scope().home());
        let alarm = Arc::new(Alarm { state: AtomicU32::new(QUEUED), pump, home });
        Self {
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            is_known: false,
            seen: None,
            children: Children::default(),
        }
    }

    /// The pump's step is about to poll its body; returns the waker for that, and the body's children.
    pub(in crate::graph) fn wake_up<'a>(
        this: &'a mut Option<Self>,
        pump: NonNull<Node>,
        cx: &Cx<'_>,
    ) -> (&'a Waker, &'a mut Children) {
        let sleeper = this.get_or_insert_with(|| Self::new(pump, cx));
        sleeper.alarm.wake_up();
        (&sleeper.waker, &mut sleeper.children)
    }

    /// The body waits. Returns the pump if it is not to sleep.
    ///
    /// # Safety
    ///
    /// `this` is part of what the pump keeps alive, and the pump is the caller's; neither may be relied on after this.
    pub(in crate::graph) unsafe fn sleep(this: *mut Self, pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the pump is still ours.
        let alarm = unsafe {
            if !(*this).is_known {
                cx.scope().wake_when_stopped(&(*this).alarm);
                (*this).is_known = true;
            }
            Arc::as_ptr(&(*this).alarm)
        };
        // SAFETY: as above.
        if cx.scope().stop_if_unwanted(unsafe { &mut (*this).seen }) {
            return Some(Ready(pump));
        }
        // Whoever rings does not know the scope.
        let queued = Queued::new(Ready(pump), cx.scope_ptr());
        // SAFETY: the alarm lives until somebody else has the pump, and is not looked at after that.
        if !try_sleep(unsafe { &(*alarm).state }) {
            // The body may be rung without end, so others come first.
            cx.host.inject(queued);
        }
        None
    }
}

#[cfg(all(test, taskgraph_loom))]
mod models {
    use loom::sync::Notify;
    use loom::sync::atomic::AtomicBool;
    use loom::thread;

    use super::*;

    /// Hears of the pump when it is queued.
    struct Queue(Notify);

    impl Home for Queue {
        fn inject(self: Arc<Self>, _: Queued) {
            self.0.notify();
        }
    }

    /// Two that ring, at whatever time, are both heard, with what they hand over.
    #[test]
    fn a_body_hears_all_who_ring() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let queue = Arc::new(Queue(Notify::new()));
            let home: Arc<dyn Home> = Arc::clone(&queue) as _;
            let alarm = Alarm { state: AtomicU32::new(QUEUED), pump: NonNull::dangling(), home };
            let alarm = Arc::new(alarm);
            let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
            let ringers: Vec<_> = (0..2)
                .map(|i| {
                    let (alarm, flags) = (Arc::clone(&alarm), Arc::clone(&flags));
                    thread::spawn(move || {
                        // Relaxed: only the ringing orders this.
                        flags[i].store(true, Ordering::Relaxed);
                        alarm.ring();
                    })
                })
                .collect();
            loop {
                alarm.wake_up();
                if flags.iter().all(|flag| flag.load(Ordering::Relaxed)) {
                    break;
                }
                // If nobody rings any more this waits for ever, and loom reports it.
                if try_sleep(&alarm.state) {
                    queue.0.wait();
                }
            }
            ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
        });
    }
}
