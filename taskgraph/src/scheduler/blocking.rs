//! Threads that block: another worker has a task's place meanwhile, and there is a thread for it.
//!
//! rayon pools have as many threads as there may be workers. When one blocks there is one too few, and since pools cannot grow
//! the workers move to another pool, before anybody takes the place: whoever took it on the old one might wait for this very
//! thread. A pool costs all of its threads, which stay as long as the one that blocks. So the new one, if it is large, has some
//! to spare: it may lose as many before the workers move again. A thread of an older pool was made up for when that became old.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Scheduler;
use super::worker::{self, Current};
use crate::error::Error;
use crate::graph;
use crate::sync::{MutexGuard, lock};
use crate::unwind;

/// How many workers there may be, and the state of their threads.
pub(super) struct Size {
    pub(super) max_workers: usize,
    /// How many pieces of tasks block, by pool, where any do. There may be one more worker for each such pool.
    blocked_pieces: BTreeMap<u64, usize>,
    /// The pool that new workers start on, how many threads it has to spare, and how many it has lost: those block in tasks.
    pool: u64,
    spare: usize,
    lost: usize,
}

/// If pieces block on more pools than this, the others are not made up for.
const LENT_MAX: usize = crate::MAX_WORKERS_LIMIT - 1;

/// A pool that is started because a thread blocks has one thread to spare for every `SPARE_PART` workers.
const SPARE_PART: usize = 8;

impl Size {
    pub(super) fn new(max_workers: usize) -> Self {
        Self { max_workers, blocked_pieces: BTreeMap::new(), pool: 0, spare: 0, lost: 0 }
    }

    /// How many more workers there may be than were asked for.
    fn lent(&self) -> usize {
        self.blocked_pieces.len().min(LENT_MAX)
    }

    /// This thread blocks. Returns whether the workers need another pool: theirs has lost more threads than it can spare.
    ///
    /// An older pool was made up for, and needs none for its pieces either: the task that waits for them is there as well.
    fn lose_thread(&mut self) -> bool {
        if worker::pool() != self.pool {
            return false;
        }
        self.lost += 1;
        // If pieces block here, the task that waits for them keeps its thread, and there may be one more worker.
        let lent = usize::from(self.blocked_pieces.contains_key(&self.pool));
        self.lost + lent > self.spare
    }
}

/// While it is there, this thread may block.
#[must_use = "a thread that blocks is made up for as long as this is there"]
pub(crate) struct Blocking(Option<Who>);

enum Who {
    /// A task, on its worker's thread.
    Task(Current),
    /// A piece of some task, which has no place of its own. Its task has one, and waits for this, or soon will; but
    /// rayon does not say which task that is. So there may be one more worker meanwhile: one, however many pieces of a
    /// pool block, since one worker gets on with anything.
    Piece(Arc<Scheduler>),
}

impl Blocking {
    /// This thread is about to block.
    ///
    /// # Errors
    ///
    /// If it is that of a task, or of a piece of one, and no thread is left that could take its place.
    pub(crate) fn begin() -> Result<Self, Error> {
        let Some(current) = worker::current() else {
            let piece = worker::home();
            if let Some(scheduler) = &piece {
                scheduler.lend()?;
            }
            return Ok(Self(piece.map(Who::Piece)));
        };
        let Current { scheduler, seat } = &current;
        graph::release_woken();
        scheduler.lose_thread(lock(&scheduler.size))?;
        scheduler.queues.add_blocked();
        seat.set_waiting(true);
        scheduler.gate.block();
        scheduler.call_worker();
        Ok(Self(Some(Who::Task(current))))
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        match self.0.take() {
            None => {}
            Some(Who::Piece(scheduler)) => scheduler.take_back(),
            Some(Who::Task(Current { scheduler, seat })) => {
                scheduler.gate.unblock(|| scheduler.call_worker());
                seat.set_waiting(false);
                scheduler.queues.remove_blocked();
                // It has taken a place that somebody may have relied on, and what is spare can perhaps be taken again.
                scheduler.call_for_queued();
                scheduler.regain_thread();
            }
        }
    }
}

impl Scheduler {
    /// This thread blocks.
    fn lose_thread(&self, mut size: MutexGuard<'_, Size>) -> Result<(), Error> {
        if !size.lose_thread() {
            return Ok(());
        }
        let max_workers = size.max_workers;
        let Err(error) = self.renew_pool(&mut size, max_workers, max_workers / SPARE_PART) else { return Ok(()) };
        // The workers can do without it as long as one is left.
        if size.lost == max_workers + size.spare {
            size.lost -= 1;
            return Err(error);
        }
        // A subscriber of the log is user code, and may want something from the runtime.
        drop(size);
        let _ = unwind::catch(|| tracing::warn!("a task blocks, and no worker can take its place: {error}"));
        Ok(())
    }

    /// The task on this thread does not block any more.
    fn regain_thread(&self) {
        let mut size = lock(&self.size);
        if worker::pool() == size.pool {
            size.lost -= 1;
        }
    }

    /// A piece blocks on this thread.
    fn lend(self: &Arc<Self>) -> Result<(), Error> {
        let mut size = lock(&self.size);
        let pieces = size.blocked_pieces.entry(worker::pool()).or_default();
        *pieces += 1;
        if *pieces == 1 {
            self.gate.set_max(size.max_workers + size.lent());
        }
        self.lose_thread(size).inspect_err(|_| self.end_piece(&mut lock(&self.size)))?;
        self.call_worker();
        Ok(())
    }

    fn take_back(&self) {
        let mut size = lock(&self.size);
        if worker::pool() == size.pool {
            size.lost -= 1;
        }
        self.end_piece(&mut size);
    }

    fn end_piece(&self, size: &mut Size) {
        let left = size.blocked_pieces.get_mut(&worker::pool()).expect("one of them is this");
        *left -= 1;
        if *left == 0 {
            size.blocked_pieces.remove(&worker::pool());
            self.gate.set_max(size.max_workers + size.lent());
        }
    }

    /// Starts a pool for `max_workers` workers, who move there, with some threads to spare.
    pub(super) fn renew_pool(&self, size: &mut Size, max_workers: usize, spare: usize) -> Result<(), Error> {
        let max = max_workers + size.lent();
        let renewed = self.pool.renew(max_workers + spare, || {
            // All threads of the old pool may be in tasks, or in what tasks gave to rayon, and block.
            if let Some((permit, _)) = lock(&self.called).take() {
                drop(self.gate.receive(permit));
            }
            self.gate.set_max(max);
        })?;
        if let Some(pool) = renewed {
            (size.max_workers, size.pool, size.spare, size.lost) = (max_workers, pool, spare, 0);
        }
        Ok(())
    }
}
