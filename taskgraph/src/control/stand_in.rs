//! A runtime that has only what can be asked of it, for the tests of the port and its fuzzing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::MAX_WORKERS_LIMIT;
use crate::error::Error;
use crate::progress::{Function, FunctionProgress, Progress};
use crate::steering::{LimitStatus, RunStatus, Running, Status, Steering};

pub(super) struct Fake {
    max_workers: AtomicUsize,
    limit: AtomicUsize,
    has_run: AtomicBool,
    is_paused: AtomicBool,
    is_counting: AtomicBool,
    fault: Option<Fault>,
}

#[cfg_attr(not(test), expect(dead_code, reason = "the fuzzer's has none"))]
enum Fault {
    /// `max_workers` cannot be changed.
    Refuses(&'static str),
    /// What only a bug would do.
    PanicsAt(usize),
}

impl Fake {
    pub(super) fn with_max_workers(max_workers: usize) -> Fake {
        Fake {
            max_workers: AtomicUsize::new(max_workers),
            limit: AtomicUsize::new(8),
            has_run: AtomicBool::new(true),
            is_paused: AtomicBool::new(false),
            is_counting: AtomicBool::new(false),
            fault: None,
        }
    }

    #[cfg(test)]
    pub(super) fn failing(failure: &'static str) -> Fake {
        Fake { fault: Some(Fault::Refuses(failure)), ..Fake::with_max_workers(4) }
    }

    #[cfg(test)]
    pub(super) fn panicking_at(max_workers: usize) -> Fake {
        Fake { fault: Some(Fault::PanicsAt(max_workers)), ..Fake::with_max_workers(4) }
    }
}

impl Steering for Fake {
    fn max_workers(&self) -> usize {
        self.max_workers.load(Ordering::Relaxed)
    }

    fn set_max_workers(&self, max_workers: usize) -> Result<(), Error> {
        match self.fault {
            Some(Fault::PanicsAt(n)) => assert_ne!(max_workers, n, "the runtime has a bug"),
            Some(Fault::Refuses(failure)) => return Err(Error::setting(failure.to_owned())),
            None => {}
        }
        if !(1..=MAX_WORKERS_LIMIT).contains(&max_workers) {
            return Err(Error::max_workers(max_workers));
        }
        self.max_workers.store(max_workers, Ordering::Relaxed);
        Ok(())
    }

    fn pause(&self) {
        self.is_paused.store(true, Ordering::Relaxed);
    }

    fn resume(&self) {
        self.is_paused.store(false, Ordering::Relaxed);
    }

    fn status(&self) -> Status {
        let is_paused = self.is_paused.load(Ordering::Relaxed);
        Status { max_workers: self.max_workers(), running: 2, runs: 1, is_paused }
    }

    fn running(&self) -> Vec<Running> {
        Vec::new()
    }

    fn progress(&self) -> Progress {
        let function = Function { name: "load", label: None, place: None };
        let counted_for = Duration::from_secs(if self.is_counting.swap(true, Ordering::Relaxed) { 4 } else { 0 });
        Progress { counted_for, functions: vec![FunctionProgress { function, done: 10, failed: 1, running: 2 }] }
    }

    fn runs(&self, _: usize) -> Vec<RunStatus> {
        let run = RunStatus { id: 1, task: None, lasts: Duration::from_millis(2_500) };
        if self.has_run.load(Ordering::Relaxed) { vec![run] } else { vec![] }
    }

    fn cancel(&self, run: Option<u64>, _: SocketAddr) -> usize {
        let is_known = run.is_none_or(|id| id == 1);
        usize::from(is_known && self.has_run.swap(false, Ordering::Relaxed))
    }

    fn limits(&self) -> Vec<LimitStatus> {
        let size = self.limit.load(Ordering::Relaxed);
        vec![LimitStatus { name: "db".to_owned(), size, running: 2, waiting: 5 }]
    }

    fn set_limit(&self, name: &str, size: usize) -> Result<(), Error> {
        if size == 0 {
            return Err(Error::setting(format!("the limit {name} is {size}")));
        }
        self.limit.store(size, Ordering::Relaxed);
        Ok(())
    }
}

/// The address of a client without a socket.
pub(super) fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4321))
}
