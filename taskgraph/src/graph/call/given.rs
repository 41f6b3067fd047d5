//! Arguments that wait for their call: what a setter of a function with named arguments keeps.
//!
//! A caller gives a value or something that will be one, and the builder has one type for all of it: a [`Given<T>`] for
//! a `T`, a [`Lent<B>`] for a `&B`. What is there already is kept as it is; only what is neither a value nor a `DC` of
//! the right type costs a node.

use std::panic::Location;

use super::input::{FailedSlots, Input, Placing, Slot};
use super::{Task, Value};
use crate::graph::call;
use crate::graph::delayed::DC;

/// An argument of type `T`, however it was given.
pub struct Given<T>(pub(in crate::graph) Kind<T>);

// SAFETY: every constructor requires `T: Send`.
unsafe impl<T> Send for Given<T> {}

/// How an argument was given.
pub(in crate::graph) enum Kind<T> {
    /// It is there.
    Value(T),
    /// The caller's own computation of it.
    Delayed(DC<T>),
    /// A computation that puts it together from what the caller gave.
    Collected(DC<T>),
}

/// An argument that lends a `B`, however it was given.
pub type Lent<B> = Given<Lender<B>>;

/// Something that lends a `B`.
pub struct Lender<B: ?Sized>(Box<dyn Held<B> + Send + Sync>);

/// What is kept during a call whose parameter is a `&B`.
pub trait Held<B: ?Sized> {
    #[doc(hidden)]
    fn get(&self) -> &B;
}

impl<B: ?Sized> Lender<B> {
    pub(in crate::graph) fn new(held: impl Held<B> + Send + Sync + 'static) -> Self {
        Self(Box::new(held))
    }
}

impl<B: ?Sized> Held<B> for Lender<B> {
    fn get(&self) -> &B {
        (*self.0).get()
    }
}

/// What `f` makes of an input: at once if its value is there, else in a task that nobody sees.
#[track_caller]
pub(in crate::graph) fn collected<I, T>(input: I, f: impl FnOnce(I::Value) -> T + Send + 'static) -> Given<T>
where
    I: Input,
    T: Send + 'static,
{
    struct Collect;
    impl Task for Collect {
        const NAME: &'static str = "collect";
        const IS_PLUMBING: bool = true;
    }
    match input.now() {
        Ok(value) => Given::value(f(value)),
        Err(input) => Given(Kind::Collected(call::call::<Collect, Value, _, _, _>((input,), |(value,)| f(value)))),
    }
}

impl<T: Send> Given<T> {
    #[inline(always)]
    pub(in crate::graph) fn value(value: T) -> Self {
        Self(Kind::Value(value))
    }

    #[inline(always)]
    pub(in crate::graph) fn delayed(delayed: DC<T>) -> Self {
        Self(Kind::Delayed(delayed))
    }
}

impl<T: Send + 'static> Given<T> {
    /// A computation of it.
    #[track_caller]
    pub(in crate::graph) fn into_dc(self) -> DC<T> {
        match self.0 {
            Kind::Value(value) => DC::value(value),
            Kind::Delayed(delayed) | Kind::Collected(delayed) => delayed,
        }
    }
}

impl<T> Given<T> {
    /// The call that this was given for is made here.
    #[track_caller]
    pub(crate) fn called(&mut self) {
        if let Kind::Collected(collected) = &mut self.0 {
            collected.set_origin(Location::caller());
        }
    }
}

// SAFETY: `place` fills the slot, or leaves that to the `DC`, which keeps the promise: both have the same slot.
unsafe impl<T: 'static> Input for Given<T> {
    type Slot = Slot<T>;
    type Held = T;
    type Value = T;

    #[inline(always)]
    unsafe fn place(self, slot: *mut Slot<T>, placing: &mut Placing) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.0 {
                Kind::Value(value) => slot.cast::<T>().write(value),
                Kind::Delayed(delayed) | Kind::Collected(delayed) => delayed.place(slot, placing),
            }
        }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut Slot<T>) -> T {
        // SAFETY: the caller's promise.
        unsafe { <DC<T> as Input>::take(slot) }
    }

    #[inline(always)]
    fn open(held: T) -> T {
        held
    }

    unsafe fn discard(slot: *mut Slot<T>, failed: &FailedSlots<'_>) {
        // SAFETY: the caller's promise.
        unsafe { DC::<T>::discard(slot, failed) }
    }
}

/// The place of an argument that may not have been given.
#[repr(C)]
pub struct OptionalSlot<T> {
    is_given: bool,
    slot: Slot<T>,
}

/// An argument that may not have been given.
pub struct Optional<T>(pub(crate) Option<Given<T>>);

// SAFETY: `Given` keeps the promise for an argument that was given; without one, there is nothing to arrive or to drop.
unsafe impl<T: 'static> Input for Optional<T> {
    type Slot = OptionalSlot<T>;
    type Held = Option<T>;
    type Value = Option<T>;

    #[inline(always)]
    unsafe fn place(self, slot: *mut OptionalSlot<T>, placing: &mut Placing) {
        // SAFETY: the caller's promise.
        unsafe {
            (&raw mut (*slot).is_given).write(self.0.is_some());
            if let Some(given) = self.0 {
                given.place(&raw mut (*slot).slot, placing);
            }
        }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut OptionalSlot<T>) -> Option<T> {
        // SAFETY: the caller's promise; `place` has written whether there is a value.
        unsafe { (*slot).is_given.then(|| Given::take(&raw mut (*slot).slot)) }
    }

    #[inline(always)]
    fn open(held: Option<T>) -> Option<T> {
        held
    }

    unsafe fn discard(slot: *mut OptionalSlot<T>, failed: &FailedSlots<'_>) {
        // SAFETY: as in `take`.
        unsafe {
            if (*slot).is_given {
                Given::<T>::discard(&raw mut (*slot).slot, failed);
            }
        }
    }
}
