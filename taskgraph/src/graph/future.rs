//! Futures: a body that may wait for what is outside the graph, and for computations that it makes itself.
//!
//! ```text
//! Async (the result)  <-- pump: one input, until the body has ended; its steps poll the body
//!    ^-- child ..         each computation that the body awaits, until nothing of it is left
//! ```
//!
//! While the body waits its pump is [asleep](alarm), and no worker has it. The node itself is through when the
//! body and all children have ended: what a body has dropped without waiting for it is stopped, but its steps under way
//! run to their end, in scopes inside this one.

pub(super) mod alarm;
#[forbid(unsafe_code)]
pub(super) mod asleep;
pub(super) mod child;
#[forbid(unsafe_code)]
pub(super) mod trial;
#[forbid(unsafe_code)]
pub(super) mod awaited;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use self::alarm::Sleeper;
use super::call::{self, Outcome, Returns, Task};
use super::cx::Cx;
use super::delayed::DC;
use super::node::links::List;
use super::node::memory;
use super::node::{Abandoned, Described, Node, Ready, Table};
use super::pump::{self, Pumped};
use super::settle::{self, Why};
use crate::unwind;

#[repr(C)]
struct Async<N, R: Returns<F::Output>, F: Future> {
    pumped: Pumped,
    /// Until it has ended.
    body: Option<Sent<F>>,
    /// Likewise; dropped after the body.
    sleeper: Option<Sleeper>,
    /// From its end on, unless it has failed.
    outcome: Option<Outcome<R::Value>>,
    name: PhantomData<N>,
}

/// A body that may go to another thread. Required by itself, since an error about that belongs elsewhere than one about
/// what the body returns.
pub struct Sent<F>(pub(super) F);

// SAFETY: `sent`, which makes it, requires that.
unsafe impl<F> Send for Sent<F> {}

/// A body, if it may go to another thread.
pub fn sent<F>(body: F) -> Sent<F>
where
    F: Future + Send + 'static, // a body goes on where there is a worker: keep no `Rc` or `RefCell` across an `.await`
{
    Sent(body)
}

/// A task whose body is a future.
#[track_caller]
pub fn future<N, R, T, F>(body: Sent<F>) -> DC<T>
where
    N: Task,
    R: Returns<F::Output, Value = T>,
    T: Send + 'static,
    F: Future + 'static,
{
    let future = memory::allocate::<Async<N, R, F>>();
    let node = future.cast();
    let pumped = Pumped::new(node, Async::<N, R, F>::TABLE, Async::<N, R, F>::PUMP);
    // SAFETY: the memory is room for an `Async`, whose only leaf is its pump.
    unsafe {
        future.write(Async { pumped, body: Some(body), sleeper: None, outcome: None, name: PhantomData });
        DC::from_parts(node, List::of(Pumped::pump(node)))
    }
}

impl<N, R, F> Async<N, R, F>
where
    N: Task,
    R: Returns<F::Output>,
    R::Value: Send + 'static,
    F: Future + 'static,
{
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: call::describe::<N> };
    const PUMP: &'static Table = &Table { step: Self::poll, abandon: Self::stop, describe: |_| Described::Plumbing };

    /// Polls the body.
    ///
    /// # Safety
    ///
    /// The node is the pump of one of these, ready, and the caller's.
    unsafe fn poll(pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the pump is an input that has not arrived, so the node is alive, and the body is ours. It stays where
        // it is until it is dropped.
        let (node, at, polled) = unsafe {
            let node = Pumped::of(pump);
            let at = node.cast::<Self>().as_ptr();
            cx.seat.note::<N>(node.as_ref().origin());
            let (waker, children) = Sleeper::wake_up(&mut (*at).sleeper, pump, cx);
            let Sent(body) = (*at).body.as_mut().expect("the body has not ended");
            let body = Pin::new_unchecked(body);
            let lent = ptr::from_mut(cx).cast();
            let polled = child::with_parent(node, children, lent, || body.poll(&mut Context::from_waker(waker)));
            cx.seat.clear();
            (node, at, polled)
        };
        let ended = match polled {
            Ok(Poll::Pending) => {
                // SAFETY: the pump, and so the body, is still ours; after this it may be somebody else's.
                return unsafe {
                    let sleeper = (*at).sleeper.as_mut().expect("it was woken up");
                    Sleeper::sleep(sleeper, pump, cx)
                };
            }
            Ok(Poll::Ready(returned)) => unwind::catch(|| R::outcome(returned)),
            Err(message) => Err(message),
        };
        // SAFETY: the pump, and so the body, is still ours; what is left of the body goes, and then the pump arrives.
        unsafe {
            let ended = match ended {
                Ok(Outcome::Failed(cause)) => Err(Why::Failed(cause)),
                Err(message) => Err(Why::Panicked(message)),
                Ok(outcome) => {
                    (*at).outcome = Some(outcome);
                    Ok(())
                }
            };
            let drop_body = || (*at).body = None;
            if ended.is_ok() {
                unwind::drop_values(drop_body);
            } else {
                settle::drop_given_up(drop_body);
            }
            (*at).sleeper = None;
            pump::end::<N>(node, ended, cx)
        }
    }

    /// # Safety
    ///
    /// The node is the pump of one of these, and the caller's.
    #[cold]
    unsafe fn stop(pump: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the body is the pump's until it has arrived.
        unsafe {
            let at = Pumped::of(pump).cast::<Self>().as_ptr();
            settle::drop_given_up(|| (*at).body = None);
            (*at).sleeper = None;
            Abandoned::Failed(pump.as_ref().destination())
        }
    }

    /// The body has ended, and so have its children.
    ///
    /// # Safety
    ///
    /// The node is one of these, all in, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let this = node.cast::<Self>();
        let at = this.as_ptr();
        // SAFETY: the node is ours; the outcome is moved out, the rest is dropped, then the memory goes.
        let (outcome, to, origin) = unsafe {
            let outcome = (*at).outcome.take().expect("the body has ended well");
            let (to, origin) = (node.as_ref().destination(), node.as_ref().origin());
            this.drop_in_place();
            memory::free(this);
            (outcome, to, origin)
        };
        cx.seat.note::<N>(origin);
        // SAFETY: the destination and the origin are those of this node.
        unsafe { call::conclude::<N, _>(outcome, origin, to, cx) }
    }

    /// # Safety
    ///
    /// As for `step`, but the body may have failed, or not have ended.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        let this = node.cast::<Self>();
        // SAFETY: the node is ours; what it holds is dropped once, then its memory goes.
        unsafe {
            let to = node.as_ref().destination();
            drop(node.as_ref().take_failed());
            settle::drop_given_up(|| this.drop_in_place());
            memory::free(this);
            Abandoned::Failed(to)
        }
    }
}
