//! The threads: a custom rayon pool, so that `par_iter` and `join` inside a task run on the workers' own threads.
//!
//! A worker loop is one rayon job. When it finds nothing it ends, and its thread is rayon's: free for a task's
//! `par_iter`, or asleep.
//!
//! rayon pools cannot be resized. A resize builds a pool of exactly as many threads as there may be workers, or some
//! more if threads [block](super::blocking); the old one runs the jobs it has, and its threads end with the last of
//! them. Whoever drops the pool waits for all threads.
//!
//! rayon is named here and nowhere else.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::Error;
use crate::sync::{Mutex, lock};

pub(super) struct Pool {
    threads: Mutex<Threads>,
    stack_size: Option<usize>,
    /// What every thread runs before its first job.
    on_start: OnStart,
}

/// Gets the number of the pool.
type OnStart = Arc<dyn Fn(u64) + Send + Sync>;

struct Threads {
    /// The pool for new workers; none once the runtime ends.
    current: Option<ThreadPool>,
    /// Of all pools, the old ones too.
    handles: Vec<JoinHandle<()>>,
    /// How many pools there were before.
    number: u64,
}

impl Pool {
    pub(super) fn new(threads: usize, stack_size: Option<usize>, on_start: OnStart) -> Result<Self, Error> {
        let (pool, handles) = build(threads, 0, stack_size, &on_start)?;
        Ok(Self { threads: Mutex::new(Threads { current: Some(pool), handles, number: 0 }), stack_size, on_start })
    }

    /// Lets new workers start on a new pool of this many threads; `renewed` runs before the first of them can. Returns
    /// the number of that pool; `None` if the runtime ends.
    pub(super) fn renew(&self, threads: usize, renewed: impl FnOnce()) -> Result<Option<u64>, Error> {
        let number = {
            let mut inner = lock(&self.threads);
            if inner.current.is_none() {
                return Ok(None);
            }
            inner.number += 1;
            inner.number
        };
        let (pool, handles) = build(threads, number, self.stack_size, &self.on_start)?;
        let mut inner = lock(&self.threads);
        inner.handles.retain(|handle| !handle.is_finished());
        inner.handles.extend(handles);
        let old = inner.current.replace(pool);
        renewed();
        drop(inner);
        drop(old);
        Ok(Some(number))
    }

    /// Runs a job on one of the threads, if there is one to run; drops it if the pool has ended.
    ///
    /// `job` is called while the pool cannot change.
    pub(super) fn host<J: FnOnce() + Send + 'static>(&self, job: impl FnOnce() -> Option<J>) {
        if let Some(pool) = &lock(&self.threads).current
            && let Some(job) = job()
        {
            pool.spawn(job);
        }
    }

    /// Starts a thread that is no worker's, and ends with the others; returns whether it could. It says nothing in the log:
    /// whoever listens to that is user code, and may want something that the caller has a lock on.
    pub(super) fn start_thread(&self, name: &str, body: impl FnOnce() + Send + 'static) -> bool {
        let mut inner = lock(&self.threads);
        if inner.current.is_none() {
            return false;
        }
        inner.handles.retain(|handle| !handle.is_finished());
        let started = thread::Builder::new().name(name.to_owned()).spawn(body).map(|handle| inner.handles.push(handle));
        started.is_ok()
    }

    /// Lets all threads end once they are through with their jobs, and waits for that.
    pub(super) fn end(&self) {
        let (pool, handles) = {
            let mut inner = lock(&self.threads);
            (inner.current.take(), std::mem::take(&mut inner.handles))
        };
        drop(pool);
        for handle in handles {
            // A runtime may be dropped by one of its own tasks, whose thread ends after that.
            if handle.thread().id() != thread::current().id() {
                handle.join().expect("a worker thread does not panic: rayon aborts where a job does");
            }
        }
    }
}

fn build(
    threads: usize,
    number: u64,
    stack_size: Option<usize>,
    on_start: &OnStart,
) -> Result<(ThreadPool, Vec<JoinHandle<()>>), Error> {
    let mut handles = Vec::with_capacity(threads);
    // A thread of rayon's looks through the deques of all others before it sleeps. A thousand that did so at once would
    // keep this one from starting the rest.
    let start = Arc::new(Mutex::new(()));
    let starting = lock(&start);
    let built = ThreadPoolBuilder::new()
        .num_threads(threads)
        .spawn_handler(|thread| {
            let named = thread::Builder::new().name(format!("taskgraph-{}", thread.index()));
            let builder = match stack_size {
                Some(bytes) => named.stack_size(bytes),
                None => named,
            };
            let (on_start, start) = (Arc::clone(on_start), Arc::clone(&start));
            let body = move || {
                on_start(number);
                drop(lock(&start));
                thread.run();
            };
            handles.push(builder.spawn(body)?);
            Ok(())
        })
        .build();
    drop(starting);
    let pool = built.map_err(|source| Error::threads(threads, source))?;
    Ok((pool, handles))
}
