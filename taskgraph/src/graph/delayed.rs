//! A graph that has not run, as a typed value: its node, and the leaves with which it starts.
//!
//! A small plain value that is there from the start needs no node: it is in the handle itself.

use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit, needs_drop};
use std::panic::Location;
use std::ptr::NonNull;

use super::cx::Cx;
use super::node::links::List;
use super::node::{Destination, Node, Ready};
use super::settle;
use crate::task::Task;

/// A delayed computation of a `T`: lazy, owned, and used once.
///
/// Nothing runs until it is given to [`run`](crate::run()) or to a [`Runtime`](crate::Runtime), by itself or as a part
/// of a larger computation. It is made by a `#[delayed]` function, by [`DC::new`], or from a value.
///
/// Dropping one that has not run drops everything it is made of, and logs a `tracing` warning, since it is mostly a
/// mistake; unless it is only a plain value.
///
/// ```
/// use taskgraph::DC;
///
/// let sum = DC::new(|a: u64, b: u64| a + b, (1, DC::value(2).map(|x| 10 * x)));
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 21);
/// # Ok::<(), taskgraph::Error>(())
/// ```
///
/// Operators work on delayed computations wherever they work on the results. One side may be a plain number; a `DC` is
/// shifted by a `u32`. Each operator is a task that runs when both sides are there. If it panics, in a division by zero for
/// instance, the error names its sign and its line.
///
/// ```
/// # use taskgraph::{DC, delayed};
/// #[delayed]
/// fn square(x: i64) -> i64 { x * x }
///
/// let x = (square(4) + 2 * square(3)) / -square(2);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(x)?, -8);
///
/// let broken = square(4) % square(0);
/// let error = taskgraph::Runtime::builder().no_control().build()?.run(broken).unwrap_err();
/// assert_eq!((error.task().unwrap().name(), error.task().unwrap().line()), ("%", line!() - 2));
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "a delayed computation does nothing unless it is run, yielded, returned or given to another"]
pub struct DC<T> {
    /// The node whose result is the computation's; `None` if that is there already.
    node: Option<NonNull<Node>>,
    /// With a node, a [`List`]: the nodes below it that wait for nothing, so that starting the graph walks nothing.
    /// Without one, the result.
    rest: MaybeUninit<Word>,
    result: PhantomData<fn() -> T>,
}

/// What fits beside a node. Results up to this size need no node.
type Word = *mut ();

const _: () = assert!(size_of::<List>() == size_of::<Word>() && align_of::<List>() == align_of::<Word>());

/// A handle, taken apart.
pub(super) enum Opened<T> {
    Done(Small<T>),
    /// The node, and the leaves below it.
    Graph(NonNull<Node>, List),
}

/// A `T` in the room of a word. This is no larger, whatever the size of `T`.
pub(super) struct Small<T>(MaybeUninit<Word>, PhantomData<fn() -> T>);

impl<T> Small<T> {
    /// What has to be dropped needs a node, too: values that hold computations are dropped there one after the other,
    /// however deep, and may panic.
    const FITS: bool =
        !needs_drop::<T>() && size_of::<T>() <= size_of::<Word>() && align_of::<T>() <= align_of::<Word>();

    /// # Safety
    ///
    /// The value fits.
    #[inline(always)]
    unsafe fn new(value: T) -> Self {
        debug_assert!(Self::FITS, "the value has room in a word");
        let mut word = MaybeUninit::<Word>::uninit();
        // SAFETY: the caller's promise.
        unsafe { word.as_mut_ptr().cast::<T>().write(value) };
        Self(word, PhantomData)
    }

    /// # Safety
    ///
    /// `to` is room for a `T`.
    #[inline(always)]
    pub(super) unsafe fn move_to(self, to: *mut T) {
        // SAFETY: it was made from a `T`, and is not used again.
        unsafe { to.copy_from_nonoverlapping(self.0.as_ptr().cast::<T>(), 1) }
    }

    #[inline(always)]
    pub(super) fn into_value(self) -> T {
        // SAFETY: as above.
        unsafe { self.0.as_ptr().cast::<T>().read() }
    }
}

// SAFETY: a graph that has not run is owned by this handle alone, and all that it holds is `Send`: every constructor
// requires that. A later result is made on the worker that hands it on, where `T: Send` is required.
unsafe impl<T> Send for DC<T> {}
// SAFETY: a `&DC` only serves for `Debug`, which reads what does not change before the graph runs.
unsafe impl<T> Sync for DC<T> {}

impl<T> DC<T> {
    /// # Safety
    ///
    /// `node` is a node with a result of type `T`, owned by the caller together with all below it, and `ready` are
    /// the leaves of that graph, at least one.
    #[inline(always)]
    pub(super) unsafe fn from_parts(node: NonNull<Node>, ready: List) -> Self {
        debug_assert!(!ready.is_empty(), "a graph starts somewhere");
        // SAFETY: as asserted above.
        Self { node: Some(node), rest: unsafe { Small::new(ready) }.0, result: PhantomData }
    }

    /// Whether a `T` that is there needs no node.
    pub(super) const FITS: bool = Small::<T>::FITS;

    /// A computation that is done. Only if the value [fits](Self::FITS).
    #[inline(always)]
    pub(super) fn done(value: T) -> Self
    where
        T: Send,
    {
        assert!(Self::FITS, "a larger value needs a node");
        // SAFETY: as asserted.
        Self { node: None, rest: unsafe { Small::new(value) }.0, result: PhantomData }
    }

    #[inline(always)]
    pub(super) fn open(self) -> Opened<T> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the handle is not used again.
        unsafe { this.take() }
    }

    /// # Safety
    ///
    /// The handle is not used again.
    #[inline(always)]
    unsafe fn take(&self) -> Opened<T> {
        match self.node {
            // SAFETY: with a node there is a list, which is moved out once.
            Some(node) => Opened::Graph(node, unsafe { self.rest.as_ptr().cast::<List>().read() }),
            None => Opened::Done(Small(self.rest, PhantomData)),
        }
    }

    /// The node whose result is the computation's, if it needs one.
    pub(super) fn node(&self) -> Option<NonNull<Node>> {
        self.node
    }

    /// The node it starts with, if there is only one.
    pub(super) fn only_leaf(&self) -> Option<NonNull<Node>> {
        self.node?;
        // SAFETY: with a node there is a list.
        unsafe { (*self.rest.as_ptr().cast::<List>()).only() }
    }

    /// Puts the graph in the place of the node that had this destination: a tail call.
    ///
    /// # Safety
    ///
    /// `to` is the destination of a node with a result of type `T`, which is gone and has not arrived there.
    #[inline(always)]
    pub(super) unsafe fn replace(self, to: Destination, cx: &mut Cx<'_>) -> Option<Ready> {
        match self.open() {
            // SAFETY: the caller's promise; the slot is a place for a `T`.
            Opened::Done(value) => unsafe {
                value.move_to(to.slot.cast());
                settle::arrive(to, cx)
            },
            Opened::Graph(node, ready) => {
                // SAFETY: the graph was never run, so its nodes are alive and ours.
                unsafe { node.as_ref() }.attach(to);
                cx.start(ready)
            }
        }
    }

    /// Makes the computation stand for a call made elsewhere.
    pub(crate) fn set_origin(&mut self, origin: &'static Location<'static>) {
        if let Some(node) = self.node {
            // SAFETY: the graph has not run, so its nodes are alive.
            unsafe { node.as_ref() }.set_origin(origin);
        }
    }
}

impl<T> DC<T> {
    /// What it is called, if that is known.
    pub(crate) fn task(&self) -> Option<Task> {
        // SAFETY: the graph has not run, so its nodes are alive.
        self.node.and_then(|node| unsafe { Node::task(node) })
    }
}

impl<T> Drop for DC<T> {
    fn drop(&mut self) {
        // SAFETY: the handle is gone after this.
        match unsafe { self.take() } {
            Opened::Done(_) => {}
            // SAFETY: the graph was this handle's, which knew its leaves.
            Opened::Graph(node, ready) => unsafe { settle::drop_unrun(node, ready) },
        }
    }
}

impl<T> fmt::Debug for DC<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.task(), self.node) {
            (Some(task), _) => write!(f, "DC({task})"),
            (None, Some(_)) => f.write_str("DC"),
            (None, None) => f.write_str("DC(value)"),
        }
    }
}
