//! A drain: what consumes the collection of a stream.
//!
//! ```text
//! generator --its collection, which is empty--> Drain --> the end of the stream
//!     +-- its items --> Outlet --> whoever polls the stream
//! ```
//!
//! A generator that finds a drain above itself puts its items into the drain's [outlet](super::outlet) instead of collecting
//! them. What is computed by something else becomes items when it is there.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use super::call::{self, task};
use super::cx::Cx;
use super::delayed::DC;
use super::input::{FailedSlots, Input, Placing, Slot};
use super::memory;
use super::node::{Abandoned, Described, Node, Ready, Table};
use super::outlet::Outlet;
use super::settle::{self, Why};
use crate::unwind;

#[repr(C)]
struct Drain<C: IntoIterator> {
    node: Node,
    outlet: ManuallyDrop<Arc<Outlet<C::Item>>>,
    slot: Slot<C>,
}

task!(IntoStream "into_stream");

/// The computation that ends when the last item is in the outlet.
#[track_caller]
pub(super) fn drain<C>(collection: DC<C>, outlet: Arc<Outlet<C::Item>>) -> DC<()>
where
    C: IntoIterator<Item: Send + 'static> + Send + 'static,
{
    let drain = memory::allocate::<Drain<C>>();
    let at = drain.as_ptr();
    let mut placing = Placing::new(drain.cast());
    // SAFETY: the memory is room for a `Drain`; every field of it is written here, by its own type.
    unsafe {
        collection.place(&raw mut (*at).slot, &mut placing);
        (&raw mut (*at).outlet).write(ManuallyDrop::new(outlet));
        (&raw mut (*at).node).write(Node::new(Drain::<C>::TABLE, Location::caller(), placing.missing()));
        DC::from_parts(drain.cast(), placing.finish())
    }
}

impl<C> Drain<C>
where
    C: IntoIterator<Item: Send + 'static> + Send + 'static,
{
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// # Safety
    ///
    /// The node is one of these, and alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        let outlet = unsafe { Arc::clone(&node.cast::<Self>().as_ref().outlet) };
        Described::Drain(outlet as Arc<dyn Any + Send + Sync>)
    }

    /// What was collected after all becomes items.
    ///
    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let drain = node.cast::<Self>();
        let at = drain.as_ptr();
        // SAFETY: the input has arrived; everything is moved out before the memory goes.
        let (collection, outlet, to, origin) = unsafe {
            let collection = <DC<C> as Input>::take(&raw mut (*at).slot);
            let outlet = ManuallyDrop::take(&mut (*at).outlet);
            let (to, origin) = ((*at).node.destination(), (*at).node.origin());
            memory::free(drain);
            (collection, outlet, to, origin)
        };
        // Even a collection of nothing may have items.
        let put_all = || (outlet.end()..).zip(collection).for_each(|(place, item)| outlet.put(place, item));
        let put = unwind::catch(put_all);
        // Where nobody consumes them any more, they go with it.
        unwind::drop_values(|| drop(outlet));
        match put {
            // SAFETY: the destination is that of this node, whose result is nothing.
            Ok(()) => unsafe { settle::deliver(to, (), cx) },
            Err(message) => call::fail::<IntoStream>(origin, Why::Panicked(message), to, cx),
        }
    }

    /// # Safety
    ///
    /// The node is one of these, its input is in, and it is the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        let drain = node.cast::<Self>();
        let at = drain.as_ptr();
        // SAFETY: the node is ours; what it holds is dropped once, then its memory goes.
        unsafe {
            let (to, failed) = ((*at).node.destination(), (*at).node.take_failed());
            settle::drop_given_up(|| DC::<C>::discard(&raw mut (*at).slot, &FailedSlots(&failed)));
            settle::drop_given_up(|| ManuallyDrop::drop(&mut (*at).outlet));
            memory::free(drain);
            Abandoned::Failed(to)
        }
    }
}

/// The outlet of the drain that consumes the collection of `generator`, if one does.
///
/// # Safety
///
/// The generator is waiting, and collects items of type `T`.
pub(super) unsafe fn outlet_above<T: Send + 'static>(generator: NonNull<Node>) -> Option<Arc<Outlet<T>>> {
    // SAFETY: the caller's promise.
    let to = unsafe { generator.as_ref() }.destination();
    let above = settle::consumers(to).find(|described| !matches!(described, Described::Label(..)));
    match above {
        Some(Described::Drain(outlet)) => outlet.downcast().ok(),
        _ => None,
    }
}
