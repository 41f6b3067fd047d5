//! What loom checks of the graph: that results, failures and shared results arrive once, and whole.
//!
//! The values are cells that loom watches: it is an error to read one without a hand-over from its writer.

mod cycles;
mod deques;
mod stops;

use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, IntoFuture};
use std::sync::OnceLock;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

use super::call::{Fallible, Task, Value};
use super::cx::seat::Seat;
use super::cx::{Cx, Host, Queued};
use super::delayed::DC;
use super::future::{future, sent};
use super::generator::body::Unmarked;
use super::generator::desk::Yielder;
use super::generator::generate;
use super::generator::window::{FIRST_SLICE_LEN, Window};
use super::launch::root::{Ending, root};
use super::scope::{Home, Reactor, Scope, Surroundings};
use crate::error::Error;
use crate::mailbox::Mailbox;

/// A value that two threads must not touch at once, or without a hand-over between; it counts those that are alive.
struct Watched {
    value: UnsafeCell<u32>,
    alive: Arc<AtomicUsize>,
}

impl Watched {
    fn new(value: u32, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { value: UnsafeCell::new(value), alive: Arc::clone(alive) }
    }

    fn get(&self) -> u32 {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.value.with(|value| unsafe { *value })
    }
}

// SAFETY: as for a `u32`; loom checks it.
unsafe impl Send for Watched {}
// SAFETY: nobody writes after the construction; loom checks it.
unsafe impl Sync for Watched {}

impl Clone for Watched {
    fn clone(&self) -> Self {
        Self::new(self.get(), &self.alive)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A write: it must come after every use.
        // SAFETY: loom checks that.
        self.value.with_mut(|value| unsafe { *value = 0 });
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Outcome {
    scope: Scope,
    result: Mutex<Option<Result<u32, Error>>>,
}

impl Ending<u32> for Outcome {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn settle(&self, result: Result<u32, Error>) {
        assert!(self.result.lock().unwrap().replace(result).is_none(), "a run settles once");
    }
}

/// Ready nodes for the threads of a model.
#[derive(Default)]
struct Ready(Mutex<VecDeque<Queued>>);

impl Home for Ready {
    fn inject(self: std::sync::Arc<Self>, node: Queued) {
        self.0.lock().unwrap().push_back(node);
    }
}

impl Reactor for Ready {
    fn enter(&self, poll: &mut dyn FnMut()) {
        poll();
    }

    fn common(&self) -> std::sync::Arc<dyn Any + Send + Sync> {
        std::sync::Arc::new(())
    }
}

struct Worker<'a>(&'a Ready);

impl Host for Worker<'_> {
    fn publish(&self, cx: &mut Cx<'_>) {
        cx.drain_ready(|node| self.0.0.lock().unwrap().push_back(node));
    }

    fn inject(&self, node: Queued) {
        self.defer(node);
    }

    fn defer(&self, node: Queued) {
        self.0.0.lock().unwrap().push_back(node);
    }

    fn max_workers(&self) -> usize {
        2
    }

    fn defer_until_idle(&self, node: Queued) {
        self.defer(node);
    }

    fn defer_ranked(&self, node: Queued, _: i32) {
        self.defer(node);
    }

    fn is_home(&self, _: &std::sync::Arc<dyn Home>) -> bool {
        true
    }

    fn now(&self) -> Instant {
        // Time stands still, or a model would not repeat.
        static NOW: OnceLock<Instant> = OnceLock::new();
        *NOW.get_or_init(Instant::now)
    }
}

/// Starts a run, and queues what its root makes ready.
fn start(graph: DC<u32>, ready: &std::sync::Arc<Ready>) -> std::sync::Arc<Outcome> {
    let outcome = std::sync::Arc::new(Outcome {
        scope: Scope::of_run(Surroundings { home: ready.clone(), reactor: ready.clone() }),
        result: Mutex::new(None),
    });
    let worker = Worker(ready);
    let seat = Seat::new();
    let mut cx = Cx::new(&worker, &seat);
    let start = cx.take(root(graph, std::sync::Arc::clone(&outcome)));
    if let Some(first) = cx.step(start) {
        let first = cx.put_back(first);
        worker.publish(&mut cx);
        ready.0.lock().unwrap().push_back(first);
    }
    outcome
}

/// Takes steps until nothing is ready; the other thread may make more ready later, and then takes them itself.
fn work(ready: &Ready) {
    take_steps(ready, usize::MAX);
}

/// The same, but no more than this many.
fn take_steps(ready: &Ready, steps: usize) {
    let worker = Worker(ready);
    let seat = Seat::new();
    let mut cx = Cx::new(&worker, &seat);
    let mut next = None;
    for _ in 0..steps {
        let queued = || ready.0.lock().unwrap().pop_front();
        if next.is_none() {
            next = queued().map(|queued| cx.take(queued));
        }
        if next.is_none() {
            // This may make another node ready.
            cx.rest();
            next = queued().map(|queued| cx.take(queued));
        }
        let Some(node) = next else { return };
        next = cx.step(node);
        worker.publish(&mut cx);
    }
    if let Some(node) = next {
        ready.0.lock().unwrap().push_back(cx.put_back(node));
    }
    cx.rest();
}

/// Two threads take steps until nothing is left to be done.
fn work_on_two_threads(ready: &std::sync::Arc<Ready>) {
    let thread = {
        let ready = std::sync::Arc::clone(ready);
        thread::spawn(move || work(&ready))
    };
    work(ready);
    thread.join().unwrap();
    work(ready);
}

/// Checks a graph, made anew for each interleaving, on two threads.
fn check(graph: fn(&Arc<AtomicUsize>) -> DC<u32>, expected: Result<u32, &'static str>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let alive = Arc::new(AtomicUsize::new(0));
        let ready = std::sync::Arc::new(Ready::default());
        let outcome = start(graph(&alive), &ready);
        work_on_two_threads(&ready);
        let result = outcome.result.lock().unwrap().take().expect("the run has settled");
        match (&result, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(*value, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            _ => panic!("{result:?} instead of {expected:?}"),
        }
        assert_eq!(alive.load(Ordering::Relaxed), 0, "every value is dropped once");
    });
}

struct Named;

impl Task for Named {
    const NAME: &'static str = "named";
}

fn leaf(value: u32, alive: &Arc<AtomicUsize>) -> DC<Watched> {
    let alive = Arc::clone(alive);
    DC::new(move || Watched::new(value, &alive), ())
}

#[test]
fn both_results_reach_the_consumer() {
    check(|alive| DC::new(|a: Watched, b: Watched| a.get() + b.get(), (leaf(1, alive), leaf(2, alive))), Ok(3));
}

/// Two on one thread are counted there, and told before it rests.
#[test]
fn three_results_reach_the_consumer_whoever_counts_them() {
    check(
        |alive| {
            let sum = |a: Watched, b: Watched, c: Watched| a.get() + b.get() + c.get();
            DC::new(sum, (leaf(1, alive), leaf(2, alive), leaf(3, alive)))
        },
        Ok(6),
    );
}

#[test]
fn a_failure_meets_results_that_are_counted_and_not_told() {
    check(
        |alive| {
            let failing = DC::<Watched>::new(|| -> Result<Watched, &str> { Err("no") }, ());
            let sum = |a: Watched, b: Watched, c: Watched| a.get() + b.get() + c.get();
            DC::new(sum, (leaf(1, alive), failing, leaf(3, alive)))
        },
        Err("failed: no"),
    );
}

#[test]
fn a_failure_and_a_result_meet_and_both_are_accounted_for() {
    check(
        |alive| {
            let failing = DC::<Watched>::new(|| -> Result<Watched, &str> { Err("no") }, ());
            DC::new(|a: Watched, b: Watched| a.get() + b.get(), (failing, leaf(2, alive)))
        },
        Err("failed: no"),
    );
}

#[test]
fn two_failures_settle_a_run_once() {
    check(
        |_| {
            let failing = || DC::<u32>::new(|| -> Result<u32, &str> { Err("no") }, ());
            DC::new(|a: u32, b: u32| a + b, (failing(), failing()))
        },
        Err("failed: no"),
    );
}

#[test]
fn a_shared_result_is_computed_once_and_reaches_both() {
    check(
        |alive| {
            let alive = Arc::clone(alive);
            let times = Arc::new(AtomicUsize::new(0));
            let once = move || {
                assert_eq!(times.fetch_add(1, Ordering::Relaxed), 0, "computed twice");
                Watched::new(5, &alive)
            };
            let shared = DC::new(once, ()).shared();
            let user = |shared: &super::Shared<_>| shared.dc().map(|value: Watched| value.get());
            DC::new(|a: u32, b: u32| a + b, (user(&shared), user(&shared)))
        },
        Ok(10),
    );
}

#[test]
fn a_shared_failure_reaches_both() {
    check(
        |_| {
            let shared = DC::<u32>::new(|| -> Result<u32, &str> { Err("no") }, ()).shared();
            DC::new(|a: u32, b: u32| a + b, (shared.dc(), shared.dc().map(|x| x + 1)))
        },
        Err("failed: no"),
    );
}

#[test]
fn an_attempt_catches_while_its_sibling_goes_on() {
    check(
        |alive| {
            let failing = DC::<u32>::new(|| -> Result<u32, &str> { Err("no") }, ()).attempt();
            DC::new(|a: Result<u32, Error>, b: Watched| a.unwrap_or(40) + b.get(), (failing, leaf(2, alive)))
        },
        Ok(42),
    );
}

/// Children are taken while the body adds more to the same batch.
#[test]
fn a_generator_has_all_it_yields() {
    check(
        |alive| {
            let children = [leaf(1, alive), leaf(2, alive)];
            let yields = |yielder: Yielder<Watched, Unmarked>| async move {
                for child in children {
                    yielder.pause(yielder.put(child)).await;
                }
            };
            generate::<Named, Vec<Watched>, (), _, _>(yields).map(|all| all.iter().map(Watched::get).sum())
        },
        Ok(3),
    );
}

/// A body falls asleep while what it awaits is done.
#[test]
fn a_body_is_woken_for_what_it_awaits() {
    check(
        |alive| {
            let mut child = leaf(2, alive).into_future();
            // What the body does while it is polled: the next poll comes after it.
            let polls = Watched::new(0, alive);
            future::<Named, Fallible, _, _>(sent(std::future::poll_fn(move |context| {
                let polled = std::pin::Pin::new(&mut child).poll(context).map_ok(|value| value.get());
                // SAFETY: loom checks that nobody else is there.
                polls.value.with_mut(|polls| unsafe { *polls += 1 });
                polled
            })))
        },
        Ok(2),
    );
}

/// A body falls asleep for ever while its run fails.
#[test]
fn a_body_is_woken_when_its_run_fails() {
    check(
        |_| {
            let failing = DC::<u32>::new(|| -> Result<u32, &str> { Err("no") }, ());
            let asleep = future::<Named, Value, _, _>(sent(std::future::pending::<u32>()));
            DC::new(|a: u32, b: u32| a + b, (failing, asleep))
        },
        Err("failed: no"),
    );
}

/// A body is through with a child it has dropped, which still uses what is around it.
#[test]
fn a_task_waits_for_the_children_that_its_body_has_dropped() {
    check(
        |_| {
            // Not a value that is watched: loom does not see what the count of an `Arc` orders.
            let child = DC::new(|| 2, ());
            future::<Named, Value, _, _>(sent(async move {
                let mut child = child.into_future();
                std::future::poll_fn(|context| {
                    let _ = std::pin::Pin::new(&mut child).poll(context);
                    std::task::Poll::Ready(())
                })
                .await;
                7
            }))
        },
        Ok(7),
    );
}

#[test]
fn a_parked_generator_is_taken_up_by_exactly_one_chunk() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let window = Arc::new(Window::new());
        // What the body did before it was parked: whoever resumes it must see that.
        let body = Arc::new(UnsafeCell::new(0));
        window.batch_closed(4 * FIRST_SLICE_LEN);
        let chunks: Vec<_> = (0..2)
            .map(|_| {
                let (window, body) = (Arc::clone(&window), Arc::clone(&body));
                thread::spawn(move || {
                    let pump_is_ready = window.batch_settled(FIRST_SLICE_LEN, Duration::ZERO);
                    if pump_is_ready {
                        // SAFETY: loom checks that nobody else is there.
                        body.with_mut(|body| unsafe { *body += 1 });
                    }
                    pump_is_ready
                })
            })
            .collect();
        // SAFETY: as above.
        body.with_mut(|body| unsafe { *body += 1 });
        let parked = window.park_if_full(1);
        let taken_up = chunks.into_iter().map(|chunk| chunk.join().unwrap()).filter(|ready| *ready).count();
        assert_eq!(taken_up, usize::from(parked));
    });
}

/// Sleeps until it is woken. If nobody wakes it, it sleeps for ever, and loom reports it.
pub(super) struct Sleeper(Notify);

impl Sleeper {
    pub(super) fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(Notify::new()))
    }

    pub(super) fn sleep(&self) {
        self.0.wait();
    }
}

impl Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.notify();
    }
}

/// A mailbox whose result comes while this waits for it.
fn check_mailbox(wait: fn(&Mailbox<Watched>) -> Watched) {
    loom::model(move || {
        let alive = Arc::new(AtomicUsize::new(0));
        let mailbox = Arc::new(Mailbox::new());
        let putter = {
            let (mailbox, alive) = (Arc::clone(&mailbox), Arc::clone(&alive));
            thread::spawn(move || mailbox.put(Watched::new(7, &alive)))
        };
        assert_eq!(wait(&mailbox).get(), 7);
        putter.join().unwrap();
        assert_eq!(alive.load(Ordering::Relaxed), 0, "the result is dropped once");
    });
}

#[test]
fn a_thread_that_waits_for_a_result_is_told() {
    check_mailbox(|mailbox| {
        mailbox.wait();
        mailbox.take()
    });
}

#[test]
fn a_future_that_polls_for_a_result_is_woken() {
    check_mailbox(|mailbox| {
        let sleeper = Sleeper::new();
        let waker = Waker::from(std::sync::Arc::clone(&sleeper));
        loop {
            match mailbox.poll(&Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => sleeper.sleep(),
            }
        }
    });
}
