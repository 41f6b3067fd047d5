//! The desk: where the body of a generator works.
//!
//! The body puts what it yields there: each child into a [batch](super::batch), with a slot for its result. The desk
//! belongs to the pump, and with it to the body while that is resumed; after the body's end it belongs to the generator.

use std::cell::UnsafeCell;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::batch::OpenBatch;
use super::body::Pausing;
use super::window::Window;
use crate::graph::all::segment::Segment;
use crate::graph::call::given::{Given, Kind};
use crate::graph::call::input::Slot;
use crate::graph::cx::Cx;
use crate::graph::dc::arg::IntoArg;
use crate::graph::delayed::Opened;
use crate::graph::future::alarm::Sleeper;
use crate::graph::node::{FailedInputs, Node, Ready};
use crate::graph::shared::Shared;
use crate::graph::stream::drain;
use crate::graph::stream::outlet::{self, Outlet};

const SEGMENT_LEN_MIN: usize = 16;
const SEGMENT_LEN_MAX: usize = 1 << 16;
/// If no child settles for so long although workers are busy, all of them wait for something.
const STUCK_AFTER: Duration = Duration::from_millis(10);

/// Whether the body is to be suspended for a while.
#[must_use]
pub struct Pause(bool);

/// Through this a body yields.
pub struct Yielder<T, P> {
    desk: Arc<Desk<T>>,
    pausing: P,
}

impl<T: Send + 'static, P: Pausing> Yielder<T, P> {
    pub(in crate::graph) fn new(desk: &Arc<Desk<T>>, pausing: P) -> Self {
        Self { desk: Arc::clone(desk), pausing }
    }

    /// Hands `item` out; the body goes on at once, or is suspended for a while.
    #[track_caller]
    pub fn put<A: IntoArg<T>>(&self, item: A) -> Pause {
        Pause(self.desk.hand_out(item.into_given()))
    }

    /// As [`put`](Self::put), and the body can use the result, too.
    #[track_caller]
    pub fn put_shared<A: IntoArg<T>>(&self, item: A) -> (Shared<T>, Pause)
    where
        T: Clone + Sync, // whoever uses the value of a yield has a handle on the result, besides the collection
    {
        let shared = item.into_dc().shared();
        let pause = self.put(shared.clone());
        (shared, pause)
    }
}

impl<T, P: Pausing> Yielder<T, P> {
    /// Suspends the body if `put` says so. Not a part of it, because a future would hold the type of the item, and an
    /// error about that would be told twice.
    pub async fn pause(&self, pause: Pause) {
        if pause.0 {
            self.pausing.pause(&self.desk.is_paused).await;
        }
    }
}

/// A body that yields these items.
pub(in crate::graph) async fn yield_all<T, A, P>(yielder: Yielder<T, P>, items: impl Iterator<Item = A>)
where
    T: Send + 'static,
    A: IntoArg<T>,
    P: Pausing,
{
    for item in items {
        yielder.pause(yielder.put(item)).await;
    }
}

/// What the body shares with the generator.
pub(in crate::graph) struct Desk<T> {
    pub(in crate::graph) window: Window,
    pub(in crate::graph) pump: NonNull<Node>,
    /// Whether the body has suspended itself: it is to be resumed, and does not wait.
    pub(in crate::graph) is_paused: AtomicBool,
    pub(in crate::graph) work: UnsafeCell<Work<T>>,
}

// SAFETY: only the step that resumes the body touches its work, through the pump or through the body's `Yielder`,
// which generated code neither gives away nor uses from elsewhere. After the body's end only the collecting step does.
unsafe impl<T: Send> Send for Desk<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Desk<T> {}

/// What the body works on while it is resumed, and the pump in between.
pub(in crate::graph) struct Work<T> {
    generator: NonNull<Node>,
    /// That of the step that resumes the body; null at other times.
    cx: *mut Cx<'static>,
    /// Whether the body was resumed before.
    has_begun: bool,
    /// How many children had settled when the pump looked first that found so many, and when that was.
    progress: Option<(u32, Instant)>,
    /// If the items go into an outlet.
    feeding: Option<Feeding<T>>,
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

/// What feeds an outlet.
struct Feeding<T> {
    outlet: Arc<Outlet<T>>,
    /// The index of the next item.
    idx: u64,
    /// What the pump sleeps with while it waits for room.
    sleeper: Option<Sleeper>,
}

impl<T> Feeding<T> {
    fn next_idx(&mut self) -> u64 {
        self.idx += 1;
        self.idx - 1
    }
}

impl<T: Send + 'static> Desk<T> {
    pub(in crate::graph) fn new(generator: NonNull<Node>, pump: NonNull<Node>, window: Window) -> Arc<Self> {
        let work = Work {
            generator,
            cx: ptr::null_mut(),
            has_begun: false,
            progress: None,
            feeding: None,
            segments: Vec::new(),
            next_slot: 0,
            slots_end: 0,
            batch: None,
            batch_len_max: 1,
            left: 0,
            child: 1,
        };
        let is_paused = AtomicBool::new(false);
        Arc::new(Self { window, pump, is_paused, work: UnsafeCell::new(work) })
    }

    /// Hands out what the body has just yielded; returns whether the body is to be suspended now.
    #[inline]
    fn hand_out(&self, item: Given<T>) -> bool {
        // SAFETY: only a body that is being resumed can yield, so the desk is ours.
        let work = unsafe { &mut *self.work.get() };
        assert!(!work.cx.is_null(), "a body yields while it is resumed");
        // SAFETY: the step that resumes the body has lent its `Cx`, and does not use it meanwhile.
        let cx = unsafe { &mut *work.cx };
        let child = match item.0 {
            Kind::Value(value) => Err(value),
            Kind::Delayed(delayed) | Kind::Collected(delayed) => match delayed.open() {
                Opened::Done(value) => Err(value.into_value()),
                Opened::Graph(node, leaves) => Ok((node, leaves)),
            },
        };
        match child {
            Err(value) => work.put(value),
            Ok((node, leaves)) => {
                work.left = work.left.saturating_sub(work.child - 1);
                // SAFETY: the graph is ours, and the slot is the child's.
                unsafe {
                    let (node, slot) = work.place(node);
                    work.batch(self, cx).add(node, leaves, slot, cx);
                }
            }
        }
        work.left = work.left.saturating_sub(1);
        work.left == 0 || cx.scope().is_stopped()
    }

    /// Before the body goes on: if it is far ahead of the consumer of its items, the pump sleeps. Then returns what the
    /// step comes to.
    ///
    /// # Safety
    ///
    /// The desk is that of a generator whose pump is the caller's, and the body is not being resumed. The step has to
    /// return what this returns: the desk may be gone then.
    pub(super) unsafe fn wait_for_room(this: NonNull<Self>, cx: &mut Cx<'_>) -> Option<Option<Ready>> {
        // SAFETY: so the desk is the caller's, too, until its pump sleeps.
        let (sleeper, pump) = unsafe {
            let desk = this.as_ref();
            let feeding = (*desk.work.get()).feeding.as_mut()?;
            let (waker, _) = Sleeper::wake_up(&mut feeding.sleeper, desk.pump, cx);
            let (plenty, low) = desk.window.plenty_waiting(cx.host.max_workers());
            if !feeding.outlet.wait_if_ahead(plenty, low, waker) {
                return None;
            }
            (ptr::from_mut(feeding.sleeper.as_mut().expect("it was woken up")), desk.pump)
        };
        // SAFETY: the sleeper is part of the desk; what comes of the pump is what the step comes to.
        Some(unsafe { Sleeper::sleep(sleeper, pump, cx) })
    }
}

impl<T: Send + 'static> Work<T> {
    /// Whether the children do not get on.
    pub(super) fn is_stuck(&mut self, window: &Window, now: Instant) -> bool {
        let settled = window.settled();
        match self.progress {
            Some((before, since)) if before == settled => STUCK_AFTER <= now.saturating_duration_since(since),
            _ => {
                self.progress = Some((settled, now));
                false
            }
        }
    }

    /// Begins a slice for the body: of some children, or of as many values as the longest slice has children. After
    /// waiting for something else the body goes on with the same slice, or its children would be without number. False
    /// if there is no room for anything.
    pub(super) fn begin_slice(&mut self, window: &Window, cx: *mut Cx<'static>) -> bool {
        if !mem::replace(&mut self.has_begun, true) {
            // SAFETY: the generator waits for its body, and collects this type of items.
            let outlet = unsafe { drain::outlet_above(self.generator) };
            self.feeding = outlet.map(|outlet| {
                window.share_bound(&outlet);
                Feeding { outlet, idx: 0, sleeper: None }
            });
        }
        let slice = window.next_slice(|| self.feeding.as_ref().map_or(0, |feeding| feeding.outlet.len() as u32));
        if self.left == 0 {
            self.left = slice.len;
        }
        self.batch_len_max = slice.batch_len;
        self.child = slice.child;
        self.cx = cx;
        self.left != 0
    }

    /// The body is suspended.
    pub(super) fn end_slice(&mut self, cx: &mut Cx<'_>) {
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

    /// The next item is there.
    #[inline(always)]
    fn put(&mut self, value: T) {
        match &mut self.feeding {
            // SAFETY: the slot is ours to fill.
            None => unsafe { self.take_slot().cast::<T>().write(value) },
            Some(feeding) => {
                let idx = feeding.next_idx();
                feeding.outlet.put(idx, value);
            }
        }
    }

    /// What goes into a batch for the next item, which `child` computes, and the slot for it.
    ///
    /// # Safety
    ///
    /// The child is the caller's.
    #[inline(always)]
    unsafe fn place(&mut self, child: NonNull<Node>) -> (NonNull<Node>, *mut ()) {
        match &mut self.feeding {
            None => (child, self.take_slot().cast()),
            Some(feeding) => {
                let idx = feeding.next_idx();
                // SAFETY: the caller's promise; the generator waits for its batches, and has the outlet.
                (unsafe { outlet::parcel(&feeding.outlet, idx, child) }, ptr::null_mut())
            }
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
    pub(in crate::graph) unsafe fn take(&mut self) -> Vec<Vec<T>> {
        // SAFETY: the caller's promise.
        self.take_segments().map(|(mut segment, len)| unsafe { segment.take(len) }).collect()
    }

    /// Drops the results that are there.
    ///
    /// # Safety
    ///
    /// Everything that was handed out has arrived, and the desk is not used again.
    pub(in crate::graph) unsafe fn discard(&mut self, failed: &FailedInputs) {
        for (mut segment, len) in self.take_segments() {
            // SAFETY: the caller's promise.
            unsafe { segment.discard(len, failed) }
        }
    }
}
