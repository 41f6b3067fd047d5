//! Generators: a body that yields computations, each of which starts at once while the body goes on.
//!
//! ```text
//! Generator (the collection)  <-- pump: one input, until the body has ended; its steps resume the body
//!    ^-- Batch <-- child child ..    each batch one input, with a counter of its own
//! ```
//!
//! A yielded computation is shown to all workers from within `yield_!`, in a [batch](super::batch), while the body runs
//! on. The body is suspended after each slice of some children. Then its worker goes on with those; the body is resumed
//! by whoever has nothing else to do, and makes children of its own. So what a worker makes it mostly takes itself while
//! it is in its cache.
//!
//! Not more than a [`Window`] of batches is in flight.
//!
//! The body is driven by `genawaiter`, here and nowhere else.

use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};

use genawaiter::GeneratorState;
use genawaiter::sync::{Co, Gen};

use super::arg::IntoArg;
use super::batch::OpenBatch;
use super::call::{self, Outcome, Task};
use super::cx::{Cx, Parked, Queued};
use super::delayed::{DC, Opened};
use super::input::Slot;
use super::links::List;
use super::memory;
use super::node::{Abandoned, Described, Destination, FailedInputs, Node, Ready, Table};
use super::segment::Segment;
use super::settle::{self, Why};
use super::window::{SLICE_LEN_MAX, Window};
use crate::error::Cause;
use crate::unwind;

const SEGMENT_LEN_MIN: usize = 16;
const SEGMENT_LEN_MAX: usize = 1 << 16;

/// How the body of a generator may end.
pub trait Finish: Send + 'static {
    #[doc(hidden)]
    fn finish(self) -> Result<(), Cause>;
}

impl Finish for () {
    fn finish(self) -> Result<(), Cause> {
        Ok(())
    }
}

impl<E: Into<Cause> + Send + 'static> Finish for Result<(), E> {
    fn finish(self) -> Result<(), Cause> {
        self.map_err(Into::into)
    }
}

/// Whether the body is to be suspended for a while.
#[must_use]
pub struct Pause(bool);

/// Through this a body yields.
pub struct Yielder<T> {
    co: Co<()>,
    desk: Arc<Desk<T>>,
}

impl<T: Send + 'static> Yielder<T> {
    /// Hands `item` out; the body goes on at once, or is suspended for a while.
    #[track_caller]
    pub fn put<A: IntoArg<T>>(&self, item: A) -> Pause {
        Pause(self.desk.hand_out(item.into_outcome()))
    }
}

impl<T> Yielder<T> {
    /// Suspends the body if `put` says so. Not a part of it, because a future would hold the type of the item, and an
    /// error about that would be told twice.
    pub async fn pause(&self, pause: Pause) {
        if pause.0 {
            self.co.yield_(()).await;
        }
    }
}

/// A generator whose body has not started.
#[track_caller]
pub fn generate<N, C, R, F, Body>(body: F) -> DC<C>
where
    N: Task,
    C: FromIterator<C::Item> + IntoIterator<Item: Send + 'static> + Send + 'static,
    R: Finish,
    F: FnOnce(Yielder<C::Item>) -> Body,
    Body: Future<Output = R> + Send + 'static,
{
    let generator = memory::allocate::<Generator<N, C, R, Body>>();
    // SAFETY: the memory is room for a `Generator`; nothing is read here.
    let pump = unsafe { NonNull::new_unchecked(&raw mut (*generator.as_ptr()).pump) };
    let work = UnsafeCell::new(Work {
        generator: generator.cast(),
        cx: ptr::null_mut(),
        segments: Vec::new(),
        next_slot: 0,
        slots_end: 0,
        batch: None,
        batch_len_max: 1,
        left: 0,
        child: 1,
    });
    let desk = Arc::new(Desk { window: Window::new(), pump, work });
    let body = Gen::new(|co| body(Yielder { co, desk: Arc::clone(&desk) }));
    let node = Node::new(Generator::<N, C, R, Body>::TABLE, Location::caller(), 1);
    let pump_node = Node::new(Generator::<N, C, R, Body>::PUMP, Location::caller(), 0);
    pump_node.attach(Destination::signal(generator.cast()));
    // SAFETY: the memory is room for a `Generator`, whose only leaf is its pump.
    unsafe {
        generator.write(Generator { node, pump: pump_node, body: Some(body), desk, types: PhantomData });
        DC::from_parts(generator.cast(), List::of(pump))
    }
}

#[repr(C)]
struct Generator<N, C: IntoIterator, R, Body: Future> {
    node: Node,
    pump: Node,
    /// Until the body has ended.
    body: Option<Gen<(), (), Body>>,
    desk: Arc<Desk<C::Item>>,
    types: PhantomData<(N, C, R)>,
}

/// What outlives a parked pump, and the place the body works at.
struct Desk<T> {
    window: Window,
    pump: NonNull<Node>,
    work: UnsafeCell<Work<T>>,
}

// SAFETY: only the step that resumes the body touches its work, through the pump or through the body's `Yielder`,
// which generated code neither gives away nor uses from elsewhere. After the body's end only the collecting step does.
unsafe impl<T: Send> Send for Desk<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Desk<T> {}

impl<T: Send> Parked for Desk<T> {
    fn take_up(&self) -> Option<Queued> {
        // SAFETY: whoever takes the pump up has it; it was parked with its scope.
        self.window.take_up().then(|| unsafe { Queued::again(Ready(self.pump)) })
    }
}

/// What the body works on while it is resumed, and the pump between that.
struct Work<T> {
    generator: NonNull<Node>,
    /// That of the step that resumes the body; null at other times.
    cx: *mut Cx<'static>,
    segments: Vec<Segment<T>>,
    /// Where in the last segment the next result goes, and the end of that segment.
    next_slot: usize,
    slots_end: usize,
    batch: Option<OpenBatch>,
    batch_len_max: u32,
    /// How much more the body may hand out before it is suspended, and how much of that one child is.
    left: u32,
    child: u32,
}

impl<T: Send + 'static> Desk<T> {
    /// Hands out what the body has just yielded; whether the body is to be suspended now.
    #[inline]
    fn hand_out(&self, item: Outcome<T>) -> bool {
        // SAFETY: the body is being resumed, or it could not yield; so the desk is ours.
        let work = unsafe { &mut *self.work.get() };
        assert!(!work.cx.is_null(), "a body yields while it is resumed");
        // SAFETY: the step that resumes the body has lent its `Cx`, and does not use it meanwhile.
        let cx = unsafe { &mut *work.cx };
        let slot = work.take_slot();
        match item {
            // SAFETY: the slot is ours to fill.
            Outcome::Value(value) => unsafe { slot.cast::<T>().write(value) },
            Outcome::Delayed(delayed) | Outcome::Generated(delayed) => match delayed.open() {
                // SAFETY: as above.
                Opened::Done(value) => unsafe { value.move_to(slot.cast()) },
                Opened::Graph(node, leaves) => {
                    work.left = work.left.saturating_sub(work.child - 1);
                    // SAFETY: the graph is ours, and the slot is the child's.
                    unsafe { work.batch(self, cx).add(node, leaves, slot.cast(), cx) };
                }
            },
            Outcome::Failed(_) => unreachable!("an item is a value or a computation"),
        }
        work.left = work.left.saturating_sub(1);
        work.left == 0 || cx.scope().is_stopped()
    }
}

impl<T> Work<T> {
    /// The body is resumed for a slice: for so many children, or as many values as the longest has children.
    fn begin_slice(&mut self, window: &Window, cx: &mut Cx<'_>) {
        self.batch_len_max = window.batch_len();
        self.child = SLICE_LEN_MAX / window.slice_len();
        self.left = SLICE_LEN_MAX;
        self.cx = ptr::from_mut(cx).cast();
    }

    /// The body is suspended.
    fn end_slice(&mut self, cx: &mut Cx<'_>) {
        self.cx = ptr::null_mut();
        if let Some(batch) = self.batch.take() {
            batch.close(cx);
        }
    }

    /// The batch for the next child.
    #[inline(always)]
    fn batch(&mut self, desk: &Desk<T>, cx: &mut Cx<'_>) -> &mut OpenBatch {
        if self.batch.as_ref().is_none_or(|batch| batch.len() == self.batch_len_max) {
            self.next_batch(desk, cx);
        }
        self.batch.as_mut().expect("one is open")
    }

    #[cold]
    fn next_batch(&mut self, desk: &Desk<T>, cx: &mut Cx<'_>) {
        let next = OpenBatch::new(self.generator, &desk.window, desk.pump, cx);
        if let Some(full) = self.batch.replace(next) {
            full.close(cx);
        }
    }

    #[inline(always)]
    fn take_slot(&mut self) -> *mut Slot<T> {
        if self.next_slot == self.slots_end {
            self.open_segment();
        }
        let i = self.next_slot;
        self.next_slot += 1;
        self.segments.last_mut().expect("one is open").slot(i)
    }

    #[cold]
    fn open_segment(&mut self) {
        let capacity = (2 * self.slots_end).clamp(SEGMENT_LEN_MIN, SEGMENT_LEN_MAX);
        let segment = Segment::with_capacity(capacity);
        (self.next_slot, self.slots_end) = (0, segment.capacity());
        self.segments.push(segment);
    }

    /// The segments, each with how much of it was handed out: all but the last are full.
    fn take_segments(&mut self) -> impl Iterator<Item = (Segment<T>, usize)> + use<T> {
        let segments = mem::take(&mut self.segments);
        let (last, last_len) = (segments.len().saturating_sub(1), self.next_slot);
        segments.into_iter().enumerate().map(move |(i, segment)| {
            let len = if i == last { last_len } else { segment.capacity() };
            (segment, len)
        })
    }

    /// The results, in the order of the yields.
    ///
    /// # Safety
    ///
    /// Everything that was handed out has arrived with its value, and the desk is not used again.
    unsafe fn take(&mut self) -> Vec<Vec<T>> {
        // SAFETY: the caller's promise.
        self.take_segments().map(|(mut segment, len)| unsafe { segment.take(len) }).collect()
    }

    /// Drops the results that are there.
    ///
    /// # Safety
    ///
    /// Everything that was handed out has arrived, and the desk is not used again.
    unsafe fn discard(&mut self, failed: &FailedInputs) {
        for (mut segment, len) in self.take_segments() {
            // SAFETY: the caller's promise.
            unsafe { segment.discard(len, failed) }
        }
    }
}

impl<N, C, R, Body> Generator<N, C, R, Body>
where
    N: Task,
    C: FromIterator<C::Item> + IntoIterator<Item: Send + 'static> + Send + 'static,
    R: Finish,
    Body: Future<Output = R> + Send + 'static,
{
    const TABLE: &'static Table = &Table { step: Self::collect, abandon: Self::abandon, describe: Self::describe };
    const PUMP: &'static Table = &Table { step: Self::resume, abandon: Self::stop, describe: |_| Described::Plumbing };

    /// # Safety
    ///
    /// The node is alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        Described::Task(call::name::<N>(unsafe { node.as_ref() }.origin()))
    }

    /// # Safety
    ///
    /// The node is the pump of one of these.
    unsafe fn of_pump(pump: NonNull<Node>) -> NonNull<Self> {
        // SAFETY: the caller's promise.
        unsafe { pump.byte_sub(mem::offset_of!(Self, pump)).cast() }
    }

    /// Resumes the body, for one slice.
    ///
    /// # Safety
    ///
    /// The node is the pump of one of these, ready, and the caller's.
    unsafe fn resume(pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the pump is an input that has not arrived, so the generator is alive, and the body and the desk
        // are ours. While the body runs, nothing but its `Yielder` uses the desk and the `Cx` lent to it.
        let (generator, resumed) = unsafe {
            let generator = Self::of_pump(pump);
            let at = generator.as_ptr();
            let desk = &(*at).desk;
            let work = desk.work.get();
            (*work).begin_slice(&desk.window, cx);
            let body = (*at).body.as_mut().expect("the body has not ended");
            let resumed = unwind::catch(|| match body.resume() {
                GeneratorState::Yielded(()) => GeneratorState::Yielded(()),
                GeneratorState::Complete(end) => GeneratorState::Complete(end.finish()),
            });
            (*work).end_slice(cx);
            (generator, resumed)
        };
        let ended = match resumed {
            // SAFETY: as above.
            Ok(GeneratorState::Yielded(())) => return unsafe { Self::go_on(generator, pump, cx) },
            Ok(GeneratorState::Complete(end)) => end.map_err(Why::Failed),
            Err(message) => Err(Why::Panicked(message)),
        };
        // SAFETY: as above; what is left of the body goes, and then the pump arrives.
        unsafe {
            let body = (*generator.as_ptr()).body.take();
            unwind::drop_values(|| drop(body));
            let node = generator.cast::<Node>();
            match ended {
                Ok(()) => settle::arrive(Destination::signal(node), cx),
                Err(why) => {
                    settle::blame(call::name::<N>(node.as_ref().origin()), why, node.as_ref().destination(), cx);
                    settle::fail(Destination::signal(node), cx)
                }
            }
        }
    }

    /// The body goes on when a worker has nothing else to do, or is parked.
    ///
    /// # Safety
    ///
    /// The pump is that of the generator, and the caller's.
    unsafe fn go_on(generator: NonNull<Self>, pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // Whoever takes the pump up may not know its scope.
        let queued = Queued::new(Ready(pump), cx.scope_ptr());
        // SAFETY: the caller's promise.
        let desk = unsafe { &(*generator.as_ptr()).desk };
        let max_workers = || cx.host.max_workers();
        if desk.window.is_full(max_workers()) {
            let desk = Arc::clone(desk);
            let tell = || cx.host.remember(Arc::downgrade(&desk) as Weak<dyn Parked>);
            if desk.window.park_if_full(max_workers, tell) {
                return None;
            }
        }
        cx.host.defer(queued);
        None
    }

    /// # Safety
    ///
    /// The node is the pump of one of these, and the caller's.
    #[cold]
    unsafe fn stop(pump: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the body is the pump's until it has arrived.
        unsafe {
            let body = (*Self::of_pump(pump).as_ptr()).body.take();
            settle::drop_given_up(|| drop(body));
            Abandoned::Failed(pump.as_ref().destination())
        }
    }

    /// All results are there.
    ///
    /// # Safety
    ///
    /// The node is one of these, all in, and the caller's.
    unsafe fn collect(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let generator = node.cast::<Self>();
        let at = generator.as_ptr();
        // SAFETY: the body has ended and everything has arrived, so the desk is ours, and its results are moved out
        // once. The rest is dropped, then the memory goes.
        let (segments, to, origin) = unsafe {
            let desk = &(*at).desk;
            let segments = (*desk.work.get()).take();
            let (to, origin) = ((*at).node.destination(), (*at).node.origin());
            ptr::drop_in_place(at);
            memory::free(generator);
            (segments, to, origin)
        };
        match unwind::catch(|| collected::<C>(segments)) {
            // SAFETY: the destination is that of a node whose result is this collection.
            Ok(collection) => unsafe { settle::deliver(to, collection, cx) },
            Err(message) => {
                settle::blame(call::name::<N>(origin), Why::Panicked(message), to, cx);
                settle::fail(to, cx)
            }
        }
    }

    /// # Safety
    ///
    /// As for `collect`, but children may have failed.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        let generator = node.cast::<Self>();
        let at = generator.as_ptr();
        // SAFETY: the node is ours; what it holds is dropped once, then its memory goes.
        unsafe {
            let (to, failed) = ((*at).node.destination(), (*at).node.take_failed());
            let desk = &(*at).desk;
            settle::drop_given_up(|| (*desk.work.get()).discard(&failed));
            ptr::drop_in_place(at);
            memory::free(generator);
            Abandoned::Failed(to)
        }
    }
}

/// The collection of what is in the segments.
fn collected<C: FromIterator<C::Item> + IntoIterator>(mut segments: Vec<Vec<C::Item>>) -> C {
    if segments.len() <= 1 {
        // A collection that is a `Vec` keeps the memory.
        return segments.pop().unwrap_or_default().into_iter().collect();
    }
    let left = segments.iter().map(Vec::len).sum();
    InOrder { segments: segments.into_iter(), segment: Vec::new().into_iter(), left }.collect()
}

/// What is in the segments, with its exact length.
struct InOrder<T> {
    segments: std::vec::IntoIter<Vec<T>>,
    segment: std::vec::IntoIter<T>,
    left: usize,
}

impl<T> Iterator for InOrder<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.segment.next() {
                self.left -= 1;
                return Some(item);
            }
            self.segment = self.segments.next()?.into_iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
