//! What a worker has started by its priority and is not through with: it goes on with that before anything no more urgent.
//!
//! A computation of which only the first step has run is not through. What it leaves in the worker's deque lies above what
//! was there when it was started. The worker is through with it when nothing lies there any more, and no node of it is at
//! hand, or when its result is there. (Others may still be at work for it, and it may wait for the outside. Then what is
//! left of it comes like any other node; so it does after a pause, or when the worker moves to another pool.)

use std::cell::RefCell;

use crate::graph::NodeId;

/// The most urgent last.
pub(super) struct Levels(RefCell<Vec<Level>>);

struct Level {
    /// What has a higher one comes first.
    priority: i32,
    of: NodeId,
    /// Where the deque ended below it.
    bottom: usize,
}

impl Levels {
    pub(super) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// A computation of this priority is started, above what is in the deque.
    pub(super) fn begin(&self, priority: i32, of: NodeId, bottom: usize) {
        self.0.borrow_mut().push(Level { priority, of, bottom });
    }

    /// The computation is through: what comes of it is no part of it.
    pub(super) fn end_of(&self, of: NodeId) {
        self.0.borrow_mut().retain(|level| level.of != of);
    }

    /// The deque ends here, and no node is at hand. Ends those of which nothing is left.
    pub(super) fn end(&self, bottom: usize) {
        // The numbers may wrap around.
        let is_left = |level: &Level| 0 < (bottom.wrapping_sub(level.bottom) as isize);
        let mut levels = self.0.borrow_mut();
        while levels.pop_if(|level| !is_left(level)).is_some() {}
    }

    /// The worker has nothing left of any of them, or leaves it.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    /// The priority of what is at work.
    pub(super) fn priority(&self) -> i32 {
        self.0.borrow().last().map_or(0, |level| level.priority)
    }

    /// What is in the deque above this belongs to what is at work.
    pub(super) fn bottom(&self) -> Option<usize> {
        self.0.borrow().last().map(|level| level.bottom)
    }
}
