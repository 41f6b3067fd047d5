//! For tests of programs that use this library: runs in an order that is drawn from a seed.
//!
//! ```
//! use taskgraph::{DC, testing};
//!
//! let sum = DC::new(|| 20u32, ()) + DC::new(|| 22u32, ());
//! assert_eq!(testing::run_seeded(sum, 7)?, 42); // the seed decides which side runs first
//! # Ok::<(), taskgraph::Error>(())
//! ```

// A simulated run takes the place of scheduler and reactor: it is a `Host` that keeps all ready nodes in one heap and
// takes any of them next, and a `Reactor` whose clock only moves when nothing else does.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;
use tokio::{task, time};

use crate::error::Error;
use crate::graph::{self, Cx, DC, Ending, Home, Host, Queued, Reactor, Scope, Seat, Surroundings};
use crate::limit::Limits;
use crate::mailbox::Mailbox;
use crate::sync::{Mutex, lock};

/// If nothing has happened when the clock has been set forward by this much, nothing will.
const STALLED_AFTER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// After this many steps, what tasks have spawned in tokio has its turn, even if there are more steps to take.
const STEPS_IN_A_ROW: u32 = 64;
/// The largest `max_workers` that a run may see.
const WORKERS_MAX: u64 = 8;

/// Runs a computation on one thread, in an order that is drawn from `seed`, with virtual time: tokio's timers go off in
/// order, without any real waiting.
///
/// A test can try a thousand orders in a second. One that fails does so again with the same seed, exactly, as long as the
/// tasks themselves do the same each time. Tasks that ask another thread, a socket, or the system's clock may not, nor does
/// `tokio::select!` without `biased;`.
///
/// The next step is drawn from those that are ready and have the highest [priority](DC::priority).
///
/// Limits apply to this run alone; a named limit is 1.
///
/// Time only passes when nothing else is left to do, and never while a body runs. So a body that checks a timer again and
/// again, with `yield_now` in between, never sees it go off; a body that awaits it does. A body that loops until
/// [`is_cancelled`](crate::is_cancelled) does not end by a timeout.
///
/// # Errors
///
/// The first failure of the run; or an error if it cannot go on, since everything left is waiting, and not for a timer.
///
/// ```
/// use std::time::Duration;
/// use taskgraph::{delayed, testing};
///
/// #[delayed]
/// async fn slow(x: u64) -> u64 {
///     tokio::time::sleep(Duration::from_secs(3600)).await;
///     x
/// }
///
/// for seed in 0..1_000 {
///     let sum = taskgraph::all((0..10).map(slow)).map(|all| all.iter().sum::<u64>());
///     assert_eq!(testing::run_seeded(sum, seed)?, 45, "with the seed {seed}");
/// }
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn run_seeded<T: Send + 'static>(delayed: DC<T>, seed: u64) -> Result<T, Error> {
    // The caller may be inside tokio, where no other runtime can be driven.
    thread::scope(|scope| {
        let simulated = thread::Builder::new().name("taskgraph-simulated".into());
        let simulated = simulated.spawn_scoped(scope, || {
            graph::isolate_thread();
            // How long to wait between tries is drawn from it, too.
            fastrand::seed(seed);
            Simulation::new(seed)?.run(delayed)
        });
        match simulated
            .map_err(|error| Error::setting(format!("cannot start the thread of a simulated run: {error}")))?
            .join()
        {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// One run, and the thread it runs on.
struct Simulation {
    tokio: Runtime,
    station: Arc<Station>,
    random: RefCell<Random>,
    max_workers: usize,
}

/// What the futures of the run know about it.
struct Station {
    /// By priority; without one it is 0.
    ready: Mutex<BTreeMap<i32, Vec<Queued>>>,
    has_more: Notify,
    tokio: Handle,
    limits: Arc<Limits>,
}

struct Outcome<T> {
    scope: Scope,
    result: Mailbox<Result<T, Error>>,
}

impl Simulation {
    fn new(seed: u64) -> Result<Self, Error> {
        let tokio = Builder::new_current_thread().enable_all().start_paused(true).build();
        let tokio = tokio.map_err(|error| Error::setting(format!("cannot start a tokio runtime: {error}")))?;
        let station = Station {
            ready: Mutex::default(),
            has_more: Notify::new(),
            tokio: tokio.handle().clone(),
            // A turn that is held elsewhere would not be given back in the time of this run.
            limits: Arc::new(Limits::isolated()),
        };
        let mut random = Random(seed);
        let max_workers = 1 + random.below(WORKERS_MAX) as usize;
        Ok(Self { tokio, station: Arc::new(station), random: RefCell::new(random), max_workers })
    }

    fn run<T: Send + 'static>(&self, delayed: DC<T>) -> Result<T, Error> {
        let (home, reactor) = (Arc::clone(&self.station) as _, Arc::clone(&self.station) as _);
        let scope = Scope::of_run(Surroundings { home, reactor });
        let outcome = Arc::new(Outcome { scope, result: Mailbox::new() });
        self.station.queue(graph::root(delayed, Arc::clone(&outcome)));
        let seat = Seat::new();
        let mut cx = Cx::new(self, &seat);
        let mut has_looked = false;
        let mut steps: u32 = 0;
        while outcome.result.is_empty() {
            match self.draw() {
                Some((queued, priority)) => {
                    let ready = cx.take(queued);
                    let mut next = cx.step(ready);
                    if priority != 0 {
                        // This step has only started the graph that the node holds; the next one belongs to it.
                        self.publish(&mut cx);
                        next = next.and_then(|started| cx.step(started));
                    }
                    let next = next.map(|next| cx.put_back(next));
                    self.publish(&mut cx);
                    next.into_iter().for_each(|next| self.station.queue(next));
                    cx.rest();
                    steps = steps.wrapping_add(1);
                    if steps.is_multiple_of(STEPS_IN_A_ROW) {
                        self.tokio.block_on(task::yield_now());
                    }
                }
                None if self.wait() => has_looked &= !self.station.has_ready(),
                // What is waited for here may have ended on another thread.
                None if !has_looked => {
                    graph::look_around();
                    has_looked = true;
                }
                None => {
                    // What waits is given up, which is the only thing that it can still do.
                    outcome.scope.fail(Error::stalled);
                }
            }
        }
        outcome.result.take()
    }

    /// Any of those that are ready and have the highest priority.
    fn draw(&self) -> Option<(Queued, i32)> {
        let mut ready = lock(&self.station.ready);
        let (&priority, ready) = ready.iter_mut().rfind(|(_, ready)| !ready.is_empty())?;
        Some((ready.swap_remove(self.random.borrow_mut().below(ready.len() as u64) as usize), priority))
    }

    /// Drives tokio until something is ready; false if nothing will be.
    fn wait(&self) -> bool {
        let has_more = async {
            // First what others have spawned there, which needs no time.
            task::yield_now().await;
            time::timeout(STALLED_AFTER, self.station.has_more.notified()).await.is_ok()
        };
        self.tokio.block_on(has_more) || self.station.has_ready()
    }
}

impl Host for Simulation {
    fn publish(&self, cx: &mut Cx<'_>) {
        cx.drain_ready(|node| self.station.queue(node));
    }

    fn inject(&self, node: Queued) {
        self.station.queue(node);
    }

    fn defer(&self, node: Queued) {
        self.station.queue(node);
    }

    fn defer_until_idle(&self, node: Queued) {
        self.defer(node);
    }

    fn defer_ranked(&self, node: Queued, priority: i32) {
        self.station.rank(node, priority);
    }

    fn max_workers(&self) -> usize {
        self.max_workers
    }

    fn is_home(&self, home: &Arc<dyn Home>) -> bool {
        ptr::addr_eq(Arc::as_ptr(&self.station), Arc::as_ptr(home))
    }

    fn now(&self) -> Instant {
        let _entered = self.tokio.enter();
        time::Instant::now().into_std()
    }
}

impl Station {
    fn queue(&self, node: Queued) {
        let priority = node.take_rank().unwrap_or_default();
        self.rank(node, priority);
    }

    fn rank(&self, node: Queued, priority: i32) {
        lock(&self.ready).entry(priority).or_default().push(node);
    }

    fn has_ready(&self) -> bool {
        lock(&self.ready).values().any(|ready| !ready.is_empty())
    }
}

impl Home for Station {
    fn inject(self: Arc<Self>, node: Queued) {
        self.queue(node);
        self.has_more.notify_one();
    }
}

impl Reactor for Station {
    fn enter(&self, poll: &mut dyn FnMut()) {
        let _entered = self.tokio.enter();
        poll();
    }

    fn common(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.limits) as _
    }
}

impl<T: Send + 'static> Ending<T> for Outcome<T> {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn settle(&self, result: Result<T, Error>) {
        self.result.put(result);
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): written out, so that a seed means the same in every version.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
