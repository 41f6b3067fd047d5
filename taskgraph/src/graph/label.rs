//! A name for a computation: a node that passes its result on, for errors and traces to find.

use std::borrow::Cow;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;

use super::cx::Cx;
use super::delayed::DC;
use super::input::{FailedSlots, Input, Placing, Slot};
use super::memory;
use super::node::{Abandoned, Described, Node, Ready, Table};
use super::settle;
use crate::task::Task;

#[repr(C)]
struct Label<T> {
    node: Node,
    name: ManuallyDrop<Name>,
    slot: Slot<T>,
}

struct Name {
    name: Cow<'static, str>,
    /// What has it, if that is a task.
    of: Option<Task>,
}

#[track_caller]
pub(super) fn label<T: Send + 'static>(inner: DC<T>, name: Cow<'static, str>) -> DC<T> {
    let label = memory::allocate::<Label<T>>();
    let at = label.as_ptr();
    let name = Name { name, of: inner.task() };
    let mut placing = Placing::new(label.cast());
    // SAFETY: the memory is room for a `Label`; every field of it is written here, by its own type.
    unsafe {
        inner.place(&raw mut (*at).slot, &mut placing);
        (&raw mut (*at).name).write(ManuallyDrop::new(name));
        (&raw mut (*at).node).write(Node::new(Label::<T>::TABLE, Location::caller(), placing.missing()));
        DC::from_parts(label.cast(), placing.finish())
    }
}

impl<T: Send + 'static> Label<T> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let label = node.cast::<Self>();
        let at = label.as_ptr();
        // SAFETY: the input has arrived; everything is moved out or dropped once before the memory goes.
        unsafe {
            let value = <DC<T> as Input>::take(&raw mut (*at).slot);
            let to = (*at).node.destination();
            ManuallyDrop::drop(&mut (*at).name);
            memory::free(label);
            settle::deliver(to, value, cx)
        }
    }

    /// # Safety
    ///
    /// The node is one of these, its input is in, and it is the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        let label = node.cast::<Self>();
        let at = label.as_ptr();
        // SAFETY: the node is ours; what it holds is dropped once, then its memory goes.
        unsafe {
            let (to, failed) = ((*at).node.destination(), (*at).node.take_failed());
            settle::drop_given_up(|| DC::<T>::discard(&raw mut (*at).slot, &FailedSlots(&failed)));
            ManuallyDrop::drop(&mut (*at).name);
            memory::free(label);
            Abandoned::Failed(to)
        }
    }

    /// # Safety
    ///
    /// The node is one of these, and alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        let label = unsafe { node.cast::<Self>().as_ref() };
        Described::Label(label.name.name.clone(), label.name.of.clone())
    }
}
