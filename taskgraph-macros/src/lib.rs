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
//! Always true: what comes out has the name, the visibility and the shape that callers expect, so that a mistake in
//! a delayed function gives errors there and nowhere else. Generated code is a few lines that call
//! `::taskgraph::__private`; everything worth debugging lives there.
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
/// Calling the constructor runs nothing: it gives a `DC<T>`, and a run computes it later, on any worker.
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
/// | `x: T` | `T`, `DC<T>`, or `Shared<T>` with `T: Clone` | the value; the last user of a shared one gets it without a copy |
/// | `x: &T`, `&str`, `&[T]`, .. | `T`, `DC<T>`, `Shared<T>`, `Arc<T>` | a borrow for the call: no copy, no `Clone` needed |
/// | `self`, `self: Arc<Self>`, `self: Box<Self>` | the receiver itself | the receiver, dropped when the task has run |
///
/// # Results
///
/// | written | returns | meaning |
/// |---|---|---|
/// | `-> T` | `DC<T>` | the value |
/// | `-> Result<T, E>` | `DC<T>` | `Err` fails the task, and whoever needs it |
/// | `-> DC<T>`, `-> Result<DC<T>, E>` | `DC<T>` | the graph grows: the returned computation takes this one's place |
/// | `-> C` with `yield_!(x)` in the body | `DC<C>` | a generator: what it yields runs in parallel and is collected in order |
/// | `-> Result<C, E>` with `yield_!(x)` | `DC<C>` | a generator whose body may use `?` and ends with `Ok(())` |
/// | `async fn`, of any of these | the same | a body that may `.await`: a computation, which gives a `Result` of its value, or any other future. It has its worker only while it is polled |
///
/// A return type is a `Result` or a `DC` when its path ends so: an attribute sees names, not types.
///
/// A function has up to 16 parameters. What an `async` body keeps across an `.await` must be `Send`, as its arguments must;
/// `taskgraph::join!` awaits several computations at once, and tokio's timers and I/O work without further ado.
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `limit = 4` | no more than so many of its bodies run at once, in all runs of the process; the others wait, and need no worker for that. One that awaits computations gives its turn to others meanwhile |
/// | `limit = "db"` | the same for several functions: all that name it have their turns of one limit |
/// | `in_flight = 16` | of a generator: no more than so many of what it yields are in the making at a time, or wait for whoever consumes them as a stream; the body is held back until there is room. For items that are large; otherwise there are a few for each worker, or some thousand that wait |
/// | `timeout = "30s"` | a call that takes longer has failed. Time counts from when its body starts: not what its arguments take, nor the wait for a worker or a turn. Times are written as `250ms`, `30s`, `1m 30s`, and are not 0 |
/// | `retries = 3` | a call that fails is made again, up to so many times. What the body owns is cloned for each try, what it borrows is not; a method that takes `self` cannot be tried again |
/// | `backoff = "100ms..10s"` | with `retries`: the longest wait before the second try, and the longest that it grows to, twofold with each try. A wait is drawn at random, up to that. If nothing is said it is `100ms..10s` |
/// | `retry_if = path` | with `retries`: a function `fn(&E) -> bool`, which says whether a failure is worth another try. `E` is `taskgraph::Error`, or the type of the cause: then other causes are never retried |
/// | `priority = 5` | of what could run, a higher priority is taken first; 0 if nothing is said, and `priority = -1` is below that |
/// | `name = ".."` | a name that errors, the log and the control port show besides the function's |
/// | `named` | arguments are given by their names; only for functions outside of an `impl` or a `trait` |
/// | `crate = ::engine` | where the library is, for who has it by another name, or through another crate: `crate = crate::prelude::taskgraph` |
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
/// The function starts a call, `.dc()` ends it: errors name that line. A parameter says in the words of the
/// [`bon`](https://docs.rs/bon) crate, which makes the setters, how its argument is given:
///
/// | written | meaning |
/// |---|---|
/// | `x: T` | by its name, and always: `.x(..)` |
/// | `x: Option<T>` | `.x(..)` takes what a parameter of type `T` takes, `.maybe_x(..)` an `Option` of that; else it is `None` |
/// | `#[builder(start_fn)]` | by position, where the call starts; such parameters come first |
/// | `#[builder(default = ..)]` | by its name, or the default. That is made in the task, and may use earlier arguments |
/// | `#[builder(default)]` | by its name, or the default of its type |
/// | `#[builder(required)]` | always, though it is an `Option` |
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
