//! Generators: a body that yields computations, each of which starts at once while the body goes on.
//!
//! ```text
//! Generator (the collection)  <-- pump: one input, until the body has ended; its steps resume the body
//!    ^-- Batch <-- child child ..    each batch one input, with a counter of its own
//! ```
//!
//! A yielded computation is shown to all workers from within `yield_!`, in a [batch], while the body runs
//! on. The body is suspended after each slice of some children. Then its worker goes on with those; whoever has nothing
//! else to do resumes the body, to have children of its own. So what a worker makes it mostly takes itself, while it is
//! in its cache.
//!
//! No more than a [window] of children is in flight.
//!
//! The [body] itself may be an `async` one, which awaits other things, too.

#[forbid(unsafe_code)]
pub(super) mod window;
pub(super) mod batch;
pub(super) mod body;
pub(super) mod desk;

use std::future::Future;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use self::body::{Body, Coroutine, Finish, Marked, Polled, Resumed, Unmarked};
use self::desk::{Desk, Yielder};
use self::window::{Room, Window};
use super::call::{self, Task};
use super::cx::{Cx, Queued};
use super::delayed::DC;
use super::future::Sent;
use super::future::alarm::Sleeper;
use super::node::links::List;
use super::node::memory;
use super::node::{Abandoned, Described, Node, Ready, Table};
use super::pump::{self, Pumped};
use super::settle::{self, Why};
use crate::unwind;

/// A generator whose body has not started.
#[track_caller]
pub fn generate<N, C, R, F, B>(body: F) -> DC<C>
where
    N: Task,
    C: FromIterator<C::Item> + IntoIterator<Item: Send + 'static> + Send + 'static,
    R: Finish,
    F: FnOnce(Yielder<C::Item, Unmarked>) -> B,
    B: Future<Output = R> + Send + 'static,
{
    generator::<N, C, _>(|desk| Coroutine::new(|pausing| body(Yielder::new(desk, pausing))))
}

/// As [`generate`], with a body that may await.
#[track_caller]
pub fn generate_async<N, C, R, F, B>(body: F) -> DC<C>
where
    N: Task,
    C: FromIterator<C::Item> + IntoIterator<Item: Send + 'static> + Send + 'static,
    R: Finish,
    F: FnOnce(Yielder<C::Item, Marked>) -> Sent<B>,
    B: Future<Output = R> + 'static,
{
    generator::<N, C, _>(|desk| Polled::new(body(Yielder::new(desk, Marked))))
}

#[track_caller]
fn generator<N, C, B>(body: impl FnOnce(&Arc<Desk<C::Item>>) -> B) -> DC<C>
where
    N: Task,
    C: FromIterator<C::Item> + IntoIterator<Item: Send + 'static> + Send + 'static,
    B: Body,
{
    let generator = memory::allocate::<Generator<N, C, B>>();
    let node = generator.cast();
    // SAFETY: the memory is room for a `Generator`, whose only leaf is its pump.
    unsafe {
        let pump = Pumped::pump(node);
        let window = Window::new();
        N::IN_FLIGHT.into_iter().for_each(|bound| window.set_bound(bound));
        let desk = Desk::new(node, pump, window);
        let body = Some(body(&desk));
        let pumped = Pumped::new(node, Generator::<N, C, B>::TABLE, Generator::<N, C, B>::PUMP);
        generator.write(Generator { pumped, body, desk, name: PhantomData });
        DC::from_parts(node, List::of(pump))
    }
}

#[repr(C)]
struct Generator<N, C: IntoIterator, B> {
    pumped: Pumped,
    /// Until it has ended.
    body: Option<B>,
    desk: Arc<Desk<C::Item>>,
    name: PhantomData<N>,
}

impl<N, C, B> Generator<N, C, B>
where
    N: Task,
    C: FromIterator<C::Item> + IntoIterator<Item: Send + 'static> + Send + 'static,
    B: Body,
{
    const TABLE: &'static Table = &Table { step: Self::collect, abandon: Self::abandon, describe: call::describe::<N> };
    const PUMP: &'static Table = &Table { step: Self::resume, abandon: Self::stop, describe: |_| Described::Plumbing };

    /// Resumes the body, for one slice.
    ///
    /// # Safety
    ///
    /// The node is the pump of one of these, ready, and the caller's.
    unsafe fn resume(pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the pump is an input that has not arrived, so the generator is alive, and the body and the desk
        // are ours. While the body runs, nothing but its `Yielder` uses the desk and the `Cx` lent to it.
        let (generator, resumed) = unsafe {
            let node = Pumped::of(pump);
            let generator = node.cast::<Self>();
            let at = generator.as_ptr();
            let desk = &(*at).desk;
            let work = desk.work.get();
            // A worker that has other things to do makes more than is plenty only if what is in flight waits for something.
            if cx.host.is_spares_turn()
                && !matches!(desk.window.room(cx.host.max_workers()), Room::Plenty)
                && !(*work).is_stuck(&desk.window, cx.host.now())
            {
                cx.host.end_spares_turn();
                return Self::go_on(generator, pump, cx);
            }
            let lent = ptr::from_mut(cx).cast();
            if !(*work).begin_slice(&desk.window, lent) {
                (*work).end_slice(cx);
                return Self::go_on(generator, pump, cx);
            }
            cx.seat.note::<N>(node.as_ref().origin());
            let body = (*at).body.as_mut().expect("the body has not ended");
            let resumed = body.resume(pump, node, &desk.is_paused, lent);
            cx.seat.clear();
            (*work).end_slice(cx);
            (generator, resumed)
        };
        let ended = match resumed {
            // SAFETY: the pump is still ours.
            Ok(Resumed::Paused) => return unsafe { Self::go_on(generator, pump, cx) },
            Ok(Resumed::Waiting) => {
                // SAFETY: the pump is still ours, and so is the body.
                return unsafe {
                    let body = (*generator.as_ptr()).body.as_mut().expect("the body has not ended");
                    Sleeper::sleep(body.sleeper(), pump, cx)
                };
            }
            Ok(Resumed::Ended(end)) => end.map_err(Why::Failed),
            Err(message) => Err(Why::Panicked(message)),
        };
        // SAFETY: the pump is still ours; what is left of the body is dropped where it is, and then the pump arrives.
        unsafe {
            unwind::drop_values(|| (*generator.as_ptr()).body = None);
            pump::end::<N>(generator.cast(), ended, cx)
        }
    }

    /// Lets the body go on when a worker has nothing else to do, or parks it.
    ///
    /// # Safety
    ///
    /// The pump is that of the generator, and the caller's.
    unsafe fn go_on(generator: NonNull<Self>, pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the generator waits for its pump, which is ours.
        let desk = unsafe { NonNull::from(&*(*generator.as_ptr()).desk) };
        // SAFETY: as above.
        if let Some(asleep) = unsafe { Desk::wait_for_room(desk, cx) } {
            return asleep;
        }
        // SAFETY: the pump is still ours.
        let desk = unsafe { desk.as_ref() };
        let max_workers = cx.host.max_workers();
        let room = desk.window.room(max_workers);
        if let Room::None = room {
            return (!desk.window.park_if_full(max_workers)).then_some(Ready(pump));
        }
        let queued = Queued::new(Ready(pump), cx.scope_ptr());
        match room {
            Room::Little => cx.host.defer_until_idle(queued),
            _ => cx.host.defer(queued),
        }
        None
    }

    /// # Safety
    ///
    /// The node is the pump of one of these, and the caller's.
    #[cold]
    unsafe fn stop(pump: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the body is the pump's until it has arrived. It is dropped where it was polled: it is pinned.
        unsafe {
            let at = Pumped::of(pump).cast::<Self>().as_ptr();
            settle::drop_given_up(|| (*at).body = None);
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
            let (to, origin) = (node.as_ref().destination(), node.as_ref().origin());
            ptr::drop_in_place(at);
            memory::free(generator);
            (segments, to, origin)
        };
        cx.seat.note::<N>(origin);
        match unwind::catch(|| collected::<C>(segments)) {
            // SAFETY: the destination is that of a node whose result is this collection.
            Ok(collection) => unsafe { settle::deliver(to, collection, cx) },
            // SAFETY: as above.
            Err(message) => unsafe { call::fail::<N>(origin, Why::Panicked(message), to, cx) },
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
            let (to, failed) = (node.as_ref().destination(), node.as_ref().take_failed());
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
