//! Outlets: how items leave a generator while it runs, and how far it may be ahead of whoever takes them.
//!
//! ```text
//! child --result--> Parcel --item--> Outlet --> Feed, where a consumer polls
//!                     |                 |
//!                     +--> its batch    +--there is room again--> the pump of a generator that is ahead
//! ```
//!
//! Each child of such a generator goes into a *parcel*, a node that puts the result into the outlet as soon as it is there.
//! An outlet hands its items out in the order in which they were yielded, or in which they are completed.

use std::collections::VecDeque;
use std::mem;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::graph::cx::Cx;
use crate::graph::node::{Destination, Node, Ready};
use crate::graph::pass::{self, Pass};
use crate::graph::settle;
use crate::sync::{Mutex, lock};
use crate::unwind;

pub(in crate::graph) struct Outlet<T>(Mutex<State<T>>);

struct State<T> {
    order: Order,
    /// How many items may be in the making or wait here, if that was set.
    bound: Option<u32>,
    /// From the item that is to be taken next; `None` where one is still to come.
    items: VecDeque<Option<T>>,
    /// The index of the first of them among all.
    first: u64,
    /// How many of them are there.
    len: usize,
    consumer: Option<Waker>,
    /// Whoever makes items and is ahead: to go on once no more than this many are there.
    producer: Option<(Waker, usize)>,
}

/// In which order items are handed out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Yielded,
    Completed,
}

impl<T> Outlet<T> {
    pub(in crate::graph) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            order: Order::Yielded,
            bound: None,
            items: VecDeque::new(),
            first: 0,
            len: 0,
            consumer: None,
            producer: None,
        })))
    }

    /// Only before anything is put there.
    pub(super) fn set_order(&self, order: Order) {
        lock(&self.0).order = order;
    }

    /// As `set_order`.
    pub(in crate::graph) fn set_bound(&self, bound: u32) {
        lock(&self.0).bound = Some(bound);
    }

    pub(in crate::graph) fn bound(&self) -> Option<u32> {
        lock(&self.0).bound
    }

    /// How many items wait here.
    pub(in crate::graph) fn len(&self) -> usize {
        lock(&self.0).len
    }

    /// Puts item `idx` of all there.
    pub(in crate::graph) fn put(&self, idx: u64, item: T) {
        let mut state = lock(&self.0);
        match state.order {
            Order::Completed => state.items.push_back(Some(item)),
            Order::Yielded => {
                let i = usize::try_from(idx - state.first).expect("the items fit into memory");
                if state.items.len() <= i {
                    state.items.resize_with(i + 1, || None);
                }
                state.items[i] = Some(item);
            }
        }
        state.len += 1;
        let consumer = if state.items[0].is_some() { state.consumer.take() } else { None };
        drop(state);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }

    /// The index after all items that were put there; no item is still to come.
    pub(in crate::graph) fn end(&self) -> u64 {
        let state = lock(&self.0);
        state.first + state.items.len() as u64
    }

    /// Whether `len_max` items are there, so that whoever makes them has to wait; `waker` is woken when some are taken,
    /// and no more than `low` are left.
    pub(in crate::graph) fn wait_if_ahead(&self, len_max: usize, low: usize, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut state = lock(&self.0);
        let is_ahead = len_max <= state.len;
        if is_ahead {
            state.producer = Some((waker, low));
        }
        is_ahead
    }

    /// Moves what can be taken to `taken`; if that is nothing, the consumer is woken when there is something.
    fn poll_take(&self, taken: &mut VecDeque<T>, context: &Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        let mut state = lock(&self.0);
        // What was taken is not counted as waiting, so under a bound it is one at a time.
        let at_most = if state.bound.is_some() { 1 } else { usize::MAX };
        while taken.len() < at_most
            && let Some(Some(_)) = state.items.front()
        {
            taken.extend(state.items.pop_front().flatten());
            state.first += 1;
            state.len -= 1;
        }
        if taken.is_empty() {
            let before = state.consumer.replace(waker);
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        let len = state.len;
        let producer = state.producer.take_if(|(_, len_low)| len <= *len_low);
        drop(state);
        if let Some((producer, _)) = producer {
            producer.wake();
        }
        Poll::Ready(())
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        drop_each(mem::take(&mut lock(&self.0).items).into_iter().flatten());
    }
}

/// Each by itself: the panic of one must not keep the others.
fn drop_each<T>(items: impl Iterator<Item = T>) {
    items.for_each(|item| unwind::drop_values(|| drop(item)));
}

struct Parcel<T> {
    idx: u64,
    outlet: NonNull<Outlet<T>>,
}

/// Makes the result of `child` item `idx` of an outlet; the parcel, which is returned, still needs a consumer.
///
/// # Safety
///
/// The child is the caller's and has a result of type `T`. The outlet outlives the consumer of the parcel.
pub(in crate::graph) unsafe fn parcel<T: Send + 'static>(
    outlet: &Outlet<T>,
    idx: u64,
    child: NonNull<Node>,
) -> NonNull<Node> {
    // SAFETY: the caller's promise; an outlet may be used by any thread.
    unsafe { pass::above::<T, _>(child, Parcel { idx, outlet: NonNull::from(outlet) }) }
}

impl<T: Send + 'static> Pass<T> for Parcel<T> {
    type Output = ();

    unsafe fn pass(self, item: T, _: &'static Location<'static>, to: Destination, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the consumer waits for us, so the outlet is there.
        let outlet = unsafe { self.outlet.as_ref() };
        // Whoever waits may have any waker.
        unwind::drop_values(|| outlet.put(self.idx, item));
        // SAFETY: the caller's promise; the result is in the outlet.
        unsafe { settle::arrive(to, cx) }
    }
}

/// A consumer's end of an outlet.
pub(crate) struct Feed<T> {
    outlet: Arc<Outlet<T>>,
    taken: VecDeque<T>,
    end: End,
}

enum End {
    ToCome,
    Failed(Error),
    Told,
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        drop_each(self.taken.drain(..));
    }
}

impl<T> Feed<T> {
    pub(in crate::graph) fn new(outlet: Arc<Outlet<T>>) -> Self {
        Self { outlet, taken: VecDeque::new(), end: End::ToCome }
    }

    /// Whether there is an item that was taken out of the outlet already.
    pub(in crate::graph) fn has_next(&self) -> bool {
        !self.taken.is_empty()
    }

    pub(in crate::graph) fn outlet(&self) -> &Outlet<T> {
        &self.outlet
    }

    /// The next item; `None` after the last one, or after the failure, which comes last. `poll_end` polls for the end,
    /// after which nothing is put into the outlet any more.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        poll_end: impl FnOnce(&mut Context<'_>) -> Poll<Result<(), Error>>,
    ) -> Poll<Option<Result<T, Error>>> {
        if self.taken.is_empty()
            && self.outlet.poll_take(&mut self.taken, context).is_pending()
            && matches!(self.end, End::ToCome)
        {
            let Poll::Ready(ended) = poll_end(context) else { return Poll::Pending };
            self.end = ended.map_or_else(End::Failed, |()| End::Told);
            // What came between the two looks.
            let _ = self.outlet.poll_take(&mut self.taken, context);
        }
        if let Some(item) = self.taken.pop_front() {
            return Poll::Ready(Some(Ok(item)));
        }
        match mem::replace(&mut self.end, End::Told) {
            End::Failed(failure) => Poll::Ready(Some(Err(failure))),
            End::Told | End::ToCome => Poll::Ready(None),
        }
    }
}

#[cfg(all(test, taskgraph_loom))]
mod models {
    use loom::cell::UnsafeCell;
    use loom::thread;

    use super::*;
    use crate::graph::models::Sleeper;
    use crate::mailbox::Mailbox;

    const ITEMS: u64 = 3;
    /// A maker with this many items waiting is ahead.
    const LEN_MAX: usize = 2;

    /// An item, which its consumer must not have before it was put there.
    struct Item(UnsafeCell<u64>);

    // SAFETY: as for a `u64`; loom checks it.
    unsafe impl Send for Item {}

    /// Puts items into an outlet in this order, while its consumer waits for them, and checks in which order they come out.
    fn check(order: Order, indices: [u64; ITEMS as usize], expected: [u64; ITEMS as usize]) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let outlet = Outlet::new();
            outlet.set_order(order);
            let mut feed = Feed::new(Arc::clone(&outlet));
            let end = Arc::new(Mailbox::new());
            let maker = {
                let end = Arc::clone(&end);
                thread::spawn(move || {
                    let room = Sleeper::new();
                    for idx in indices {
                        while outlet.wait_if_ahead(LEN_MAX, LEN_MAX / 2, &Waker::from(Arc::clone(&room))) {
                            room.sleep();
                        }
                        let item = Item(UnsafeCell::new(0));
                        // SAFETY: the item is ours; loom checks that it is written before it is read.
                        item.0.with_mut(|value| unsafe { *value = idx });
                        outlet.put(idx, item);
                    }
                    end.put(Ok(()));
                })
            };
            let more = Sleeper::new();
            let waker = Waker::from(Arc::clone(&more));
            let mut context = Context::from_waker(&waker);
            let mut taken = Vec::new();
            loop {
                match feed.poll_next(&mut context, |context| end.poll(context)) {
                    // SAFETY: as above.
                    Poll::Ready(Some(item)) => taken.push(item.expect("none fails").0.with(|value| unsafe { *value })),
                    Poll::Ready(None) => break,
                    Poll::Pending => more.sleep(),
                }
            }
            assert_eq!(taken, expected);
            maker.join().unwrap();
        });
    }

    /// Nobody sleeps for what has already happened: the maker for room, the consumer for an item or for the end.
    #[test]
    fn a_maker_that_is_ahead_and_its_consumer_wake_each_other() {
        check(Order::Completed, [0, 1, 2], [0, 1, 2]);
    }

    #[test]
    fn a_consumer_is_woken_for_the_item_that_comes_next() {
        check(Order::Yielded, [1, 0, 2], [0, 1, 2]);
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    /// Between a look for items and one for the end, all of them and the end may come.
    #[test]
    fn what_came_before_the_end_is_taken_however_much_at_a_time() {
        for bound in [None, Some(1), Some(2)] {
            let outlet = Outlet::new();
            bound.into_iter().for_each(|bound| outlet.set_bound(bound));
            let mut feed = Feed::new(Arc::clone(&outlet));
            let mut context = Context::from_waker(Waker::noop());
            let mut poll = || {
                feed.poll_next(&mut context, |_| {
                    (0..3).for_each(|i| outlet.put(i, i));
                    Poll::Ready(Err(Error::setting("the end".to_owned())))
                })
            };
            let items: Vec<_> = std::iter::from_fn(|| match poll() {
                Poll::Ready(item) => item.map(|item| item.map_err(|error| error.to_string())),
                Poll::Pending => panic!("there is something"),
            })
            .collect();
            assert_eq!(items, [Ok(0), Ok(1), Ok(2), Err("the end".to_owned())], "{bound:?}");
        }
    }
}
