//! Inputs: what the slots of a node are, how they are filled, and how a task gets its arguments out of them.
//!
//! An input that is a value is in its slot from the start. One that is delayed is a graph whose result goes to the
//! slot. The arguments of a call are a tuple of inputs, and a tuple of inputs is an input.

use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;

use crate::graph::delayed::{DC, Opened};
use crate::graph::node::links::List;
use crate::graph::node::{Destination, FailedInputs, Node, TO_ASK};
use crate::graph::shared::tap::{AnyTap, Visit};
use crate::unwind;

/// What becomes an argument of a task: a value, or a computation that has not run.
///
/// # Safety
///
/// `place` prepares `slot` so that, once all inputs that it told `placing` about have arrived, `take` finds its value
/// there; and `discard` drops what is in a slot of which the inputs in `failed` did not arrive.
pub unsafe trait Input: Send + 'static {
    /// The place inside the node.
    type Slot;
    /// What `take` gets from there without running user code.
    type Held;
    /// What the body gets.
    type Value;

    /// The value, if it is there and nothing has to be waited for.
    #[inline(always)]
    fn now(self) -> Result<Self::Value, Self>
    where
        Self: Sized,
    {
        Err(self)
    }

    /// Fills the slot, or attaches the graph that will.
    ///
    /// # Safety
    ///
    /// `slot` is room for a `Slot` inside the node of `placing`.
    unsafe fn place(self, slot: *mut Self::Slot, placing: &mut Placing);

    /// Whether there is never anything to wait for.
    const IS_THERE: bool = false;

    /// Whether there are shared results to ask for.
    const HAS_TAPS: bool = false;

    /// Calls `tell` with each shared result to ask for, as long as that wants to go on; returns whether it still does.
    ///
    /// # Safety
    ///
    /// The slot was filled by `place`.
    #[inline(always)]
    unsafe fn for_each_tap(_: *mut Self::Slot, _: &mut impl Visit) -> bool {
        true
    }

    /// Moves the input out of its slot.
    ///
    /// # Safety
    ///
    /// All inputs have arrived with their values, and the slot is not used again.
    unsafe fn take(slot: *mut Self::Slot) -> Self::Held;

    /// The value; this may run user code, such as `clone`.
    fn open(held: Self::Held) -> Self::Value;

    /// Drops what is in the slot.
    ///
    /// # Safety
    ///
    /// All inputs have arrived, those in `failed` as failures, and the slot is not used again.
    unsafe fn discard(slot: *mut Self::Slot, failed: &FailedSlots<'_>);
}

/// The inputs that did not arrive with a value.
pub struct FailedSlots<'a>(pub(in crate::graph) &'a FailedInputs);

/// A node while its inputs are attached.
pub struct Placing {
    node: NonNull<Node>,
    /// The ready leaves of the inputs so far.
    ready: List,
    /// How many inputs will arrive.
    missing: u32,
    /// The first one that is a shared result.
    tap: Option<NonNull<AnyTap>>,
}

impl Placing {
    #[inline(always)]
    pub(in crate::graph) fn new(node: NonNull<Node>) -> Self {
        Self { node, ready: List::EMPTY, missing: 0, tap: None }
    }

    #[inline(always)]
    pub(in crate::graph) fn node(&self) -> NonNull<Node> {
        self.node
    }

    /// Where a result in this slot goes.
    #[inline(always)]
    pub(in crate::graph) fn destination<T>(&self, slot: *mut T) -> Destination {
        Destination { consumer: Some(self.node), slot: slot.cast() }
    }

    /// Adds an input, whose graph starts with `ready`.
    #[inline(always)]
    pub(in crate::graph) fn expect(&mut self, ready: List) {
        self.ready.append(ready);
        self.missing += 1;
    }

    /// Adds an input that is to be asked for.
    #[inline(always)]
    pub(in crate::graph) fn expect_tap(&mut self, tap: NonNull<AnyTap>) {
        self.tap.get_or_insert(tap);
        self.missing += 1;
    }

    /// What is missing, in the form that the node keeps.
    #[inline(always)]
    pub(in crate::graph) fn missing(&self) -> u32 {
        self.missing | if self.tap.is_some() { TO_ASK } else { 0 }
    }

    /// The leaves with which the whole graph starts: the node itself, if it waits for nothing, or is to ask first.
    ///
    /// # Safety
    ///
    /// The node is written, with what is [missing](Self::missing).
    #[inline(always)]
    pub(in crate::graph) unsafe fn finish(self) -> List {
        if let Some(tap) = self.tap {
            // SAFETY: the tap is in a slot of the node.
            unsafe { tap.as_ref() }.hold(self.ready);
        } else if self.missing != 0 {
            return self.ready;
        }
        // SAFETY: the caller's promise; the node is in no list yet.
        unsafe { List::of(self.node) }
    }
}

/// A place for a result that is still to come.
///
/// It has a size even if `T` has none, so no two slots share an address: failed inputs are identified by theirs.
#[repr(C)]
pub union Slot<T> {
    value: ManuallyDrop<T>,
    place: MaybeUninit<u8>,
}

/// An argument that is there already.
pub struct Plain<T>(pub(crate) T);

// SAFETY: `place` fills the slot, `take` and `discard` empty it.
unsafe impl<T: Send + 'static> Input for Plain<T> {
    type Slot = T;
    type Held = T;
    type Value = T;
    const IS_THERE: bool = true;

    #[inline(always)]
    fn now(self) -> Result<T, Self> {
        Ok(self.0)
    }

    #[inline(always)]
    unsafe fn place(self, slot: *mut T, _: &mut Placing) {
        // SAFETY: the caller's promise.
        unsafe { slot.write(self.0) }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut T) -> T {
        // SAFETY: the caller's promise.
        unsafe { slot.read() }
    }

    #[inline(always)]
    fn open(held: T) -> T {
        held
    }

    unsafe fn discard(slot: *mut T, _: &FailedSlots<'_>) {
        // Each value by itself: if one panics, the others are dropped all the same.
        // SAFETY: the caller's promise.
        unwind::drop_values(|| unsafe { slot.drop_in_place() });
    }
}

// SAFETY: `place` fills the slot, or attaches the node that does before it arrives; if that fails, its slot is among the
// failed.
unsafe impl<T: 'static> Input for DC<T> {
    type Slot = Slot<T>;
    type Held = T;
    type Value = T;

    #[inline(always)]
    unsafe fn place(self, slot: *mut Slot<T>, placing: &mut Placing) {
        match self.open() {
            // SAFETY: the slot is room for a `T`.
            Opened::Done(value) => unsafe { value.move_to(slot.cast()) },
            Opened::Graph(node, ready) => {
                // SAFETY: the graph has not run, so its nodes are alive.
                unsafe { node.as_ref() }.attach(placing.destination(slot));
                placing.expect(ready);
            }
        }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut Slot<T>) -> T {
        // SAFETY: the input has arrived with its value, which is moved out once.
        unsafe { slot.cast::<T>().read() }
    }

    #[inline(always)]
    fn open(held: T) -> T {
        held
    }

    unsafe fn discard(slot: *mut Slot<T>, failed: &FailedSlots<'_>) {
        if !failed.0.contains(slot) {
            // SAFETY: the input arrived with its value, which is dropped once.
            unwind::drop_values(|| unsafe { slot.cast::<T>().drop_in_place() });
        }
    }
}

// SAFETY: every element keeps the promise.
unsafe impl<I: Input, const N: usize> Input for [I; N] {
    type Slot = [I::Slot; N];
    type Held = [I::Held; N];
    type Value = [I::Value; N];
    const HAS_TAPS: bool = I::HAS_TAPS;

    #[inline(always)]
    unsafe fn for_each_tap(slot: *mut Self::Slot, tell: &mut impl Visit) -> bool {
        // SAFETY: in bounds, and the caller's promise.
        !Self::HAS_TAPS || (0..N).all(|i| unsafe { I::for_each_tap(slot.cast::<I::Slot>().add(i), tell) })
    }

    #[inline(always)]
    unsafe fn place(self, slot: *mut Self::Slot, placing: &mut Placing) {
        for (i, input) in self.into_iter().enumerate() {
            // SAFETY: in bounds of the array, which is room, as the caller promises.
            unsafe { input.place(slot.cast::<I::Slot>().add(i), placing) }
        }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut Self::Slot) -> Self::Held {
        // SAFETY: in bounds, and the caller's promise.
        std::array::from_fn(|i| unsafe { I::take(slot.cast::<I::Slot>().add(i)) })
    }

    #[inline(always)]
    fn open(held: Self::Held) -> Self::Value {
        held.map(I::open)
    }

    unsafe fn discard(slot: *mut Self::Slot, failed: &FailedSlots<'_>) {
        for i in 0..N {
            // SAFETY: in bounds, and the caller's promise.
            unsafe { I::discard(slot.cast::<I::Slot>().add(i), failed) }
        }
    }
}

macro_rules! tuple {
    ($($input:ident $index:tt)*) => {
        // SAFETY: every element keeps the promise.
        unsafe impl<$($input: Input),*> Input for ($($input,)*) {
            type Slot = ($($input::Slot,)*);
            type Held = ($($input::Held,)*);
            type Value = ($($input::Value,)*);
            const IS_THERE: bool = true $(&& $input::IS_THERE)*;
            const HAS_TAPS: bool = false $(|| $input::HAS_TAPS)*;

            #[inline(always)]
            #[allow(unused_variables, reason = "the empty tuple has no fields")]
            unsafe fn for_each_tap(slot: *mut Self::Slot, tell: &mut impl Visit) -> bool {
                // SAFETY: the caller's promise; the node is there as long as `tell` goes on.
                true $(&& unsafe { $input::for_each_tap(&raw mut (*slot).$index, tell) })*
            }

            #[inline(always)]
            #[allow(unused_variables, reason = "the empty tuple has no fields")]
            unsafe fn place(self, slot: *mut Self::Slot, placing: &mut Placing) {
                // SAFETY: fields of what the caller promises to be room.
                $(unsafe { self.$index.place(&raw mut (*slot).$index, placing) };)*
            }

            #[inline(always)]
            #[allow(unused_variables, clippy::unused_unit, reason = "the empty tuple has no fields")]
            unsafe fn take(slot: *mut Self::Slot) -> Self::Held {
                // SAFETY: the caller's promise.
                ($(unsafe { $input::take(&raw mut (*slot).$index) },)*)
            }

            #[inline(always)]
            #[allow(unused_variables, clippy::unused_unit, reason = "the empty tuple has no fields")]
            fn open(held: Self::Held) -> Self::Value {
                ($($input::open(held.$index),)*)
            }

            #[allow(unused_variables, reason = "the empty tuple has no fields")]
            unsafe fn discard(slot: *mut Self::Slot, failed: &FailedSlots<'_>) {
                // SAFETY: the caller's promise.
                $(unsafe { $input::discard(&raw mut (*slot).$index, failed) };)*
            }
        }
    };
}

tuple!();
tuple!(A 0);
tuple!(A 0 B 1);
tuple!(A 0 B 1 C 2);
tuple!(A 0 B 1 C 2 D 3);
tuple!(A 0 B 1 C 2 D 3 E 4);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14 P 15);
