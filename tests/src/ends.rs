//! All the ways in which a graph ends.

use std::panic;
use std::sync::Arc;

use taskgraph::{DC, Error};

use crate::wait::Stages;
use crate::{failing, runtime};

/// How a graph with a given leaf ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its result.
    Success,
    /// The leaf fails.
    Error,
    /// The leaf panics.
    Panic,
    /// The run is cancelled while the leaf runs.
    Cancelled,
    /// It is dropped without having run.
    Unrun,
}

/// All of them.
pub const ENDS: [End; 5] = [End::Success, End::Error, End::Panic, End::Cancelled, End::Unrun];

/// Ends the graph that `build` makes around a leaf; returns the result, if it was run.
#[track_caller]
pub fn end<T: Send + 'static, V: Send + 'static>(
    end: End,
    max_workers: usize,
    leaf: impl FnOnce() -> V + Send + 'static,
    build: impl FnOnce(DC<V>) -> DC<T>,
) -> Option<Result<T, Error>> {
    let runtime = runtime(max_workers);
    match end {
        End::Success => Some(runtime.run(build(DC::new(move |()| leaf(), ((),))))),
        End::Error => Some(runtime.run(build(failing("no luck")))),
        End::Panic => {
            let panicking = DC::<V>::new(move || -> V { panic::resume_unwind(Box::new("out of luck")) }, ());
            Some(runtime.run(build(panicking)))
        }
        End::Cancelled => {
            // The leaf runs; the run is cancelled; the leaf ends.
            let stages = Arc::new(Stages::new());
            let leaf = {
                let stages = Arc::clone(&stages);
                move || {
                    stages.signal(1);
                    stages.wait_for(2);
                    leaf()
                }
            };
            let handle = runtime.spawn(build(DC::new(move |()| leaf(), ((),))));
            stages.wait_for(1);
            handle.cancel();
            stages.signal(2);
            Some(handle.join())
        }
        End::Unrun => {
            drop(build(DC::new(move |()| leaf(), ((),))));
            None
        }
    }
}
