//! What a step sees of the worker that takes it, and what it leaves behind for it.
//!
//! A step never calls the scheduler: it returns the node to go on with, and leaves the other nodes it made ready in
//! [`Cx::ready`]. The worker puts those in its queue. Whatever is in that list belongs to the same scope.

pub(super) mod seat;
#[forbid(unsafe_code)]
pub(super) mod counts;

use std::mem;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

use self::seat::Seat;
use super::launch::ranked::Rank;
use super::node::links::List;
use super::node::{Node, Ready};
use super::scope::inside;
use super::scope::{Home, Scope, ScopePtr};
use super::settle;
use super::settle::tally::Tally;

/// What the graph asks of whoever runs it, off the path that every node takes.
pub(crate) trait Host {
    /// Makes ready nodes visible to all workers during a step.
    fn publish(&self, cx: &mut Cx<'_>);
    /// Queues ready nodes during a step that probably ends soon.
    fn queue_now(&self, cx: &mut Cx<'_>) {
        self.publish(cx);
    }
    /// Queues a node that has its turn before long, as one from outside.
    fn inject(&self, node: Queued);
    /// Queues a node for whoever has nothing of its own to do.
    fn defer(&self, node: Queued);
    /// Queues a node for whoever would go idle without it.
    fn defer_until_idle(&self, node: Queued);
    /// Queues a node by its priority: a positive one before everything else that is ready, a negative one after it.
    fn defer_ranked(&self, node: Queued, priority: i32);
    /// The computation that was queued by its priority, as this node, has its result or has failed.
    fn ranked_is_through(&self, _: NodeId) {}
    /// Whether it is the turn of what is for workers that would go idle, although this one would not; and the end of that.
    fn is_spares_turn(&self) -> bool {
        false
    }
    fn end_spares_turn(&self) {}
    /// How many workers there may be.
    fn max_workers(&self) -> usize;
    /// Whether nodes of that home are queued here.
    fn is_home(&self, home: &Arc<dyn Home>) -> bool;
    fn now(&self) -> Instant;
}

pub(crate) struct Cx<'h> {
    pub(super) host: &'h dyn Host,
    /// Where the running body is noted.
    pub(super) seat: &'h Seat,
    scope: ScopePtr,
    ready: List,
    pub(super) tally: Tally,
}

/// Tells live nodes apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(NonNull<Node>);

impl NodeId {
    pub(super) fn of(node: NonNull<Node>) -> Self {
        Self(node)
    }
}

/// A ready node as queues hold it: it knows its scope.
#[must_use = "a queued node that nobody takes is lost"]
pub(crate) struct Queued(NonNull<Node>);

// SAFETY: as for `Ready`.
unsafe impl Send for Queued {}

impl Queued {
    pub(super) fn new(ready: Ready, scope: ScopePtr) -> Self {
        // SAFETY: a ready node is alive, and ours.
        unsafe { ready.0.as_ref() }.set_scope(scope);
        Self(ready.0)
    }

    /// A node that has been queued before, and whose scope is still the same.
    ///
    /// # Safety
    ///
    /// The node knows its scope.
    pub(super) unsafe fn again(ready: Ready) -> Self {
        Self(ready.0)
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId(self.0)
    }

    pub(super) fn into_node(self) -> NonNull<Node> {
        self.0
    }

    /// The priority of a node that is to be put among the ranks; returned once.
    #[inline(always)]
    pub(crate) fn take_rank(&self) -> Option<i32> {
        // SAFETY: a queued node is alive, and ours.
        unsafe { self.0.as_ref() }.is_ranked().then(|| self.take_known_rank())
    }

    #[cold]
    fn take_known_rank(&self) -> i32 {
        // SAFETY: as above, and it is ranked.
        unsafe {
            self.0.as_ref().forget_rank();
            Rank::of(self.0)
        }
    }

    /// Whether it will be given up.
    pub(crate) fn is_stopped(&self) -> bool {
        // SAFETY: as above; a scope outlives its nodes.
        unsafe { self.0.as_ref().scope().as_ref() }.is_stopped()
    }

    /// Where the nodes of its run are queued.
    pub(super) fn home(&self) -> Arc<dyn Home> {
        // SAFETY: as above.
        Arc::clone(unsafe { self.0.as_ref().scope().as_ref() }.home())
    }

    /// Whether its step only makes other nodes ready, or ends a run.
    pub(crate) fn is_starter(&self) -> bool {
        // SAFETY: as above.
        unsafe { self.0.as_ref() }.is_starter()
    }
}

impl<'h> Cx<'h> {
    pub(crate) fn new(host: &'h dyn Host, seat: &'h Seat) -> Self {
        Self { host, seat, scope: NonNull::dangling(), ready: List::EMPTY, tally: Tally::NONE }
    }

    /// Takes a node out of a queue.
    #[inline(always)]
    pub(crate) fn take(&mut self, queued: Queued) -> Ready {
        debug_assert!(self.ready.is_empty(), "what is ready belongs to the scope before");
        // SAFETY: a queued node is alive, and now ours.
        self.scope = unsafe { queued.0.as_ref() }.scope();
        inside::enter(self.scope);
        Ready(queued.0)
    }

    /// Goes on with a node that was on its way to a queue, of whatever scope.
    pub(super) fn go_on_with(&mut self, queued: Queued) -> Ready {
        // SAFETY: as in `take`.
        self.enter(unsafe { queued.0.as_ref() }.scope());
        Ready(queued.0)
    }

    /// Makes the node that the last step returned fit for a queue.
    pub(crate) fn put_back(&self, ready: Ready) -> Queued {
        Queued::new(ready, self.scope)
    }

    /// There is no next step for now. Tells what this worker has not told yet; nodes may be queued by that.
    pub(crate) fn rest(&mut self) {
        self.tell();
        self.leave();
    }

    /// Takes the step of a node that the last step returned, or that was just taken out of a queue.
    #[inline(always)]
    pub(crate) fn step(&mut self, ready: Ready) -> Option<Ready> {
        let node = ready.0;
        // SAFETY: a ready node is alive, and ours.
        unsafe { self.tell_before(node) };
        if self.scope().is_stopped() {
            // SAFETY: the node is ready, so all its inputs are in, and ours.
            return unsafe { self.give_up(node) };
        }
        // SAFETY: the node is ready, and ours: a `Ready` exists once.
        unsafe { Node::step(node, self) }
    }

    /// # Safety
    ///
    /// The node is ready, and the caller's.
    #[cold]
    unsafe fn give_up(&mut self, node: NonNull<Node>) -> Option<Ready> {
        // SAFETY: the caller's promise.
        unsafe { settle::abandon(node, self) }
    }

    /// Whether the last step made nodes ready besides the one it returned.
    #[inline(always)]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Hands those over.
    #[inline(always)]
    pub(crate) fn drain_ready(&mut self, mut queue: impl FnMut(Queued)) {
        self.take_ready().for_each(|node| queue(Queued::new(Ready(node), self.scope)));
    }

    #[inline(always)]
    pub(super) fn scope(&self) -> &Scope {
        // SAFETY: set by `take` or `enter` to the scope of the node being stepped; a scope outlives its nodes.
        unsafe { self.scope.as_ref() }
    }

    pub(super) fn scope_ptr(&self) -> ScopePtr {
        self.scope
    }

    /// What follows belongs to `scope`.
    #[inline(always)]
    pub(super) fn enter(&mut self, scope: ScopePtr) {
        if scope != self.scope && !self.ready.is_empty() {
            self.publish();
        }
        self.scope = scope;
        inside::enter(scope);
    }

    /// Nothing of the scope is left to be done here, so it may go. The next node brings its own.
    #[inline(always)]
    pub(super) fn leave(&mut self) {
        debug_assert!(self.ready.is_empty(), "what is ready belongs to the scope");
        self.scope = NonNull::dangling();
        inside::leave();
    }

    /// Adds nodes of this scope that are ready.
    #[inline(always)]
    pub(super) fn add_ready(&mut self, ready: List) {
        self.ready.append(ready);
    }

    #[inline(always)]
    pub(super) fn take_ready(&mut self) -> List {
        mem::replace(&mut self.ready, List::EMPTY)
    }

    /// Starts a graph: its first ready node is the one to go on with, the others are left for the worker.
    #[inline(always)]
    pub(super) fn start(&mut self, mut ready: List) -> Option<Ready> {
        let first = ready.pop()?;
        self.ready.append(ready);
        Some(Ready(first))
    }

    /// Queues what is ready now. The step probably ends before long, and its worker then takes it.
    pub(super) fn queue_now(&mut self) {
        let host = self.host;
        host.queue_now(self);
    }

    /// Shows what is ready to all workers now, not only at the end of the step.
    #[inline(always)]
    pub(super) fn publish(&mut self) {
        let host = self.host;
        host.publish(self);
    }
}
