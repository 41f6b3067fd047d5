//! Settling: how a result or a failure reaches its consumer, and how far it goes from there.
//!
//! All loops over consumers are here, and none recurses: a failure climbs ten million nodes in constant stack.

pub(super) mod tally;
pub(super) mod doomed;

use std::borrow::Cow;
use std::cell::Cell;
use std::iter;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

use super::cx::seat::Seat;
use super::cx::{Cx, Host, Queued};
use super::node::links::List;
use super::node::{Abandoned, Arrival, Described, Destination, Node, Ready};
use super::scope::Home;
use crate::error::{Cause, Error, Passed};
use crate::task::Task;

/// Moves a result into its slot.
///
/// # Safety
///
/// `to` is the destination of a node with a result of type `T`, which had not arrived there before and now does.
#[inline(always)]
pub(super) unsafe fn deliver<T>(to: Destination, value: T, cx: &mut Cx<'_>) -> Option<Ready> {
    // SAFETY: the slot is a place for a `T` in the consumer, which is waiting and so alive; it is ours to fill.
    unsafe { to.slot.cast::<T>().write(value) };
    // SAFETY: the result is in its slot, and arrives here and nowhere else.
    unsafe { arrive(to, cx) }
}

/// As [`deliver`], when the value is in its slot already or there is none.
///
/// # Safety
///
/// As for [`deliver`].
#[inline(always)]
pub(super) unsafe fn arrive(to: Destination, cx: &mut Cx<'_>) -> Option<Ready> {
    let consumer = to.consumer.expect("a node that is stepped has a consumer");
    // SAFETY: what is settled was an input of its consumer, and had not arrived.
    unsafe { cx.arrive(consumer) }
}

/// A task whose result would have gone to `to` has failed: its scope keeps the first failure, and stops.
///
/// # Safety
///
/// As for [`consumers`].
#[cold]
pub(super) unsafe fn blame(task: Task, why: Why, to: Destination, cx: &mut Cx<'_>) {
    let mut why = Some(why);
    cx.scope().fail(|| {
        let task = match &why {
            // Of such a task only a label that others gave it is shown.
            Some(Why::Failed(cause)) if cause.is::<Passed>() => Task { label: None, ..task },
            _ => task,
        };
        // SAFETY: the caller's promise.
        let mut chain = unsafe { named(Some(task), to) };
        let task = chain.next().expect("the task itself comes first");
        match why.take().expect("a failure is told once") {
            Why::Failed(cause) => Error::failed(cause, task),
            Why::Panicked(message) => Error::panicked(message, task),
        }
        .needed_by(chain)
    });
    // Only the first failure of a scope is kept. The cause of any other is a user's value.
    crate::unwind::drop_values(|| drop(why));
}

/// Why a task failed.
pub(super) enum Why {
    Failed(Cause),
    Panicked(String),
}

/// A failure arrives at `to`, and climbs to a node that still waits for other inputs, or that catches it.
///
/// # Safety
///
/// `to` is the destination of a node that has not arrived there, and now has.
#[cold]
pub(super) unsafe fn fail(to: Destination, cx: &mut Cx<'_>) -> Option<Ready> {
    // SAFETY: the caller's promise.
    unsafe { climb(Abandoned::Failed(to), cx) }
}

/// Gives up a node.
///
/// # Safety
///
/// All of its inputs are in, and it is the caller's.
#[cold]
pub(super) unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
    // SAFETY: the caller's promise; a node that was given up arrives once.
    unsafe {
        let abandoned = Node::abandon(node, cx);
        climb(abandoned, cx)
    }
}

/// Goes on from a node that was given up, to its consumer and further.
///
/// No `abandon` of a table may come back here, or stacks would grow with the graph. (A shared node that tells those who
/// wait for it leaves it to [`doomed`] to give them up.)
///
/// # Safety
///
/// The node has not arrived.
#[cold]
unsafe fn climb(mut abandoned: Abandoned, cx: &mut Cx<'_>) -> Option<Ready> {
    loop {
        let (to, failed) = match abandoned {
            Abandoned::Failed(to) => (to, true),
            Abandoned::Arrived(to) => (to, false),
            Abandoned::Caught(next) => return next,
        };
        let consumer = to.consumer?;
        // SAFETY: the consumer waits for this arrival, so it is alive.
        let arrival =
            unsafe { if failed { Node::input_failed(consumer, to.slot) } else { Node::inputs_arrived(consumer, 1) } };
        match arrival {
            Arrival::StillWaiting => return None,
            Arrival::NowReady => return Some(Ready(consumer)),
            // SAFETY: all inputs are in, so the consumer is ours.
            Arrival::NowFailed => abandoned = unsafe { Node::abandon(consumer, cx) },
        }
    }
}

/// The name that [`named`](super::delayed::DC::named) gave to what goes to `to`.
///
/// # Safety
///
/// As for [`consumers`].
pub(super) unsafe fn label_above(to: Destination) -> Option<Cow<'static, str>> {
    // SAFETY: the caller's promise.
    let labels = unsafe { consumers(to) }.map_while(|described| match described {
        Described::Label(label, _) => Some(label),
        _ => None,
    });
    labels.last()
}

/// The tasks that need what goes to `to`, the nearest first.
///
/// # Safety
///
/// As for [`consumers`].
pub(super) unsafe fn needed_by(to: Destination) -> impl Iterator<Item = Task> {
    // SAFETY: the caller's promise.
    unsafe { named(None, to) }
}

/// `task`, and those that need what it gives to `to`; each with the name that [`named`](super::delayed::DC::named) gave
/// it, a node of its own right above.
///
/// # Safety
///
/// As for [`consumers`].
unsafe fn named(task: Option<Task>, to: Destination) -> impl Iterator<Item = Task> {
    // SAFETY: the caller's promise.
    tasks(task.map(Described::Task).into_iter().chain(unsafe { consumers(to) }))
}

/// The tasks that wait for `node`, itself first: also those that await it, or would catch its failure.
///
/// # Safety
///
/// It waits for as long as this is used.
pub(super) unsafe fn waiting(node: NonNull<Node>) -> impl Iterator<Item = Task> {
    let mut next = Some(node);
    tasks(iter::from_fn(move || {
        let node = next?;
        // SAFETY: what waits is alive, and so is what waits for it; a task also waits for what it awaits.
        let (described, above) = unsafe { look_up(node) };
        next = match described {
            Described::Awaited(task) => Some(task),
            _ => above,
        };
        Some(described)
    }))
}

/// What a node is to users, and the node that its result goes to.
///
/// # Safety
///
/// It is alive.
unsafe fn look_up(node: NonNull<Node>) -> (Described, Option<NonNull<Node>>) {
    // SAFETY: the caller's promise.
    let (described, to) = unsafe { (Node::describe(node), node.as_ref().destination()) };
    let above = if let Described::Shared = described { None } else { to.consumer };
    (described, above)
}

/// The tasks among what is described, with their names. One that was called from nowhere gets the line of what needs it.
fn tasks(described: impl Iterator<Item = Described>) -> impl Iterator<Item = Task> {
    let mut described = described.peekable();
    let named = iter::from_fn(move || {
        let mut task = described.find_map(|described| match described {
            Described::Task(task) => Some(task),
            Described::Label(..)
            | Described::Attempt(_)
            | Described::Drain(_)
            | Described::Awaited(_)
            | Described::Shared
            | Described::Plumbing
            | Described::Unseen => None,
        })?;
        while let Some(Described::Label(label, _)) = described.next_if(|next| matches!(next, Described::Label(..))) {
            task.label = Some(label);
        }
        Some(task)
    });
    let mut named = named.peekable();
    iter::from_fn(move || {
        let mut task = named.next()?;
        if Task::is_nowhere(task.origin)
            && let Some(needs_it) = named.peek()
        {
            task.origin = needs_it.origin;
        }
        Some(task)
    })
}

/// What is above, up to where a failure would be caught.
///
/// # Safety
///
/// `to` is the destination of a node that does not arrive there as long as this is used.
pub(super) unsafe fn consumers(to: Destination) -> impl Iterator<Item = Described> {
    let mut next = to.consumer;
    let nodes = iter::from_fn(move || {
        let node = next?;
        // SAFETY: the caller's promise: consumers wait for what is below them, so all of them are alive.
        let (described, above) = unsafe { look_up(node) };
        next = above;
        Some(described)
    });
    // A chain of nothing but plumbing could be millions long.
    let nodes = nodes.take(16 * Error::TRACE_LEN_MAX).filter(|described| !matches!(described, Described::Unseen));
    nodes.take_while(|described| !matches!(described, Described::Attempt(_)))
}

thread_local! {
    /// Graphs that wait to be dropped by the [`drop_unrun`] that is under way on this thread.
    static DROPPING: Cell<Option<List>> = const { Cell::new(None) };
    /// Whether what is being dropped was given up together with its run.
    static GIVING_UP: Cell<bool> = const { Cell::new(false) };
}

/// Drops the values of a node that is given up; delayed computations among them are not reported as forgotten.
pub(crate) fn drop_given_up(drop: impl FnOnce()) {
    let before = GIVING_UP.try_with(|giving_up| giving_up.replace(true)).unwrap_or(true);
    crate::unwind::drop_values(drop);
    let _ = GIVING_UP.try_with(|giving_up| giving_up.set(before));
}

/// Drops the graph of `node`, which never ran, given its ready leaves.
///
/// Every leaf is given up, and so in turn is all that needs it. A computation that is found inside a dropped value
/// waits until this one is through, so nesting takes no stack.
///
/// # Safety
///
/// The graph is the caller's, and these are all of its leaves.
#[cold]
pub(super) unsafe fn drop_unrun(node: NonNull<Node>, ready: List) {
    let mut ready = Some(ready);
    let outermost = DROPPING.try_with(|dropping| match dropping.take() {
        Some(mut waiting) => {
            waiting.append(ready.take().expect("the list was not moved yet"));
            dropping.set(Some(waiting));
            false
        }
        None => {
            dropping.set(Some(List::EMPTY));
            true
        }
    });
    let Some(mut ready) = ready else { return };
    if !std::thread::panicking() && GIVING_UP.try_with(Cell::get) == Ok(false) {
        // A subscriber of the log is a user's code, too.
        // SAFETY: the graph is still whole.
        let _ = crate::unwind::catch(|| unsafe { tell_forgotten(node) });
    }
    let seat = Seat::new();
    let mut cx = Cx::new(&Nobody, &seat);
    loop {
        while let Some(leaf) = ready.pop() {
            // SAFETY: a leaf waits for nothing, and each is given up once.
            let next = unsafe { abandon(leaf, &mut cx) };
            debug_assert!(next.is_none(), "nothing in a graph that never ran catches a failure");
            ready.append(cx.take_ready());
        }
        let waiting = DROPPING.try_with(|dropping| dropping.replace(Some(List::EMPTY)));
        match waiting {
            Ok(Some(more)) if !more.is_empty() => ready = more,
            _ => break,
        }
    }
    if outermost.is_ok() {
        DROPPING.set(None);
    }
}

/// # Safety
///
/// The node is alive.
unsafe fn tell_forgotten(node: NonNull<Node>) {
    // SAFETY: the caller's promise.
    if let Some(task) = unsafe { Node::task(node) } {
        tracing::warn!(
            name = task.label().unwrap_or(task.name()),
            "{task} was dropped without having been run: run it, yield it, return it, or give it to another task"
        );
    }
}

/// Dropping asks nothing of a worker.
struct Nobody;

impl Host for Nobody {
    fn publish(&self, _: &mut Cx<'_>) {
        unreachable!("giving a graph up that never ran makes nothing ready");
    }
    fn inject(&self, _: Queued) {
        unreachable!("giving a graph up that never ran wakes nobody");
    }
    fn defer(&self, _: Queued) {
        unreachable!("giving a graph up that never ran defers nothing");
    }
    fn defer_until_idle(&self, _: Queued) {
        unreachable!("giving a graph up that never ran defers nothing");
    }
    fn defer_ranked(&self, _: Queued, _: i32) {
        unreachable!("giving a graph up that never ran defers nothing");
    }
    fn max_workers(&self) -> usize {
        1
    }
    fn is_home(&self, _: &Arc<dyn Home>) -> bool {
        unreachable!("giving a graph up that never ran tells nobody of a shared result");
    }
    fn now(&self) -> Instant {
        Instant::now()
    }
}
