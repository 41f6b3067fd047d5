//! What generated code calls. Not for anybody else: it changes with every version.

pub use crate::graph::{
    Fallible, FallibleGrowing, Finish, Generating, Growing, Held, Input, Returns, Task, Value, Yielder, call, generate,
};
use crate::graph::{IntoArg, IntoRef};

/// An owned argument as an input.
#[inline(always)]
#[track_caller]
pub fn owned<T: Send + 'static, A: IntoArg<T>>(argument: A) -> A::Input {
    argument.into_input()
}

/// An argument that the body borrows, as an input.
#[inline(always)]
#[track_caller]
pub fn borrowed<B: ?Sized, A: IntoRef<B>>(argument: A) -> A::Input {
    argument.into_input()
}

/// A type that is a `Result`, to be asked for its value.
pub trait ResultType {
    /// The type inside `Ok`.
    type Value;
}

impl<T, E> ResultType for Result<T, E> {
    type Value = T;
}

/// Holds if `T` can be an argument of a task.
pub const fn argument<T: Send + 'static>() {} // arguments move between workers: `Arc` for `Rc`, `Mutex` for `RefCell`

/// Holds if `T` can be the result of a task.
pub const fn result<T: Send + 'static>() {} // results move between workers: `Arc` for `Rc`, `Mutex` for `RefCell`
