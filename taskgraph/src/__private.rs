//! What generated code calls. Not for anybody else: it changes with every version.

use crate::graph::{self, DC, IntoArg, IntoRef};
pub use crate::graph::{
    Fallible, FallibleGrowing, Finish, Generating, Given, Growing, Held, Input, Lender, Lent, Optional, Returns, Task,
    Value, Yielder, future, generate, generate_async, sent,
};
/// Writes the builder of a function with named arguments.
pub use bon;

pub use crate::join::Join;
pub use crate::limit::Limit;
pub use crate::policy::{Policy, again, governed, judge, retried};

/// An owned argument as an input.
#[inline(always)]
#[track_caller]
pub fn owned<T, A: IntoArg<T>>(argument: A) -> A::Input
where
    T: Send + 'static, // arguments move between workers, and nothing borrows: `Arc` for `Rc`, `Mutex` for `RefCell`
{
    argument.into_input()
}

/// An argument that the body borrows, as an input.
#[inline(always)]
#[track_caller]
pub fn borrowed<B, A: IntoRef<B>>(argument: A) -> A::Input
where
    B: ?Sized + Send + Sync + 'static, // borrowed by several workers at once: take it by value, or `Mutex` for `RefCell`
{
    argument.into_input()
}

/// An owned argument, for a call that is still to be made.
#[inline(always)]
#[track_caller]
pub fn given<T, A: IntoArg<T>>(argument: A) -> Given<T>
where
    T: Send + 'static, // arguments move between workers, and nothing borrows: `Arc` for `Rc`, `Mutex` for `RefCell`
{
    argument.into_given()
}

/// An argument that the body borrows, for a call that is still to be made.
#[inline(always)]
#[track_caller]
pub fn lent<B, A: IntoRef<B>>(argument: A) -> Lent<B>
where
    B: ?Sized + Send + Sync + 'static, // borrowed by several workers at once: take it by value, or `Mutex` for `RefCell`
{
    argument.into_lent()
}

/// An argument whose call is made here, as an input.
#[inline(always)]
#[track_caller]
pub fn called<T>(mut given: Given<T>) -> Given<T> {
    given.called();
    given
}

/// Like [`called`], for an argument that may not have been given.
#[inline(always)]
#[track_caller]
pub fn called_optional<T>(mut given: Option<Given<T>>) -> Optional<T> {
    if let Some(given) = &mut given {
        given.called();
    }
    Optional(given)
}

/// A type that is a `Result`, to get at the type of its value.
pub trait ResultType {
    /// The type inside `Ok`.
    type Value;
}

impl<T, E> ResultType for Result<T, E> {
    type Value = T;
}

/// A task with a result of type `T`, which generated code names where the user does: errors about it are shown there.
#[inline(always)]
#[track_caller]
pub fn call<N, R, T, I, F, O>(inputs: I, body: F) -> DC<T>
where
    N: Task,
    R: Returns<O, Value = T>,
    T: Send + 'static, // results move between workers: `Arc` for `Rc`, `Mutex` for `RefCell`
    I: Input,
    F: FnOnce(I::Value) -> O + Send + 'static,
{
    graph::call::<N, R, I, F, O>(inputs, body)
}
