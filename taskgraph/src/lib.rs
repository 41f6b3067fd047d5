//! Dynamic task graphs: ordinary functions become delayed computations that run in parallel, grow while they run, and
//! can be given more or fewer workers at any time.
//!
//! ```
//! use taskgraph::delayed;
//!
//! #[delayed]
//! fn sum_below(n: u64) -> u64 {
//!     (0..n).sum()
//! }
//!
//! #[delayed]
//! fn sums(count: u64) -> Vec<u64> {
//!     for i in 1..=count {
//!         yield_!(sum_below(10 * i));
//!     }
//! }
//!
//! fn main() -> Result<(), taskgraph::Error> {
//!     let result = taskgraph::run(sums(3), 4)?; // up to 4 workers
//!     assert_eq!(result, [45, 190, 435]);
//!     Ok(())
//! }
//! ```
//!
//! The repository has a guide, in `docs/`: from the first program to the internals.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("taskgraph needs a target with 64-bit pointers: a node keeps marks in their low bits");

mod sync;
mod barrier;
mod unwind;
mod weak_list;
mod mailbox;
mod block_on;
mod join;
mod task;
mod progress;
mod error;
mod steering;
#[expect(unsafe_code, reason = "nodes of all types in one queue, written and freed without a lock")]
mod graph;
mod scheduler;
mod timer;
mod timeout;
mod limit;
mod reactor;
mod policy;
mod control;
mod runtime;
mod run;
pub mod testing;
#[doc(hidden)]
pub mod __private;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use control::fuzzing;
pub use error::Error;
pub use graph::{
    Awaited, DC, Func, IntoArg, IntoRef, Output, Shared, Stream, all, attempt, each, first_of, is_cancelled,
    map_chunks, race, reduce, select_ok, stream,
};
pub use progress::{FunctionProgress, Progress};
pub use run::{run, run_async};
pub use runtime::{Builder, Canceller, Handle, IntoStream, Results, Runtime};
pub use task::Task;
/// Turns a function into a constructor of delayed computations.
///
/// The example uses [named arguments](#named-arguments), some of them optional; the full reference follows.
///
/// ```
/// use taskgraph::delayed;
///
/// #[delayed]
/// fn load(path: &str) -> String { format!("the text of {path}") }
///
/// #[delayed(named)]
/// fn wrap(
///     #[builder(start_fn)] text: &str,
///     /// The length of a line.
///     width: usize,
///     #[builder(default = width / 2)] indent: usize,
///     title: Option<String>,
/// ) -> String {
///     format!("{text} in lines of {width}, {indent} to the right, below {title:?}")
/// }
///
/// let both = taskgraph::all([
///     wrap("this").width(80).indent(2).dc(),
///     wrap(load("a.txt")).width(40).title("that").dc(), // any argument may be delayed or shared
/// ]);
/// let [this, that] = taskgraph::Runtime::builder().no_control().build()?.run(both)?.try_into().unwrap();
/// assert_eq!(this, "this in lines of 80, 2 to the right, below None");
/// assert_eq!(that, "the text of a.txt in lines of 40, 20 to the right, below Some(\"that\")");
/// # Ok::<(), taskgraph::Error>(())
/// ```
pub use taskgraph_macros::delayed;

/// The most workers a runtime may have.
///
/// Each has a thread. Machines with more cores than this are better used by several processes.
///
/// ```
/// let too_many = taskgraph::MAX_WORKERS_LIMIT + 1;
/// assert!(taskgraph::Runtime::builder().max_workers(too_many).no_control().build().is_err());
/// ```
pub const MAX_WORKERS_LIMIT: usize = 1024;

/// The default control port: [`run()`] listens on it while it runs, a [`Runtime`] for as long as it exists.
/// [`Builder::control`] or the environment variable `TASKGRAPH_CONTROL` selects another.
///
/// ```
/// let hint = format!("telnet 127.0.0.1 {}", taskgraph::CONTROL_PORT);
/// assert_eq!(hint, "telnet 127.0.0.1 8888");
/// ```
pub const CONTROL_PORT: u16 = 8888;

/// Yields from the body of a generator: `yield_!(x)`, where `x` is a computation or a value.
///
/// A `#[delayed]` function whose body uses it is a generator; the attribute gives it its meaning. If its value is used,
/// `yield_!(x)` gives a [`Shared`] handle on the result; the item type must then be `Clone + Sync`.
///
/// ```
/// use taskgraph::delayed;
///
/// #[delayed]
/// fn double(x: u32) -> u32 { 2 * x }
///
/// #[delayed]
/// fn powers(n: u32) -> Vec<u32> {
///     let mut last = yield_!(1);
///     for _ in 0..n {
///         last = yield_!(double(last));
///     }
/// }
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(powers(4))?, [1, 2, 4, 8, 16]);
/// # Ok::<(), taskgraph::Error>(())
/// ```
///
/// Anywhere else it is a compile error that says so.
///
/// ```compile_fail
/// fn plain() -> Vec<u64> {
///     taskgraph::yield_!(1);
///     vec![]
/// }
/// ```
#[macro_export]
macro_rules! yield_ {
    ($($any:tt)*) => {
        ::core::compile_error!(
            "`yield_!` only works in the body of a `#[taskgraph::delayed]` function: put the attribute on this function, and let it return a collection"
        )
    };
}

#[cfg(doctest)]
mod guide;
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
