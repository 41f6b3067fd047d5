//! The `#[delayed]` attribute of the `taskgraph` crate. Use it from there: `use taskgraph::delayed;`.
//!
//! ```text
//! tokens --parse--> model --check--> no complaint --expand----> a constructor
//!                     |                                ^
//!                     |         some complaints --fallback----> the errors, and a stub of the same shape
//!                     |
//!                     +--fork--> a parameter has a #[cfg]: one function with it, one without, each delayed again
//! ```
//!
//! Invariant: the output has the name, the visibility and the shape that callers expect, so that a mistake in a delayed
//! function causes errors there and nowhere else. Generated code is a few lines that call `::taskgraph::__private`;
//! everything worth debugging lives there.
#![forbid(unsafe_code)]

mod model;
mod names;
mod parse;
mod fork;
mod complaints;
mod check;
mod expand;
mod fallback;
mod library;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

use crate::complaints::Complaints;

/// Turns a function into the constructor of a delayed computation.
///
/// Calling the constructor runs nothing: it returns a `DC<T>`, which a run computes later, on any worker.
///
/// ```text
/// #[delayed]
/// fn area(w: u32, h: u32) -> u32 { w * h }
///
/// // becomes
/// fn area(w: impl IntoArg<u32>, h: impl IntoArg<u32>) -> DC<u32>;
/// ```
///
/// The name, the visibility, the generics, the doc comments and the attributes stay. All delayed arguments of a call
/// run in parallel, before the body.
///
/// # Arguments
///
/// | written | the constructor takes | the body gets |
/// |---|---|---|
/// | `x: T` | `T`, `DC<T>`, or `Shared<T>` with `T: Clone` | the value; the last user of a shared value gets it without a copy |
/// | `x: &T`, `&str`, `&[T]`, .. | `T`, `DC<T>`, `Shared<T>`, `Arc<T>` | a borrow for the call: no copy, no `Clone` needed |
/// | `self`, `self: Arc<Self>`, `self: Box<Self>` | the receiver itself | the receiver, dropped when the task has run |
///
/// # Results
///
/// | written | returns | meaning |
/// |---|---|---|
/// | `-> T` | `DC<T>` | the value |
/// | `-> Result<T, E>` | `DC<T>` | `Err` fails the task, and everything that needs it |
/// | `-> DC<T>`, `-> Result<DC<T>, E>` | `DC<T>` | the graph grows: the returned computation takes this one's place |
/// | `-> C` with `yield_!(x)` in the body | `DC<C>` | a generator: what it yields runs in parallel and is collected in order |
/// | `-> Result<C, E>` with `yield_!(x)` | `DC<C>` | a generator whose body may use `?` and ends with `Ok(())` |
/// | `async fn`, of any of these | the same | a body that may `.await` computations, which give a `Result` of their value, and any other futures. It holds a worker only while it is polled |
///
/// A return type counts as a `Result` or a `DC` if its path ends with that name: an attribute sees names, not types.
///
/// A function can have up to 16 parameters. What an `async` body keeps across an `.await` must be `Send`, like its
/// arguments. `taskgraph::join!` awaits several computations at once, and tokio's timers and I/O work without any setup.
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `limit = 4` | at most 4 bodies of this function run at once, in all runs of the process; the others wait without a worker. A body that awaits computations gives its turn to others meanwhile |
/// | `limit = "db"` | the same, with one limit in each runtime for all functions that name it |
/// | `in_flight = 16` | generators: at most 16 of the yielded items are being made, or wait to be consumed from a stream; the body is suspended until there is room. Use it for large items; the default is a few for each worker, or a few thousand that wait |
/// | `timeout = "30s"` | a call that takes longer fails. The time starts with the body, after the arguments are there and the wait for a worker or a turn is over. Times are written as `250ms`, `30s`, `1m 30s`, and must not be 0 |
/// | `retries = 3` | a call that fails is tried again, up to 3 times. What the body owns is cloned for each try, what it borrows is not; a method that takes `self` cannot be tried again |
/// | `backoff = "100ms..10s"` | with `retries`: each wait is drawn at random up to a bound, which is `100ms` before the second try and doubles with each further try, up to `10s`. This is the default |
/// | `retry_if = path` | with `retries`: a function `fn(&E) -> bool` that decides whether a failure is worth another try. `E` is `taskgraph::Error`, or the type of the cause; other causes are then never retried |
/// | `priority = 5` | of what is ready, a higher priority starts first. The default is 0; `priority = -1` is below that |
/// | `name = ".."` | a name that errors, the log and the control port show besides the function's |
/// | `named` | arguments are given by name; only for functions outside an `impl` or a `trait` |
/// | `crate = ::engine` | the path of the library, if it has another name, or comes through another crate: `crate = crate::prelude::taskgraph` |
///
/// # Named arguments
///
/// ```text
/// #[delayed(named)]
/// fn resize(#[builder(start_fn)] image: Image, width: u32, #[builder(default = 1)] passes: u32) -> Image { .. }
///
/// resize(image).width(640).dc()   // a `DC<Image>`
/// ```
///
/// The function starts a call, and `.dc()` ends it: errors name that line. How an argument is given is declared as in
/// the [`bon`](https://docs.rs/bon) crate, which makes the setters:
///
/// | written | meaning |
/// |---|---|
/// | `x: T` | by name, required: `.x(..)` |
/// | `x: Option<T>` | `.x(..)` takes what a parameter of type `T` takes, `.maybe_x(..)` an `Option` of that; otherwise it is `None` |
/// | `#[builder(start_fn)]` | by position, where the call starts; such parameters come first |
/// | `#[builder(default = ..)]` | by name, or the default, which is made in the task and may use earlier arguments |
/// | `#[builder(default)]` | by name, or the default of its type |
/// | `#[builder(required)]` | required, though it is an `Option` |
/// | `#[builder(name = ..)]` | by another name |
///
/// A doc comment on a parameter goes to its setter.
#[proc_macro_attribute]
pub fn delayed(options: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    transform(options.into(), item.into()).into()
}

fn transform(options: TokenStream, item: TokenStream) -> TokenStream {
    let library = parse::library(&options);
    let tokens = transformed(options, item);
    if let Some(path) = library { library::at(&path, tokens) } else { tokens }
}

fn transformed(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut complaints = Complaints::default();
    let Some(function) = parse::function(item.clone(), &mut complaints) else {
        return fallback::unreadable(item, complaints);
    };
    if let Some(versions) = fork::on_cfg(&options, &function) {
        return versions;
    }
    let delayed = parse::delayed(options, function, &mut complaints);
    check::check(&delayed, &mut complaints);
    if complaints.is_empty() { expand::expand(&delayed) } else { fallback::stub(delayed, complaints) }
}
