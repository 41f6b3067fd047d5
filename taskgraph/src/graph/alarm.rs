//! Alarms: how a body that waits for something outside of the graph is taken up again.
//!
//! ```text
//! QUEUED --its step--> AWAKE --it waits--> ASLEEP --rung: whoever did queues the pump--> QUEUED
//!                        |
//!                        +--rung--> RUNG --it waits: its own step queues the pump--> QUEUED
//! ```
//!
//! The step that polls such a body belongs to its *pump*. While that is asleep nobody has it: it comes into the hands of
//! the one that rings first. Alarms live as long as somebody has them as a waker, longer than the pump. An alarm of which
//! the pump is gone is never asleep again.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::child::Children;
use super::cx::{Cx, Queued};
use super::node::{Node, Ready};
use super::scope::Home;
use crate::sync::atomic::{AtomicU32, Ordering};

pub(super) struct Alarm {
    state: AtomicU32,
    /// It knows its scope while it is asleep.
    pump: NonNull<Node>,
    home: Arc<dyn Home>,
}

const QUEUED: u32 = 0;
const AWAKE: u32 = 1;
const RUNG: u32 = 2;
const ASLEEP: u32 = 3;

// SAFETY: the pump is only touched by the one that the state gives it to, who may be anybody.
unsafe impl Send for Alarm {}
// SAFETY: as above.
unsafe impl Sync for Alarm {}

impl Alarm {
    /// Something has changed that the body may be waiting for.
    pub(super) fn ring(&self) {
        let rung = |state| match state {
            ASLEEP => Some(QUEUED),
            AWAKE => Some(RUNG),
            // Written all the same: whoever polls next sees what has changed.
            QUEUED | RUNG => Some(state),
            _ => unreachable!("an alarm has four states"),
        };
        // AcqRel: Release hands what has changed to the step that polls; Acquire takes the pump from the one that slept.
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, rung) == Ok(ASLEEP) {
            // SAFETY: the pump was asleep with its scope, and is ours now.
            let pump = unsafe { Queued::again(Ready(self.pump)) };
            if let Err(pump) = give_to_listener(&self.home, pump) {
                Arc::clone(&self.home).inject(pump);
            }
        }
    }

    fn wake_up(&self) {
        // Acquire, pairs with the Release in `ring`.
        self.state.swap(AWAKE, Ordering::AcqRel);
    }
}

/// Unless somebody has rung meanwhile. If this gives true, the pump is not the caller's any more, and with it the alarm may
/// be gone, of which this is the state.
fn try_sleep(state: &AtomicU32) -> bool {
    // Release, pairs with the Acquire in `ring`: whoever has the pump then sees what its step did.
    let slept = state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if !slept {
        // Acquire: whoever rings once more before this has handed over something, too, and `wake_up` will see no more
        // than what comes after it.
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

/// A step that rings, and will go on with what it has woken.
enum Listener {
    Nobody,
    /// For pumps of this home.
    Listening(*const dyn Home),
    Woke(Queued),
}

/// Gives the pump of this home that `ring` wakes first on this thread: it is to go on here, at once.
pub(super) fn woken_by(home: &Arc<dyn Home>, ring: impl FnOnce()) -> Option<Queued> {
    let before = LISTENER.replace(Listener::Listening(Arc::as_ptr(home)));
    ring();
    match LISTENER.replace(before) {
        Listener::Woke(pump) => Some(pump),
        Listener::Listening(_) => None,
        Listener::Nobody => unreachable!("a listener stays until it has heard something"),
    }
}

fn give_to_listener(home: &Arc<dyn Home>, pump: Queued) -> Result<(), Queued> {
    // Whoever rings from a destructor at the end of its thread has no listener.
    let listener = LISTENER.try_with(|listener| listener.replace(Listener::Nobody)).unwrap_or(Listener::Nobody);
    let (given, listener) = match listener {
        Listener::Listening(listening) if ptr::addr_eq(listening, Arc::as_ptr(home)) => (Ok(()), Listener::Woke(pump)),
        listener => (Err(pump), listener),
    };
    let _ = LISTENER.try_with(|cell| cell.set(listener));
    given
}

/// What a pump has of its alarm, and of its body's children. It goes with the body.
pub(super) struct Sleeper {
    alarm: Arc<Alarm>,
    waker: Waker,
    /// Whether the scope and what is around it wake it when they stop.
    is_known: bool,
    /// What the scope has seen at the last look around.
    seen: Option<u64>,
    children: Children,
}

impl Sleeper {
    /// Of a pump that is about to poll its body for the first time.
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

    /// The pump's step is about to poll its body; gives the waker for that, and the body's children.
    pub(super) fn wake_up<'a>(
        this: &'a mut Option<Self>,
        pump: NonNull<Node>,
        cx: &Cx<'_>,
    ) -> (&'a Waker, &'a mut Children) {
        let sleeper = this.get_or_insert_with(|| Self::new(pump, cx));
        sleeper.alarm.wake_up();
        (&sleeper.waker, &mut sleeper.children)
    }

    /// The body waits. Gives the pump back if it is not to sleep.
    ///
    /// # Safety
    ///
    /// `this` is a part of what the pump keeps alive, and the pump is the caller's; both only until this is called.
    pub(super) unsafe fn sleep(this: *mut Self, pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
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
        // SAFETY: the alarm lives until somebody else has the pump, which is after the only look at it.
        if !try_sleep(unsafe { &(*alarm).state }) {
            // It may ring without end, so others come first.
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

    /// Two who ring, at whatever time, are both heard, with what they hand over.
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
                        // Relaxed: the ringing is all the order there is.
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
                // If nobody rings any more this waits for ever, and loom says so.
                if try_sleep(&alarm.state) {
                    queue.0.wait();
                }
            }
            ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
        });
    }
}
