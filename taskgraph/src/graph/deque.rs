//! A deque of ready nodes: its owner pushes and pops the newest, thieves steal the oldest.
//!
//! ```text
//!            top: moved by thieves, and by an owner that pops the last node
//!             v
//!   .. taken [oldest][ ][ ][ ][newest] free ..
//!                       ^              ^
//!                       split          bottom: moved by the owner
//! ```
//!
//! It is the deque of Chase and Lev ("Dynamic circular work-stealing deque", 2005) in the form for weak memory of Lê
//! and others ("Correct and efficient work-stealing for weak memory models", 2013). An owner that pops writes `bottom`
//! and then reads `top`; a thief reads `top` and then `bottom`. So that they do not take the same node, each has a
//! fence in between. The owner's was the largest single cost of a node, so three things are different here.
//!
//! * *What thieves may take is split off*, as in the deque of Dinan and others ("Scalable work stealing", 2009). The
//!   nodes before `split` are public: a few of the oldest, or none. When those are gone the owner makes the next ones
//!   public, once it does something other than pop them. It needs no fence for what is private.
//! * *A thief that insists takes what is private, too*, since an owner may be in one body for an hour. The thief asks
//!   for the deque to be open, and goes through the [heavy half](barrier::heavy) of a barrier; the owner has the light
//!   half. While an owner is asked, or the deque is open, it has a fence in each pop; nothing of an open deque is
//!   private. After a while the owner closes it [again](Deque::calm_down).
//! * *One thief at a time*; the others look elsewhere. So the owner can close the deque while no thief relies on the
//!   fences, and free a buffer that has become too large, with those before it, while no thief reads it.
//!
//! Why that is enough: in a pop the owner writes `bottom`, then reads whether it is asked. A thief's heavy barrier acts
//! as a fence somewhere in what the owner does. If that is before the owner's read, the owner sees that it is asked,
//! and has a fence of its own. If it is after that, `bottom` was written before the barrier, and the thief reads it
//! afterwards. If the system refuses the barrier, as a filter of system calls can, the thief takes nothing before the
//! owner itself has opened the deque, in its next pop. Later thieves get the lock from the first, and do not read an
//! older `bottom`. A thief that finds the deque closed takes only what is before `split`, which never moves back
//! meanwhile; to pop one of these the owner has a fence, or gets the last one by the same exchange as thieves do.
//!
//! Indices only grow, and may wrap around.

mod buffer;

use std::cell::Cell;
use std::hint;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::buffer::{Buffer, Circle};
use super::cx::Queued;
use super::node::{Node, Ready};
use crate::barrier;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence};

/// How many nodes have room at first. A power of two, as all sizes are.
const CAPACITY_MIN: usize = if cfg!(taskgraph_loom) { 2 } else { 64 };
/// How many nodes are public at once: enough for those of a narrow graph, where what is ready belongs to several workers.
const PUBLIC_MAX: usize = if cfg!(taskgraph_loom) { 2 } else { 4 };
/// A buffer of up to this many places is not worth giving back.
const CAPACITY_KEPT: usize = if cfg!(taskgraph_loom) { 2 } else { 1 << 10 };

/// The owner's side. The owner is one thread at a time.
pub(crate) struct Deque {
    shared: Arc<Sides>,
    /// The buffer in use.
    circle: Cell<Circle>,
    /// How far `bottom` may go before the owner has to check what was taken meanwhile.
    room_end: Cell<usize>,
    /// Where what is public ends, as thieves will read it.
    split: Cell<usize>,
    /// For how long it has been open, counted in [looks](Self::calm_down).
    rounds_open: Cell<u32>,
}

// SAFETY: the circle is the deque's own, and nodes can be sent.
unsafe impl Send for Deque {}

/// A thief's side.
#[derive(Clone)]
pub(crate) struct Stealer(Arc<Sides>);

struct Sides {
    owner: OwnersLine,
    thief: ThievesLine,
}

/// On a line of its own, and not on one that is fetched along with another.
#[repr(align(128))]
struct OwnersLine {
    bottom: AtomicUsize,
    buffer: AtomicPtr<Buffer>,
}

#[repr(align(128))]
struct ThievesLine {
    top: AtomicUsize,
    /// Written by the owner. What is before it is public.
    split: AtomicUsize,
    /// `CLOSED`, `ASKED` or `OPEN`.
    access: AtomicU8,
    /// Held by a thief while it steals, and by an owner that wants to be alone.
    is_locked: AtomicBool,
}

/// What is before `split` is public, the rest is the owner's.
const CLOSED: u8 = 0;
/// A thief wants all. The owner has a fence in each pop once it has seen that.
const ASKED: u8 = 1;
/// All is public, and thieves rely on a fence in each pop.
const OPEN: u8 = 2;

impl Deque {
    pub(crate) fn new() -> Self {
        Self::starting_at(0)
    }

    fn starting_at(i: usize) -> Self {
        let buffer = Buffer::new(CAPACITY_MIN, ptr::null_mut());
        let circle = Cell::new(buffer.circle());
        let owner = OwnersLine { bottom: AtomicUsize::new(i), buffer: AtomicPtr::new(Box::into_raw(buffer)) };
        let thief = ThievesLine {
            top: AtomicUsize::new(i),
            split: AtomicUsize::new(i),
            access: AtomicU8::new(OPEN),
            is_locked: AtomicBool::new(false),
        };
        let shared = Arc::new(Sides { owner, thief });
        let room_end = Cell::new(i.wrapping_add(CAPACITY_MIN));
        Self { shared, circle, room_end, split: Cell::new(i), rounds_open: Cell::default() }
    }

    pub(crate) fn stealer(&self) -> Stealer {
        Stealer(Arc::clone(&self.shared))
    }

    #[inline(always)]
    pub(crate) fn push(&self, node: Queued) {
        let owner = &self.shared.owner;
        // Relaxed: only we write it.
        let bottom = owner.bottom.load(Ordering::Relaxed);
        if bottom == self.room_end.get() {
            self.make_room(bottom);
        }
        // SAFETY: the buffer in use is there. Relaxed: `bottom` comes after it, and nobody reads the place before.
        unsafe { self.circle.get().at(bottom) }.store(node.into_node().as_ptr(), Ordering::Relaxed);
        // Release, pairs with the Acquire of a thief.
        owner.bottom.store(bottom.wrapping_add(1), Ordering::Release);
    }

    /// For an owner that does something other than pop: makes the oldest nodes public, if there are more than `kept`.
    #[inline(always)]
    pub(crate) fn show(&self, kept: usize) {
        let Sides { owner, thief } = &*self.shared;
        let top = thief.top.load(Ordering::Relaxed);
        let len = owner.bottom.load(Ordering::Relaxed).wrapping_sub(top);
        if top == self.split.get() && kept < len {
            let split = top.wrapping_add(PUBLIC_MAX.min(len - kept));
            self.split.set(split);
            // Release, pairs with the fence of a thief: hands over the nodes, which may not be the first in their places.
            thief.split.store(split, Ordering::Release);
        }
    }

    /// Where the next node will be.
    pub(crate) fn bottom(&self) -> usize {
        self.shared.owner.bottom.load(Ordering::Relaxed)
    }

    #[cold]
    fn make_room(&self, bottom: usize) {
        // Acquire: thieves have read the places that are free again.
        let top = self.shared.thief.top.load(Ordering::Acquire);
        assert!(!is_before(bottom, top), "no node is taken twice");
        let capacity = self.circle.get().capacity();
        self.room_end.set(top.wrapping_add(capacity));
        if bottom == self.room_end.get() {
            let outgrown = self.shared.owner.buffer.load(Ordering::Relaxed);
            self.move_to(Buffer::new(2 * capacity, outgrown), top, bottom);
        }
    }

    /// Moves the nodes to a buffer with room for them; what becomes of the one before is the caller's affair.
    fn move_to(&self, buffer: Box<Buffer>, top: usize, bottom: usize) {
        for i in 0..bottom.wrapping_sub(top) {
            let i = top.wrapping_add(i);
            // SAFETY: both buffers are there.
            unsafe { buffer.circle().at(i).store(self.circle.get().at(i).load(Ordering::Relaxed), Ordering::Relaxed) };
        }
        self.circle.set(buffer.circle());
        self.room_end.set(top.wrapping_add(self.circle.get().capacity()));
        // Release: hands over what is in it.
        self.shared.owner.buffer.store(Box::into_raw(buffer), Ordering::Release);
    }

    /// The newest node.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<Queued> {
        let Sides { owner, thief } = &*self.shared;
        // Relaxed: only we write it.
        let bottom = owner.bottom.load(Ordering::Relaxed);
        let top = thief.top.load(Ordering::Relaxed);
        if bottom == top {
            return None;
        }
        let newest = bottom.wrapping_sub(1);
        // Release, like every store to it: a thief that reads it sees all that was pushed before.
        owner.bottom.store(newest, Ordering::Release);
        barrier::light_for_heavy();
        if thief.access.load(Ordering::Relaxed) != CLOSED {
            return self.pop_open(newest);
        }
        if is_before(newest, self.split.get()) {
            return if newest == top { self.pop_oldest(newest) } else { self.pop_public(newest) };
        }
        if top == self.split.get() {
            self.show(0);
        }
        // SAFETY: no thief takes what is private.
        Some(unsafe { self.take(newest) })
    }

    /// Pops with a fence, whatever the node is; opens the deque if a thief has asked for that.
    #[inline(never)]
    fn pop_open(&self, newest: usize) -> Option<Queued> {
        let access = &self.shared.thief.access;
        if access.load(Ordering::Relaxed) == ASKED {
            // Release, as in `leave`: after what was taken without a fence.
            access.store(OPEN, Ordering::Release);
        }
        self.pop_public(newest)
    }

    /// Pops a node that a thief may take as well: with a fence, and the last one by the exchange.
    #[inline(never)]
    fn pop_public(&self, newest: usize) -> Option<Queued> {
        // SeqCst, pairs with that of a thief.
        fence(Ordering::SeqCst);
        let top = self.shared.thief.top.load(Ordering::Relaxed);
        if is_before(top, newest) {
            // SAFETY: a thief that comes now finds a smaller `bottom`.
            return Some(unsafe { self.take(newest) });
        }
        self.pop_oldest(newest)
    }

    /// Pops the node that is left, or was: a thief may want it, too.
    #[cold]
    fn pop_oldest(&self, oldest: usize) -> Option<Queued> {
        let Sides { owner, thief } = &*self.shared;
        let end = oldest.wrapping_add(1);
        let is_ours = thief.top.compare_exchange(oldest, end, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        owner.bottom.store(end, Ordering::Release);
        // SAFETY: whoever moves `top` has the node.
        is_ours.then(|| unsafe { self.take(oldest) })
    }

    /// # Safety
    ///
    /// The node was pushed, and nobody else takes it.
    #[inline(always)]
    unsafe fn take(&self, i: usize) -> Queued {
        // SAFETY: the buffer in use is there; the rest is the caller's promise.
        unsafe { Self::node(self.circle.get().at(i).load(Ordering::Relaxed)) }
    }

    /// # Safety
    ///
    /// It was pushed, and is the caller's.
    #[inline(always)]
    unsafe fn node(node: *mut Node) -> Queued {
        // SAFETY: what was pushed was a queued node.
        unsafe { Queued::again(Ready(NonNull::new_unchecked(node))) }
    }

    /// For the owner, now and then: closes the deque if this is the `patience`-th call that finds it open, and gives
    /// back memory that is hardly used.
    pub(crate) fn calm_down(&self, patience: u32) {
        self.shrink();
        if self.shared.thief.access.load(Ordering::Relaxed) == CLOSED {
            return;
        }
        let rounds = self.rounds_open.get().saturating_add(1);
        self.rounds_open.set(rounds);
        if patience <= rounds {
            match barrier::is_exact() {
                true => self.close(),
                false => barrier::make_exact(),
            }
        }
    }

    /// Makes all but some of the oldest private again, unless a thief is at it.
    pub(super) fn close(&self) {
        self.alone(|| {
            let Sides { owner, thief } = &*self.shared;
            let (top, bottom) = (thief.top.load(Ordering::Relaxed), owner.bottom.load(Ordering::Relaxed));
            let split = top.wrapping_add(PUBLIC_MAX.min(bottom.wrapping_sub(top)));
            self.split.set(split);
            thief.split.store(split, Ordering::Relaxed);
            thief.access.store(CLOSED, Ordering::Relaxed);
            self.rounds_open.set(0);
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shared.len() == 0
    }

    /// A new owner comes, of what another one has left: that need not stay public.
    pub(crate) fn come(&self) {
        if barrier::is_exact() {
            self.close();
        }
    }

    /// The owner leaves: makes all that is left public.
    pub(crate) fn leave(&self) {
        if !self.is_empty() {
            // Release, as in `show`: after what the owner took without a fence.
            self.shared.thief.access.store(OPEN, Ordering::Release);
        }
    }

    fn shrink(&self) {
        let capacity = self.circle.get().capacity();
        if capacity <= CAPACITY_KEPT || capacity / 8 < self.shared.len() {
            return;
        }
        self.alone(|| {
            let Sides { owner, thief } = &*self.shared;
            let before = owner.buffer.load(Ordering::Relaxed);
            let (top, bottom) = (thief.top.load(Ordering::Relaxed), owner.bottom.load(Ordering::Relaxed));
            self.move_to(Buffer::new((capacity / 4).max(CAPACITY_MIN), ptr::null_mut()), top, bottom);
            // SAFETY: it was made from a box, and no thief reads it.
            drop(unsafe { Box::from_raw(before) });
        });
    }

    /// Runs `code` while no thief is at it; not at all if one is.
    fn alone(&self, code: impl FnOnce()) {
        let is_locked = &self.shared.thief.is_locked;
        // Acquire and Release: those of a lock.
        if !is_locked.swap(true, Ordering::Acquire) {
            code();
            is_locked.store(false, Ordering::Release);
        }
    }
}

impl Stealer {
    /// The oldest node; or none, if it is private, or if another thief is at it.
    pub(crate) fn steal(&self) -> Option<Queued> {
        let thief = &self.0.thief;
        // What the owner writes at each step is not read while there is nothing to get.
        let is_public = thief.access.load(Ordering::Relaxed) == OPEN
            || is_before(thief.top.load(Ordering::Relaxed), thief.split.load(Ordering::Relaxed));
        if is_public { self.steal_alone(false) } else { None }
    }

    /// The oldest node, though it may be private; or none, if the owner pushes or pops something meanwhile, or if another
    /// thief is at it. This takes some microseconds.
    pub(crate) fn insist(&self) -> Option<Queued> {
        let is_taken = self.0.thief.is_locked.load(Ordering::Relaxed) || self.is_in_use();
        if is_taken { None } else { self.steal_alone(true) }
    }

    /// Whether its owner pushes or pops within a moment.
    #[cold]
    fn is_in_use(&self) -> bool {
        /// Longer than a short task.
        const MOMENT: Duration = Duration::from_micros(2);
        if cfg!(taskgraph_loom) {
            return false;
        }
        let bottom = &self.0.owner.bottom;
        let (before, start) = (bottom.load(Ordering::Relaxed), Instant::now());
        while bottom.load(Ordering::Relaxed) == before {
            if MOMENT <= start.elapsed() {
                return false;
            }
            hint::spin_loop();
        }
        true
    }

    /// Steals, unless another thief is at it.
    fn steal_alone(&self, insists: bool) -> Option<Queued> {
        let is_locked = &self.0.thief.is_locked;
        if self.is_empty() || is_locked.load(Ordering::Relaxed) || is_locked.swap(true, Ordering::Acquire) {
            return None;
        }
        let node = self.steal_locked(insists);
        is_locked.store(false, Ordering::Release);
        node
    }

    fn steal_locked(&self, insists: bool) -> Option<Queued> {
        let Sides { owner, thief } = &*self.0;
        let top = thief.top.load(Ordering::Relaxed);
        let is_public =
            thief.access.load(Ordering::Relaxed) == OPEN || is_before(top, thief.split.load(Ordering::Relaxed));
        if !is_public && (!insists || self.is_empty() || !self.open()) {
            return None;
        }
        // SeqCst, pairs with that of a pop; and with the Release in `show`, or of an owner that opened it or has left.
        fence(Ordering::SeqCst);
        // Acquire, pairs with every store to it: takes over what was pushed by then.
        let bottom = owner.bottom.load(Ordering::Acquire);
        if !is_before(top, bottom) {
            return None;
        }
        // SAFETY: a buffer is freed only while no thief is at it. Acquire: takes over what is in it.
        let node = unsafe {
            let buffer = owner.buffer.load(Ordering::Acquire);
            (*buffer).circle().at(top).load(Ordering::Relaxed)
        };
        // SeqCst: the owner may want the same one.
        thief.top.compare_exchange(top, top.wrapping_add(1), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        // SAFETY: whoever moves `top` has the node.
        Some(unsafe { Deque::node(node) })
    }

    /// Asks for the deque to be open; returns whether all is public now.
    #[cold]
    fn open(&self) -> bool {
        let access = &self.0.thief.access;
        // An owner that opens it by itself, or leaves, may do so at any time.
        if access.compare_exchange(CLOSED, ASKED, Ordering::Relaxed, Ordering::Relaxed) == Err(OPEN) {
            return true;
        }
        let is_exact = barrier::heavy();
        if is_exact {
            access.store(OPEN, Ordering::Relaxed);
        }
        is_exact
    }

    /// Roughly how many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Sides {
    fn len(&self) -> usize {
        let (bottom, top) = (self.owner.bottom.load(Ordering::Relaxed), self.thief.top.load(Ordering::Relaxed));
        (bottom.wrapping_sub(top) as isize).max(0) as usize
    }
}

/// For two indices that are not far apart.
#[inline(always)]
fn is_before(i: usize, j: usize) -> bool {
    (i.wrapping_sub(j) as isize) < 0
}

impl Drop for Sides {
    fn drop(&mut self) {
        // SAFETY: it was made from a box, and nobody else is left.
        drop(unsafe { Box::from_raw(self.owner.buffer.load(Ordering::Relaxed)) });
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests;
