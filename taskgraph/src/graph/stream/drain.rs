//! A drain: what consumes the collection of a stream.
//!
//! ```text
//! generator --its collection, which is empty--> Drain --> the end of the stream
//!     +-- its items --> Outlet --> whoever polls the stream
//! ```
//!
//! A generator that finds a drain above itself puts its items into the drain's [outlet](super::outlet) instead of
//! collecting them. A collection that comes from elsewhere becomes items when it is there.

use std::any::Any;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use super::outlet::Outlet;
use crate::graph::call::{self, task};
use crate::graph::cx::Cx;
use crate::graph::delayed::DC;
use crate::graph::node::{Described, Destination, Node, Ready};
use crate::graph::pass::{self, Pass};
use crate::graph::settle::{self, Why};
use crate::unwind;

struct Drain<T>(Arc<Outlet<T>>);

task!(IntoStream "into_stream", is_counted: false);

/// The computation that ends when the last item is in the outlet.
#[track_caller]
pub(in crate::graph) fn drain<C>(collection: DC<C>, outlet: Arc<Outlet<C::Item>>) -> DC<()>
where
    C: IntoIterator<Item: Send + 'static> + Send + 'static,
{
    pass::passed(collection, Drain(outlet))
}

impl<C: IntoIterator<Item: Send + 'static>> Pass<C> for Drain<C::Item> {
    type Output = ();

    /// What was collected after all becomes items.
    unsafe fn pass(
        self,
        collection: C,
        origin: &'static Location<'static>,
        to: Destination,
        cx: &mut Cx<'_>,
    ) -> Option<Ready> {
        let Self(outlet) = self;
        // Even a collection of nothing may yield items.
        let put_all = || (outlet.end()..).zip(collection).for_each(|(idx, item)| outlet.put(idx, item));
        let put = unwind::catch(put_all);
        // If nobody consumes them any more, they are dropped with it.
        unwind::drop_values(|| drop(outlet));
        match put {
            // SAFETY: the destination is that of a node whose result is a `()`.
            Ok(()) => unsafe { settle::deliver(to, (), cx) },
            // SAFETY: as above.
            Err(message) => unsafe { call::fail::<IntoStream>(origin, Why::Panicked(message), to, cx) },
        }
    }

    fn describe(&self) -> Described {
        Described::Drain(Arc::clone(&self.0) as Arc<dyn Any + Send + Sync>)
    }
}

/// The outlet of the drain that consumes the collection of `generator`, if one does.
///
/// # Safety
///
/// The generator is waiting, and collects items of type `T`.
pub(in crate::graph) unsafe fn outlet_above<T: Send + 'static>(generator: NonNull<Node>) -> Option<Arc<Outlet<T>>> {
    // SAFETY: the caller's promise.
    let mut above = unsafe { settle::consumers(generator.as_ref().destination()) };
    let above = above.find(|described| !matches!(described, Described::Label(..)));
    match above {
        Some(Described::Drain(outlet)) => outlet.downcast().ok(),
        _ => None,
    }
}
