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
    pub(super) fn lent(&self) -> usize {
        self.blocked_pieces.len().min(LENT_MAX)
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
        scheduler.lose_thread()?;
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
    /// A task blocks on this thread.
    fn lose_thread(self: &Arc<Self>) -> Result<(), Error> {
        let mut size = lock(&self.size);
        if worker::pool() != size.pool {
            return Ok(());
        }
        size.lost += 1;
        if size.lost <= size.spare {
            return Ok(());
        }
        let moved = self.move_workers(&mut size);
        self.make_do(size, moved)
    }

    /// A thread of the current pool is lost, if the workers have not moved. They can do without it as long as one is left.
    fn make_do(self: &Arc<Self>, mut size: MutexGuard<'_, Size>, moved: Result<(), Error>) -> Result<(), Error> {
        let is_last = size.lost == size.max_workers + size.spare;
        match moved {
            Err(error) if is_last => {
                size.lost -= 1;
                return Err(error);
            }
            Err(error) => {
                // A subscriber of the log is user code, and may want something from the runtime.
                drop(size);
                let _ = unwind::catch(|| tracing::warn!("a task blocks, and no worker can take its place: {error}"));
            }
            Ok(()) => drop(size),
        }
        self.call_worker();
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
        let is_first = *pieces == 1;
        // An older pool needs no more threads, only the place that its first piece brings.
        let moved = if is_first || worker::pool() == size.pool { self.move_workers(&mut size) } else { Ok(()) };
        if worker::pool() == size.pool {
            size.lost += 1;
        }
        let made_do = self.make_do(size, moved);
        if made_do.is_err() {
            self.end_piece(&mut lock(&self.size));
        }
        made_do
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

    /// Moves the workers to another pool, since a thread of this one blocks.
    fn move_workers(&self, size: &mut Size) -> Result<(), Error> {
        self.renew_pool(size, size.max_workers, size.max_workers / SPARE_PART)
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
