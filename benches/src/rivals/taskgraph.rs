//! taskgraph itself, without its control port. Each work has its code, as a user would write it.

use taskgraph::{DC, Runtime};

pub(crate) fn runtime(workers: usize) -> Runtime {
    Runtime::builder()
        .max_workers(workers)
        .no_control()
        .build()
        .expect("as many workers as the command line may ask for")
}

/// A closure that makes a graph and runs it.
pub(crate) fn runs(workers: usize, graph: impl Fn(u64) -> DC<u64>) -> impl FnMut(u64) -> u64 {
    let runtime = runtime(workers);
    move |length| runtime.run(graph(length)).expect("no task of a work fails")
}
