//! The usual way to run a graph, in one call.

use crate::error::Error;
use crate::graph::{self, DC};
use crate::runtime::Runtime;

/// Runs a computation on up to `max_workers` workers, and waits for its result.
///
/// While it runs, the number of workers can be changed over `telnet 127.0.0.1 8888`: see `set_max_workers` there, or
/// `help`. If the port is taken, the run goes on without one and logs a `tracing` warning. A [`Runtime`] has more
/// settings, and serves several runs.
///
/// May be called from several threads, and from inside a task.
///
/// # Errors
///
/// As for [`Builder::build`](crate::Builder::build), for example if `max_workers` is out of range; otherwise the first
/// failure of the run. By then, what was running has ended, and nothing else was started. Inside a task it also fails if the
/// system has no threads left.
///
/// ```
/// let answer = taskgraph::DC::new(|a: u32, b: u32| a * b, (6, 7));
/// assert_eq!(taskgraph::run(answer, 2)?, 42);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn run<T: Send + 'static>(delayed: DC<T>, max_workers: usize) -> Result<T, Error> {
    let (runtime, delayed) = runtime_for(delayed, max_workers)?;
    runtime.run(delayed)
}

/// If there is none, it is not the computation's fault that it does not run.
fn runtime_for<T>(delayed: DC<T>, max_workers: usize) -> Result<(Runtime, DC<T>), Error> {
    match Runtime::builder().max_workers(max_workers).build() {
        Ok(runtime) => Ok((runtime, delayed)),
        Err(error) => {
            graph::drop_given_up(|| drop(delayed));
            Err(error)
        }
    }
}

/// [`run`] for async code, which awaits the result instead of blocking for it.
///
/// Everything starts at the first poll, and dropping the future cancels the run. See [`Runtime::run_async`] for the timers
/// and the I/O that the futures in its tasks use.
///
/// # Errors
///
/// As for [`run`].
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), taskgraph::Error> {
/// let answer = taskgraph::DC::new(|a: u32, b: u32| a * b, (6, 7));
/// assert_eq!(taskgraph::run_async(answer, 2).await?, 42);
/// # Ok(())
/// # }
/// ```
pub async fn run_async<T: Send + 'static>(delayed: DC<T>, max_workers: usize) -> Result<T, Error> {
    let (runtime, delayed) = runtime_for(delayed, max_workers)?;
    let run = runtime.run_async(delayed);
    run.await
}
