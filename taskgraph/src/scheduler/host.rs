//! What a step asks of the worker that takes it.

use std::ptr;
use std::sync::Arc;
use std::time::Instant;

use super::queues::Source;
use super::worker::Worker;
use crate::graph::{Cx, Home, Host, NodeId, Queued};
use crate::sync::atomic::{Ordering, fence};

impl Host for Worker<'_> {
    fn publish(&self, cx: &mut Cx<'_>) {
        self.queue_now(cx);
        self.queues.show(0);
    }

    fn queue_now(&self, cx: &mut Cx<'_>) {
        if self.queue_ready(cx) {
            // This worker may take the newest next.
            self.queues.show(1);
            // SeqCst, pairs with the gate's: the body that is under way may wait for what it has queued.
            fence(Ordering::SeqCst);
            if self.gate.state().has_place() {
                self.scheduler.call_for_queued();
            }
        }
    }

    fn inject(&self, node: Queued) {
        self.scheduler.inject(node);
    }

    fn defer(&self, node: Queued) {
        self.scheduler.defer(node);
    }

    fn defer_until_idle(&self, node: Queued) {
        self.scheduler.defer_until_idle(node);
    }

    fn defer_ranked(&self, node: Queued, priority: i32) {
        self.scheduler.rank(node, priority);
    }

    fn ranked_is_through(&self, node: NodeId) {
        self.end_levels(|levels| levels.end_of(node));
    }

    fn is_spares_turn(&self) -> bool {
        self.queues.first.get() == Source::Spare
    }

    fn end_spares_turn(&self) {
        self.queues.first.set(Source::Line);
    }

    fn max_workers(&self) -> usize {
        self.gate.state().max()
    }

    fn is_home(&self, home: &Arc<dyn Home>) -> bool {
        ptr::addr_eq(Arc::as_ptr(self.scheduler), Arc::as_ptr(home))
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}
