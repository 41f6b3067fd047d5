//! A node that passes a result on, and does something with it on the way.
//!
//! ```text
//! computation --result--> node: it has a name for it, or puts it into an outlet --> consumer
//! ```

pub(super) mod label;

use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;

use super::call::input::{FailedSlots, Input, Placing, Slot};
use super::cx::Cx;
use super::delayed::DC;
use super::node::memory;
use super::node::{Abandoned, Described, Destination, Node, Ready, Table};
use super::settle;

/// What is done with a result of type `T`.
pub(super) trait Pass<T>: 'static {
    /// The result of the node.
    type Output;

    /// Passes the result on; the node, which was made at `origin`, is gone.
    ///
    /// # Safety
    ///
    /// `to` is the destination of a node with a result of type `Output`, which had not arrived there before and now does.
    unsafe fn pass(
        self,
        result: T,
        origin: &'static Location<'static>,
        to: Destination,
        cx: &mut Cx<'_>,
    ) -> Option<Ready>;

    /// What the node is to users.
    fn describe(&self) -> Described {
        Described::Plumbing
    }
}

#[repr(C)]
struct Passing<T, P> {
    node: Node,
    pass: ManuallyDrop<P>,
    slot: Slot<T>,
}

/// The computation, whose result is passed on.
#[track_caller]
pub(super) fn passed<T: Send + 'static, P: Pass<T> + Send>(inner: DC<T>, pass: P) -> DC<P::Output> {
    let passing = memory::allocate::<Passing<T, P>>();
    let mut placing = Placing::new(passing.cast());
    // SAFETY: the memory is room for a `Passing`, every field of which is written here.
    unsafe {
        inner.place(&raw mut (*passing.as_ptr()).slot, &mut placing);
        Passing::write(passing, pass, placing.missing());
        DC::from_parts(passing.cast(), placing.finish())
    }
}

/// As [`passed`], for a node with a result of type `T`; what this returns still needs a consumer.
///
/// # Safety
///
/// The node is the caller's, and `pass` may be used by whoever takes its steps.
#[track_caller]
pub(super) unsafe fn above<T: Send + 'static, P: Pass<T>>(inner: NonNull<Node>, pass: P) -> NonNull<Node> {
    let passing = memory::allocate::<Passing<T, P>>();
    // SAFETY: the memory is room for a `Passing`, whose slot is the node's from here on; that is the caller's.
    unsafe {
        let slot = (&raw mut (*passing.as_ptr()).slot).cast();
        inner.as_ref().attach(Destination { consumer: Some(passing.cast()), slot });
        Passing::write(passing, pass, 1);
    }
    passing.cast()
}

impl<T: Send + 'static, P: Pass<T>> Passing<T, P> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// Writes all but the slot.
    ///
    /// # Safety
    ///
    /// The memory is room for one of these.
    #[track_caller]
    unsafe fn write(passing: NonNull<Self>, pass: P, missing: u32) {
        let at = passing.as_ptr();
        // SAFETY: the caller's promise; each field is written by its own type.
        unsafe {
            (&raw mut (*at).pass).write(ManuallyDrop::new(pass));
            (&raw mut (*at).node).write(Node::new(Self::TABLE, Location::caller(), missing));
        }
    }

    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let passing = node.cast::<Self>();
        let at = passing.as_ptr();
        // SAFETY: the input has arrived; everything is moved out before the memory goes. The destination is that of the node.
        unsafe {
            let result = <DC<T> as Input>::take(&raw mut (*at).slot);
            let pass = ManuallyDrop::take(&mut (*at).pass);
            let (origin, to) = ((*at).node.origin(), (*at).node.destination());
            memory::free(passing);
            pass.pass(result, origin, to, cx)
        }
    }

    /// # Safety
    ///
    /// The node is one of these, its input is in, and it is the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        let passing = node.cast::<Self>();
        let at = passing.as_ptr();
        // SAFETY: the node is ours; what it holds is dropped once, then its memory goes.
        unsafe {
            let (to, failed) = ((*at).node.destination(), (*at).node.take_failed());
            settle::drop_given_up(|| DC::<T>::discard(&raw mut (*at).slot, &FailedSlots(&failed)));
            settle::drop_given_up(|| ManuallyDrop::drop(&mut (*at).pass));
            memory::free(passing);
            Abandoned::Failed(to)
        }
    }

    /// # Safety
    ///
    /// The node is one of these, and alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        unsafe { &(*node.cast::<Self>().as_ptr()).pass }.describe()
    }
}
