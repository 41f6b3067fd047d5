//! Tests of taskgraph through its public API: see the `tests` folder beside this one. This library is what they share.

pub mod bodies;
pub mod census;
pub mod checks;
pub mod ends;
pub mod inside;
pub mod log;
pub mod needs;
pub mod process;
pub mod size;
pub mod tasks;
pub mod wait;

use std::sync::Arc;
use std::sync::mpsc::channel;

use taskgraph::{DC, Error, Runtime, Shared};

use crate::wait::Stages;

/// One worker and several, for tests that are the same with both.
pub const WORKERS: [usize; 2] = [1, 4];

/// A runtime with this many workers, without a control port.
#[track_caller]
pub fn runtime(max_workers: usize) -> Runtime {
    Runtime::builder().max_workers(max_workers).no_control().build().expect("the system has threads left")
}

/// Runs a computation on a runtime of its own.
#[track_caller]
pub fn run<T: Send + 'static>(computation: DC<T>, max_workers: usize) -> Result<T, Error> {
    runtime(max_workers).run(computation)
}

/// A task that fails with `cause`.
#[track_caller]
pub fn failing<T: Send + 'static>(cause: &'static str) -> DC<T> {
    fn fail<T>(cause: &'static str) -> Result<T, String> {
        Err(cause.to_owned())
    }
    DC::<T>::new(fail::<T>, (cause,))
}

/// A task that holds its worker: it signals stage 1, and ends with stage 2.
pub fn blocker(stages: &Arc<Stages>) -> DC<()> {
    let stages = Arc::clone(stages);
    DC::new(
        move || {
            stages.signal(1);
            stages.wait_for(2);
        },
        (),
    )
}

/// A task that arrives at `stages`, and blocks in a run of `other` until that stage is reached.
pub fn blocks_in(other: &Arc<Runtime>, stages: &Arc<Stages>, until: u32) -> DC<()> {
    let (other, stages) = (Arc::clone(other), Arc::clone(stages));
    DC::new(
        move || {
            stages.arrive();
            other.run(DC::new(move || stages.wait_for(until), ())).expect("the other runtime is there");
        },
        (),
    )
}

/// A computation that needs `shared`, and a way to wait until it has asked for that.
pub fn asking<T: Clone + Send + Sync + 'static>(shared: Shared<T>) -> (DC<T>, impl FnOnce()) {
    let (asked, has_asked) = channel();
    // A task starts its other inputs when it has asked for the shared results.
    let then = DC::new(move || asked.send(()).expect("somebody waits"), ());
    (DC::new(|x: T, ()| x, (shared, then)), move || has_asked.recv().expect("the computation is run"))
}
