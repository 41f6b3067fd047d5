//! One of many: the first that is computed; then the others are not needed any more.

use super::{Stream, stream_of};
use crate::error::{Cause, Error};
use crate::graph::call::{Fallible, Task, task};
use crate::graph::delayed::DC;
use crate::graph::future::{future, sent};
use crate::unwind;

/// Why there is no first one.
const OF_NOTHING: &str = "there is nothing to choose from: give it at least one computation";

/// All contenders are in flight, however many there are.
struct Contenders;

impl Task for Contenders {
    const NAME: &'static str = "stream";
    const IN_FLIGHT: Option<u32> = Some(u32::MAX);
}

#[track_caller]
fn contenders<T: Send + 'static>(delayed: impl IntoIterator<Item = DC<T>>) -> Stream<T> {
    let delayed: Vec<_> = delayed.into_iter().collect();
    stream_of::<Contenders, _>(delayed.into_iter()).as_completed()
}

/// The result of the first computation to finish, be it a value or a failure. The others are cancelled.
///
/// All of them may run in parallel, as far as there are workers; those that wait for timers or I/O need none. They are taken
/// from `delayed` at once, so it has to be finite.
///
/// ```
/// use std::time::Duration;
/// # use taskgraph::delayed;
///
/// #[delayed]
/// async fn ask(server: &'static str, ms: u64) -> String {
///     tokio::time::sleep(Duration::from_millis(ms)).await; // for the network
///     format!("answered by {server}")
/// }
///
/// let answer = taskgraph::race([ask("far", 60_000), ask("near", 5)]);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(answer)?, "answered by near");
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn race<I, T>(delayed: I) -> DC<T>
where
    I: IntoIterator<Item = DC<T>>,
    T: Send + 'static,
{
    task!(Race "race", is_counted: false);
    let mut results = contenders(delayed);
    future::<Race, Fallible, _, _>(sent(async move {
        let first = results.next().await;
        unwind::drop_values(|| drop(results));
        match first {
            Some(result) => result.map_err(Cause::from),
            None => Err(OF_NOTHING.into()),
        }
    }))
}

/// Like [`race`], but gives the index of the first one, from 0, and its value.
///
/// ```
/// use taskgraph::DC;
///
/// let first = taskgraph::first_of([DC::value("tea"), DC::value("coffee")]);
/// let (which, value) = taskgraph::Runtime::builder().no_control().build()?.run(first)?;
/// assert_eq!(["tea", "coffee"][which], value);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn first_of<I, T>(delayed: I) -> DC<(usize, T)>
where
    I: IntoIterator<Item = DC<T>>,
    T: Send + 'static,
{
    race(delayed.into_iter().enumerate().map(|(which, delayed)| delayed.map(move |value| (which, value))))
}

/// The value of the first computation that succeeds; the others are cancelled. If all fail, it fails like the last of them.
///
/// ```
/// use taskgraph::DC;
///
/// let broken = DC::<u32>::failed("out of order");
/// let value = taskgraph::select_ok([broken, DC::value(7)]);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(value)?, 7);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn select_ok<I, T>(delayed: I) -> DC<T>
where
    I: IntoIterator<Item = DC<T>>,
    T: Send + 'static,
{
    task!(SelectOk "select_ok", is_counted: false);
    let mut results = contenders(delayed);
    future::<SelectOk, Fallible, _, _>(sent(async move {
        let mut failure: Option<Error> = None;
        while let Some(result) = results.next().await {
            match result {
                Ok(value) => {
                    unwind::drop_values(|| drop((results, failure)));
                    return Ok(value);
                }
                Err(error) => unwind::drop_values(|| drop(failure.replace(error))),
            }
        }
        Err(failure.map_or_else(|| OF_NOTHING.into(), Cause::from))
    }))
}
