//! The scheduler: who is next, how many at once, and on which thread.
//!
//! A [`worker`] is a loop that takes steps. It needs a permit of the [`gate`], a deque of the [`queues`], and a thread
//! of the [`pool`]. It comes when it is called and goes when it finds nothing; between runs there are none.
//!
//! # Why no work is overlooked
//!
//! Somebody calls a worker whenever there is work and a place for a worker, and nobody searches:
//!
//! 1. Whoever queues a node looks at the gate after that. If no place is free, every worker there may be is awake, and
//!    looks at all queues before it goes.
//! 2. Before it leaves, a worker gives its permit back, then looks at all queues once more, and comes back if there is
//!    anything.
//! 3. While a worker searches nobody is called, since it will find the node. The last that finds something calls the
//!    next one if there is more.
//!
//! 4. If no place is free and nobody searches, a node from outside sets a bit of the gate, so that those at work have it take its
//!    turn. Whoever clears the bit looks again; so does a task that has blocked and takes a place back.
//!
//! Between 1 and 2, and between 1 and 3, there is the classic race: one side writes a queue and reads the gate, the other
//! writes the gate and reads the queues, and each could miss the other. So both have a fence. There is one exception: a
//! worker that queues a node after a step while no place is free has only the [light half](crate::barrier::light) of a
//! barrier, since every node would pay for a fence; the worker that goes idle then has the [patient
//! half](crate::barrier::patient). Even if that were too short, the node would not be lost: the worker that queued it takes
//! it after its next step. (What is queued within a step has the fence: that step may never end if nobody takes it.)

mod blocking;
mod gate;
mod idle;
mod levels;
mod nap;
mod queues;
mod pause;
mod ranks;
mod pool;
mod turns;
mod watch;
mod search;
mod host;
mod worker;

use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use crate::error::Error;
use crate::graph::{self, Counts, Home, Queued};
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::sync::{Mutex, lock};
use blocking::Size;
use gate::{Gate, Permit, SentPermit};
use pause::Aside;
use pool::Pool;
use queues::{Found, Queues};
use watch::Watch;

pub(crate) use blocking::Blocking;

pub(crate) struct Scheduler {
    gate: Gate,
    queues: Queues,
    /// What waits for the end of a pause.
    aside: Aside<Found>,
    watch: Watch,
    pool: Pool,
    /// The permit of a worker that is called but has not started, with the epoch of the pool whose job it is. One at
    /// most, since it counts as searching.
    called: Mutex<Option<(SentPermit, u16)>>,
    /// How many there may be. Held while the pool changes, so that pool and gate agree on it.
    size: Mutex<Size>,
    later: CallDue,
    /// Done once anything may have to be given up when it stops although no worker comes to it.
    hears_of_stops: Once,
    /// Once tasks are counted.
    counts: OnceLock<Arc<Counts>>,
}

/// After this time a worker is called again if its call came to a thread that could not take it.
const CALL_AGAIN_AFTER: Duration = Duration::from_millis(1);

impl Scheduler {
    /// It reports a stall that has lasted for `stall_after`. Its threads have stacks of that many bytes, or of std's default.
    pub(crate) fn new(
        max_workers: usize,
        stall_after: Duration,
        stack_size: Option<usize>,
    ) -> Result<Arc<Self>, Error> {
        let home = worker::Home::default();
        let threads_home = Arc::clone(&home);
        let on_start = Arc::new(move |pool| {
            idle::begin();
            worker::set_home(Arc::clone(&threads_home), pool);
        });
        let scheduler = Arc::new(Self {
            gate: Gate::new(max_workers),
            queues: Queues::new(),
            aside: Aside::new(),
            watch: Watch::new(stall_after),
            pool: Pool::new(max_workers, stack_size, on_start)?,
            called: Mutex::new(None),
            size: Mutex::new(Size::new(max_workers)),
            later: CallDue::default(),
            hears_of_stops: Once::new(),
            counts: OnceLock::new(),
        });
        home.get_or_init(|| Arc::downgrade(&scheduler));
        Ok(scheduler)
    }

    pub(crate) fn max_workers(&self) -> usize {
        lock(&self.size).max_workers
    }

    /// How many workers take steps now.
    pub(crate) fn running(&self) -> usize {
        let state = self.gate.state();
        state.running() - state.searching()
    }

    /// Changes how many workers there may be; running steps are not disturbed.
    pub(crate) fn set_max_workers(self: &Arc<Self>, max_workers: usize) -> Result<(), Error> {
        let mut size = lock(&self.size);
        self.renew_pool(&mut size, max_workers, 0)?;
        drop(size);
        self.call_worker();
        Ok(())
    }

    /// Queues a node from outside, which has its turn before long, whatever the workers have to do.
    pub(crate) fn inject(self: &Arc<Self>, node: Queued) {
        self.queues.inject(node);
        self.call_for_queued();
    }

    /// Queues a node for whoever has nothing of its own to do.
    fn defer(self: &Arc<Self>, node: Queued) {
        self.queues.defer(node);
        self.call_for_queued();
    }

    /// Queues a node by its priority: a positive one before everything else that is ready, a negative one after it.
    pub(crate) fn rank(self: &Arc<Self>, node: Queued, priority: i32) {
        if priority < 0 {
            self.hear_of_stops();
        }
        self.queues.rank(node, priority, &self.gate);
        self.call_for_queued();
    }

    /// From now on [`look_again`](Home::look_again) is called when something stops.
    fn hear_of_stops(self: &Arc<Self>) {
        self.hears_of_stops.call_once(|| {
            let scheduler: Arc<dyn Home> = Arc::clone(self) as _;
            graph::tell_of_stops(&scheduler);
        });
    }

    /// Queues a node for whoever would go idle without it.
    fn defer_until_idle(self: &Arc<Self>, node: Queued) {
        self.queues.inject_spare(node);
        self.call_for_queued();
    }

    /// Calls a worker for what was queued, if one is wanted. If none is, and nodes from outside wait, the gate says so.
    fn call_for_queued(self: &Arc<Self>) {
        // SeqCst, pairs with the gate's: see "Why no work is overlooked".
        fence(Ordering::SeqCst);
        let state = self.gate.state();
        if state.wants_worker() {
            self.call_worker();
        } else if state.searching() == 0 && !state.has_outside() && self.queues.has_outside() {
            self.gate.set_outside(true);
        }
    }

    /// What has come from outside is taken.
    fn end_outside(&self) {
        self.gate.set_outside(false);
        // SeqCst, pairs with that in `call_for_queued`: who queued a node may have relied on what the gate said before.
        fence(Ordering::SeqCst);
        if self.queues.has_outside() {
            self.gate.set_outside(true);
        }
    }

    /// Calls a worker, if there is a place and nobody searches anyway.
    #[cold]
    fn call_worker(self: &Arc<Self>) {
        // Pool and gate agree meanwhile, so there is a thread for every permit that goes to the pool.
        self.pool.host(|| {
            let permit = self.gate.try_call().map(Permit::send)?;
            let epoch = self.gate.state().epoch();
            let before = lock(&self.called).replace((permit, epoch));
            debug_assert!(before.is_none(), "nobody is called while somebody is");
            let scheduler = Arc::clone(self);
            Some(move || {
                let Some((permit, _)) = lock(&scheduler.called).take_if(|(_, called)| *called == epoch) else { return };
                let permit = scheduler.gate.receive(permit);
                if let Err(permit) = worker::run(&scheduler, permit, epoch) {
                    drop(permit);
                    scheduler.call_worker_later();
                }
            })
        });
    }

    /// Calls again in a while: the job came to a thread inside a task, and would again if it were sent at once.
    fn call_worker_later(self: &Arc<Self>) {
        if !self.later.announce() {
            return;
        }
        let scheduler = Arc::clone(self);
        let is_started = self.pool.start_thread("taskgraph-call", move || {
            std::thread::sleep(CALL_AGAIN_AFTER);
            while scheduler.queues.holds_back_spare() && !scheduler.queues.any() {
                std::thread::sleep(10 * CALL_AGAIN_AFTER);
            }
            scheduler.later.begin();
            if scheduler.queues.any() || scheduler.aside.has_changed() {
                scheduler.call_worker();
            }
        });
        if !is_started {
            self.later.begin();
        }
    }

    /// Ends all threads, once nothing is left to do.
    pub(crate) fn end(&self) {
        // Workers that search for more would do so for a while.
        self.gate.set_max(0);
        self.watch.end();
        self.pool.end();
    }
}

/// Whether somebody will check whether a worker is to be called.
#[derive(Default)]
struct CallDue(AtomicBool);

impl CallDue {
    /// A worker is to be called later; returns whether the caller has to see to that, since nobody else does yet.
    fn announce(&self) -> bool {
        // AcqRel, pairs with that in `begin`: whoever looks for work after that finds what was queued before this.
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whoever saw to it is about to look.
    fn begin(&self) {
        // An exchange, not a store, so that it comes after each announcement that relies on it.
        self.0.swap(false, Ordering::AcqRel);
    }
}

impl Home for Scheduler {
    fn inject(self: Arc<Self>, node: Queued) {
        Scheduler::inject(&self, node);
    }

    fn look_again(self: Arc<Self>) {
        self.look_through_aside();
        self.queues.look_through_ranks();
        self.call_for_queued();
    }
}

/// Whether this thread is in a task, or in what one gave to rayon.
pub(crate) fn is_in_task() -> bool {
    worker::current().is_some() || worker::home().is_some()
}

/// Whether this thread is part of a pool of that scheduler.
pub(crate) fn is_thread_of(scheduler: &Arc<Scheduler>) -> bool {
    worker::home().is_some_and(|home| Arc::ptr_eq(&home, scheduler))
}

#[cfg(all(test, taskgraph_loom))]
mod models;
