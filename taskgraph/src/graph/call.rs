//! A call: the node of one task, with its body and its arguments.

pub(super) mod input;
pub(super) mod given;

use std::any;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;

use self::input::{FailedSlots, Input, Placing};
use super::cx::Cx;
use super::cx::seat::Name;
use super::delayed::DC;
use super::node::memory;
use super::node::{Abandoned, Described, Destination, Node, Ready, Table};
use super::settle::{self, Why};
use super::shared::tap;
use crate::error::{Cause, IntoCause};
use crate::task::Task as TaskName;
use crate::unwind;

/// How errors name a task. Generated code implements it, once for each function.
pub trait Task: 'static {
    /// The function's name.
    const NAME: &'static str;
    /// What the attribute's `name` option says.
    const LABEL: Option<&'static str> = None;
    /// Where the function is written.
    const PLACE: Option<&'static Location<'static>> = None;
    /// For a generator: how many of its children may be in flight, if that was set.
    const IN_FLIGHT: Option<u32> = None;
    /// Whether no user wrote it: errors do not list it among what needed what failed.
    const IS_PLUMBING: bool = false;
    /// Whether it is a task of its own for those who count them.
    #[doc(hidden)]
    const IS_COUNTED: bool = !Self::IS_PLUMBING;

    #[doc(hidden)]
    fn name() -> &'static str {
        Self::NAME
    }
}

/// A name for the tasks that a function or a method of the library makes. What puts results together is not counted.
macro_rules! task {
    ($visibility:vis $task:ident $name:literal) => {
        $crate::graph::call::task!($visibility $task $name, is_counted: true);
    };
    ($visibility:vis $task:ident $name:literal, is_counted: $is_counted:literal) => {
        $visibility struct $task;
        impl $crate::graph::Task for $task {
            const NAME: &'static str = $name;
            const IS_COUNTED: bool = $is_counted;
        }
    };
}
pub(crate) use task;

/// The name of a function that was given as a value.
pub(super) struct Function<F>(PhantomData<F>);

impl<F: 'static> Task for Function<F> {
    const NAME: &'static str = "";

    /// The last part of the path, if that is not the compiler's own word.
    fn name() -> &'static str {
        let path = any::type_name::<F>();
        if path.ends_with('>') || path.ends_with("{{closure}}") {
            return "closure";
        }
        path.rsplit("::").next().unwrap_or(path)
    }
}

/// What the body of a task came to.
pub enum Outcome<T> {
    Value(T),
    /// The task goes on as the generator that was made for it.
    Generated(DC<T>),
    /// Another computation takes this one's place.
    Delayed(DC<T>),
    Failed(Cause),
}

/// How to understand what a body returns.
pub trait Returns<R>: 'static {
    /// The type of the result.
    type Value;
    /// What the body came to.
    fn outcome(returned: R) -> Outcome<Self::Value>;
}

/// The body returns the value.
pub struct Value;
/// The body returns a `Result`.
pub struct Fallible;
/// The body returns a computation that takes the place of its own.
pub struct Growing;
/// The body makes the generator that the task becomes.
pub struct Generating;
/// The body returns a `Result` of a computation that takes the place of its own.
pub struct FallibleGrowing;

/// The body itself says what it came to.
pub(super) struct AsSaid<T>(PhantomData<T>);

impl<T> Returns<T> for Value {
    type Value = T;
    #[inline(always)]
    fn outcome(returned: T) -> Outcome<T> {
        Outcome::Value(returned)
    }
}

impl<T, E: IntoCause> Returns<Result<T, E>> for Fallible {
    type Value = T;
    #[inline(always)]
    fn outcome(returned: Result<T, E>) -> Outcome<T> {
        match returned {
            Ok(value) => Outcome::Value(value),
            Err(error) => Outcome::Failed(error.into_cause()),
        }
    }
}

impl<T> Returns<DC<T>> for Growing {
    type Value = T;
    #[inline(always)]
    fn outcome(returned: DC<T>) -> Outcome<T> {
        Outcome::Delayed(returned)
    }
}

impl<T> Returns<DC<T>> for Generating {
    type Value = T;
    #[inline(always)]
    fn outcome(returned: DC<T>) -> Outcome<T> {
        Outcome::Generated(returned)
    }
}

impl<T, E: IntoCause> Returns<Result<DC<T>, E>> for FallibleGrowing {
    type Value = T;
    #[inline(always)]
    fn outcome(returned: Result<DC<T>, E>) -> Outcome<T> {
        match returned {
            Ok(delayed) => Outcome::Delayed(delayed),
            Err(error) => Outcome::Failed(error.into_cause()),
        }
    }
}

impl<T: 'static> Returns<Outcome<T>> for AsSaid<T> {
    type Value = T;
    #[inline(always)]
    fn outcome(said: Outcome<T>) -> Outcome<T> {
        said
    }
}

#[repr(C)]
struct Call<N, R, I: Input, F, O> {
    node: Node,
    body: ManuallyDrop<F>,
    slots: I::Slot,
    types: PhantomData<(N, R, O)>,
}

/// A task: `body` is called with the values of `inputs` once they are all there.
#[inline(always)]
#[track_caller]
pub(crate) fn call<N, R, I, F, O>(inputs: I, body: F) -> DC<R::Value>
where
    N: Task,
    I: Input,
    F: FnOnce(I::Value) -> O + Send + 'static,
    R: Returns<O>,
    R::Value: Send + 'static,
{
    let call = memory::allocate::<Call<N, R, I, F, O>>();
    let at = call.as_ptr();
    let mut placing = Placing::new(call.cast());
    // SAFETY: the memory is room for a `Call`; every field of it is written here, by its own type.
    unsafe {
        inputs.place(&raw mut (*at).slots, &mut placing);
        (&raw mut (*at).body).write(ManuallyDrop::new(body));
        (&raw mut (*at).node).write(Node::new(Call::<N, R, I, F, O>::TABLE, Location::caller(), placing.missing()));
        DC::from_parts(call.cast(), placing.finish())
    }
}

impl<N, R, I, F, O> Call<N, R, I, F, O>
where
    N: Task,
    I: Input,
    F: FnOnce(I::Value) -> O + Send + 'static,
    R: Returns<O>,
    R::Value: Send + 'static,
{
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: describe::<N> };

    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let call = node.cast::<Self>();
        let at = call.as_ptr();
        if const { I::HAS_TAPS } {
            // SAFETY: the node is ours, with its slots.
            if let Some(next) = unsafe { tap::ask::<I>(node, &raw mut (*at).slots, cx) } {
                return next;
            }
        }
        // The node is freed before its body runs: its memory serves what the body makes, and a body may take long.
        // SAFETY: all inputs have arrived, and everything is moved out before the memory goes.
        let (held, body, to, origin) = unsafe {
            let held = I::take(&raw mut (*at).slots);
            let body = ManuallyDrop::take(&mut (*at).body);
            let (to, origin) = ((*at).node.destination(), (*at).node.origin());
            memory::free(call);
            (held, body, to, origin)
        };
        cx.seat.note::<N>(origin);
        match unwind::catch(|| R::outcome(body(I::open(held)))) {
            // SAFETY: the destination and the origin are those of this node.
            Ok(outcome) => unsafe { conclude::<N, _>(outcome, origin, to, cx) },
            // SAFETY: as above.
            Err(message) => unsafe { fail::<N>(origin, Why::Panicked(message), to, cx) },
        }
    }

    /// # Safety
    ///
    /// The node is one of these, all its inputs are in, and it is the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        let call = node.cast::<Self>();
        let at = call.as_ptr();
        // SAFETY: the node is ours; what its slots hold and its body are dropped once, then its memory goes.
        unsafe {
            if const { I::HAS_TAPS } && tap::forgo::<I>(node, &raw mut (*at).slots, cx) {
                return Abandoned::Caught(None);
            }
            let (to, failed) = ((*at).node.destination(), (*at).node.take_failed());
            settle::drop_given_up(|| I::discard(&raw mut (*at).slots, &FailedSlots(&failed)));
            settle::drop_given_up(|| ManuallyDrop::drop(&mut (*at).body));
            memory::free(call);
            Abandoned::Failed(to)
        }
    }
}

/// Goes on from what the body of a task came to.
///
/// # Safety
///
/// `to` and `origin` are those of the task's node, which is gone and has a result of type `T`.
#[inline(always)]
pub(super) unsafe fn conclude<N: Task, T>(
    outcome: Outcome<T>,
    origin: &'static Location<'static>,
    to: Destination,
    cx: &mut Cx<'_>,
) -> Option<Ready> {
    match outcome {
        // SAFETY: the caller's promise; the result is this value.
        Outcome::Value(value) => unsafe { settle::deliver(to, value, cx) },
        // SAFETY: as above; the computation has the node's result.
        Outcome::Delayed(delayed) => unsafe { delayed.replace(to, cx) },
        Outcome::Generated(mut generator) => {
            // The body has yet to end there.
            cx.seat.clear();
            generator.set_origin(origin);
            // SAFETY: as above.
            unsafe { generator.replace(to, cx) }
        }
        // SAFETY: the caller's promise.
        Outcome::Failed(cause) => unsafe { fail::<N>(origin, Why::Failed(cause), to, cx) },
    }
}

/// A task has failed, and its failure arrives at `to`.
///
/// # Safety
///
/// `to` is the destination of the task's node, which is gone and has not arrived there.
#[cold]
pub(super) unsafe fn fail<N: Task>(
    origin: &'static Location<'static>,
    why: Why,
    to: Destination,
    cx: &mut Cx<'_>,
) -> Option<Ready> {
    cx.seat.count_failed::<N>();
    // SAFETY: the caller's promise.
    unsafe {
        settle::blame(name::<N>(origin), why, to, cx);
        settle::fail(to, cx)
    }
}

/// What the node of a task is to users.
///
/// # Safety
///
/// It is alive.
pub(super) unsafe fn describe<N: Task>(node: NonNull<Node>) -> Described {
    if N::IS_PLUMBING {
        return Described::Plumbing;
    }
    // SAFETY: the caller's promise.
    Described::Task(name::<N>(unsafe { node.as_ref() }.origin()))
}

pub(crate) fn name<N: Task>(origin: &'static Location<'static>) -> TaskName {
    Name::of::<N>().task(origin)
}
