//! Children: computations that a body starts and waits for, one by one.
//!
//! A *child* of a task is a graph under a [root](mod@crate::graph::launch::root) of its own, in a scope of its own, so that its
//! failure is a value for the body. The task waits for the end of all its children, so they may use whatever is around
//! it. The end of the body stops them, whoever has their futures by then.

use std::borrow::Cow;
use std::cell::Cell;
use std::future;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};
use std::task::Poll;

use crate::error::Error;
use crate::graph::cx::Cx;
use crate::graph::delayed::DC;
use crate::graph::launch::root::{self, Ending, Parent};
use crate::graph::node::Node;
use crate::graph::node::links::List;
use crate::graph::scope::Scope;
use crate::graph::settle;
use crate::mailbox::Mailbox;
use crate::unwind;
use crate::weak_list::WeakList;

/// What a child and the future of its result share.
pub(in crate::graph) struct Child<T> {
    scope: Scope,
    parent: Parent,
    pub(in crate::graph) result: Mailbox<Result<T, Error>>,
}

/// Who waits for a child.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bond {
    /// The task whose body starts it.
    Task,
    /// Only the run, since the body may leave the child to itself.
    Run,
}

// SAFETY: the parent is told by the child's root and by nobody else, and waits for it.
unsafe impl<T: Send> Send for Child<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Child<T> {}

thread_local! {
    /// The task whose body is polled on this thread.
    static POLLED: Cell<*mut PolledTask> = const { Cell::new(ptr::null_mut()) };
    /// Whether its body waits for computations, or is held back.
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

struct PolledTask {
    node: NonNull<Node>,
    children: *mut Children,
    /// That of the step, which does not use it meanwhile.
    cx: *mut Cx<'static>,
}

/// Polls a body, or a part of one; also returns whether that waits for computations now, or is held back because of them.
pub(crate) fn gives_way<R>(poll: impl FnOnce() -> R) -> (R, bool) {
    let before = GIVES_WAY.replace(false);
    let polled = poll();
    let gives_way = GIVES_WAY.get();
    GIVES_WAY.set(before || gives_way);
    (polled, gives_way)
}

/// The body that is polled on this thread, if there is one, gives way.
pub(crate) fn give_way() {
    GIVES_WAY.set(true);
}

/// Waits until the body is polled again, which somebody else has seen to.
pub(crate) async fn until_next_poll() {
    let mut is_first = true;
    future::poll_fn(|_| if mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// The children of one body, some of which may be gone. When the body has ended, nobody awaits the others any more.
#[derive(Default)]
pub(in crate::graph) struct Children(WeakList<dyn Stop>);

/// A child of whatever type.
pub(in crate::graph) trait Stop: Send + Sync {
    fn stop(&self);
}

impl Drop for Children {
    fn drop(&mut self) {
        // Each by itself: the last owner of one drops a user's values.
        self.0.live().for_each(|child| unwind::drop_values(move || child.stop()));
    }
}

/// Polls the body of `node`, which may start children, with what the run has around it; a panic comes back as its message.
///
/// # Safety
///
/// The body is an input of the node that has not arrived, and `cx` is that of its step, which uses it only through this
/// pointer meanwhile.
pub(in crate::graph) unsafe fn with_parent<R>(
    node: NonNull<Node>,
    children: &mut Children,
    cx: *mut Cx<'static>,
    poll: impl FnOnce() -> R,
) -> Result<R, String> {
    struct Restore(*mut PolledTask);
    impl Drop for Restore {
        fn drop(&mut self) {
            POLLED.set(self.0);
        }
    }
    // SAFETY: the scope outlives the step, since its owner waits for the node.
    let scope: &Scope = unsafe { (*cx).scope_ptr().as_ref() };
    let mut polled = PolledTask { node, children, cx };
    let _restore = Restore(POLLED.replace(&raw mut polled));
    let mut poll = Some(poll);
    let mut result = None;
    unwind::catch(|| {
        let mut poll = || result = poll.take().map(|poll| poll());
        scope.reactor().enter(&mut poll);
    })?;
    Ok(result.expect("a reactor polls"))
}

/// Whether the body that is polled on this thread is to be given up. Then it need only wait: its step sees to the rest.
pub(in crate::graph) fn is_stopped() -> bool {
    with_polled_scope(Scope::is_stopped)
}

/// As [`is_stopped`], or because of something around its scope: see [`Scope::stop_if_unwanted`].
pub(in crate::graph) fn is_given_up(seen: &mut Option<u64>) -> bool {
    with_polled_scope(|scope| scope.stop_if_unwanted(seen))
}

fn with_polled_scope(ask: impl FnOnce(&Scope) -> bool) -> bool {
    // SAFETY: what `POLLED` points to lives as long as it does so, and the step has lent its `Cx` for as long.
    unsafe { POLLED.get().as_ref().is_some_and(|polled| ask((*polled.cx).scope())) }
}

/// The name that [`named`](DC::named) gave to the task whose body is polled on this thread.
pub(crate) fn own_label() -> Option<Cow<'static, str>> {
    // SAFETY: what `POLLED` points to lives as long as it does so, and the node waits for its body, which is under way.
    unsafe { settle::label_above(POLLED.get().as_ref()?.node.as_ref().destination()) }
}

/// Makes a computation the child of the task that is polled on this thread. It fails if there is none.
///
/// If it is a try, it has a number.
pub(in crate::graph) fn start<T: Send + 'static>(
    delayed: DC<T>,
    bond: Bond,
    try_number: Option<u32>,
) -> Result<Arc<Child<T>>, Error> {
    // SAFETY: what `POLLED` points to lives as long as it does so.
    let Some(&PolledTask { node: task, children, cx }) = (unsafe { POLLED.get().as_ref() }) else {
        let failure = Error::awaited_nowhere(delayed.task());
        settle::drop_given_up(|| drop(delayed));
        return Err(failure);
    };
    // SAFETY: the step has lent its `Cx` for the time of the poll that we are in.
    let cx = unsafe { &mut *cx };
    let outer = cx.scope_ptr();
    let parent = match bond {
        Bond::Task => Parent { node: task, scope: outer },
        Bond::Run => cx.scope().root_of_run(),
    };
    let child = Arc::new(Child { scope: Scope::of_child(), parent, result: Mailbox::new() });
    child.scope.start_in(cx.scope());
    if bond == Bond::Task {
        child.scope.waits_in(cx.scope());
    }
    if let Some(try_number) = try_number {
        child.scope.set_try_number(try_number);
    }
    // SAFETY: as for the `Cx`.
    unsafe { (*children).0.add(Arc::downgrade(&child) as Weak<dyn Stop>) };
    // SAFETY: the body of the task is out, and so is the input of the run's root that the task is part of. The new root
    // is ready, and holds what keeps its scope.
    unsafe {
        parent.node.as_ref().expect_input();
        let root = root::make(delayed, Arc::clone(&child));
        cx.enter(NonNull::from(&child.scope));
        cx.add_ready(List::of(root));
        // The body may go on for long, but mostly it waits for its child next.
        cx.queue_now();
        cx.enter(outer);
    }
    Ok(child)
}

impl<T: Send + 'static> Ending<T> for Child<T> {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn settle(&self, result: Result<T, Error>) {
        self.result.put(result);
    }

    fn parent(&self) -> Option<Parent> {
        Some(self.parent)
    }
}

impl<T> Child<T> {
    /// The body goes on without it, and may be gone before it.
    pub(in crate::graph) fn leave(&self) {
        self.scope.stop();
        self.scope.leave();
    }
}

impl<T: Send> Stop for Child<T> {
    fn stop(&self) {
        self.scope.stop();
    }
}
