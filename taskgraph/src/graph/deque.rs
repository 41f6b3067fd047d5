//! A deque of ready nodes: its owner pushes and pops the newest, thieves steal the oldest.
//!
//! ```text
//!            top: moved by thieves, and by an owner that pops the last node
//!             v
//!   .. taken [oldest][ ][ ][ ][newest] free ..
//!                                      ^
//!                                      bottom: moved by the owner
//! ```
//!
//! It is the deque of Chase and Lev ("Dynamic circular work-stealing deque", 2005) in the form for weak memory of Lê and
//! others ("Correct and efficient work-stealing for weak memory models", 2013). An owner that pops writes `bottom` and then
//! reads `top`; a thief reads `top` and then `bottom`: so that not both take the last node, each has a fence in between. The
//! owner's was the largest single cost of a node, which is why two things are different here.
//!
//! * *The owner has no fence while nobody steals.* A deque is *watched* at first: the owner has a fence in each pop. When
//!   nothing was stolen for a while the owner takes that mark [away](Deque::calm_down). The next thief sets it again, and
//!   goes through the [heavy half](barrier::heavy) of a barrier of which the owner has the light one.
//! * *One thief at a time*; the others look elsewhere. So the mark is taken away while no thief relies on it, and a buffer
//!   that has become too large goes, with those before it, while no thief reads it.
//!
//! Why that is enough: in a pop the owner writes `bottom`, then reads the mark, then reads `top`. A thief's heavy barrier is
//! a fence somewhere in what the owner does. If that is before the owner reads the mark, it finds the mark, and has a fence
//! of its own. If it is after that, `bottom` was written before the barrier, and the thief reads it afterwards. Later
//! thieves get the lock from the first, and do not read an older `bottom`.
//!
//! Indices only grow, and may wrap around.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::cx::Queued;
use super::node::{Node, Ready};
use crate::barrier;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

/// So many nodes have room at first. A power of two, as all sizes are.
const CAPACITY_MIN: usize = if cfg!(taskgraph_loom) { 2 } else { 64 };
/// A buffer of up to so many places is not worth being given back.
const CAPACITY_KEPT: usize = if cfg!(taskgraph_loom) { 2 } else { 1 << 10 };

/// What the owner has of it. The owner is one thread at a time.
pub(crate) struct Deque {
    shared: Arc<Shared>,
    /// The buffer in use.
    circle: Cell<Circle>,
    /// What `top` was when the owner looked last: no further than it is.
    seen_top: Cell<usize>,
    calm: Cell<Calm>,
}

// SAFETY: the circle is the deque's own, and nodes can be sent.
unsafe impl Send for Deque {}

/// How often in a row the owner has found that nothing was stolen, and what had been stolen by then.
#[derive(Clone, Copy, Default)]
struct Calm {
    rounds: u32,
    stolen: usize,
}

/// What a thief has of it.
#[derive(Clone)]
pub(crate) struct Stealer(Arc<Shared>);

struct Shared {
    owner: OwnersLine,
    thief: ThievesLine,
}

/// On a line of its own, and on none that is fetched along with another.
#[repr(align(128))]
struct OwnersLine {
    bottom: AtomicUsize,
    buffer: AtomicPtr<Buffer>,
    /// Whether thieves rely on a fence in each pop.
    is_watched: AtomicBool,
}

#[repr(align(128))]
struct ThievesLine {
    top: AtomicUsize,
    /// Held by a thief while it steals, and by an owner that wants to be alone.
    is_locked: AtomicBool,
    /// How many nodes were stolen. Written under the lock.
    stolen: AtomicUsize,
}

/// Nodes by their index, in a circle.
struct Buffer {
    places: Box<[AtomicPtr<Node>]>,
    /// The one before, which has become too small, or null: a thief may still read it. It goes with this one.
    outgrown: *mut Buffer,
}

/// The places of a buffer.
#[derive(Clone, Copy)]
struct Circle {
    places: NonNull<AtomicPtr<Node>>,
    mask: usize,
}

impl Buffer {
    fn new(capacity: usize, outgrown: *mut Self) -> Box<Self> {
        let places = (0..capacity).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        Box::new(Self { places, outgrown })
    }

    fn circle(&self) -> Circle {
        let places = &*self.places;
        Circle { places: NonNull::from(places).cast(), mask: places.len() - 1 }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.outgrown.is_null() {
            // SAFETY: it was made from a box, and goes once.
            drop(unsafe { Box::from_raw(self.outgrown) });
        }
    }
}

impl Circle {
    /// # Safety
    ///
    /// The buffer is there as long as the place is used.
    #[inline(always)]
    unsafe fn at<'b>(self, i: usize) -> &'b AtomicPtr<Node> {
        // SAFETY: the number of places is a power of two, and the index below it.
        unsafe { self.places.add(i & self.mask).as_ref() }
    }

    #[inline(always)]
    fn capacity(self) -> usize {
        self.mask + 1
    }
}

impl Deque {
    pub(crate) fn new() -> Self {
        Self::starting_at(0)
    }

    fn starting_at(i: usize) -> Self {
        let buffer = Buffer::new(CAPACITY_MIN, ptr::null_mut());
        let circle = Cell::new(buffer.circle());
        let owner = OwnersLine {
            bottom: AtomicUsize::new(i),
            buffer: AtomicPtr::new(Box::into_raw(buffer)),
            is_watched: AtomicBool::new(true),
        };
        let thief =
            ThievesLine { top: AtomicUsize::new(i), is_locked: AtomicBool::new(false), stolen: AtomicUsize::new(0) };
        Self { shared: Arc::new(Shared { owner, thief }), circle, seen_top: Cell::new(i), calm: Cell::default() }
    }

    pub(crate) fn stealer(&self) -> Stealer {
        Stealer(Arc::clone(&self.shared))
    }

    #[inline(always)]
    pub(crate) fn push(&self, node: Queued) {
        let owner = &self.shared.owner;
        // Relaxed: only we write it.
        let bottom = owner.bottom.load(Ordering::Relaxed);
        // More, where it has shrunk since the owner looked.
        if self.circle.get().capacity() <= bottom.wrapping_sub(self.seen_top.get()) {
            self.make_room(bottom);
        }
        // SAFETY: the buffer in use is there. Relaxed: `bottom` comes after it, and nobody reads the place before.
        unsafe { self.circle.get().at(bottom) }.store(node.into_node().as_ptr(), Ordering::Relaxed);
        // Release, pairs with the Acquire of a thief.
        owner.bottom.store(bottom.wrapping_add(1), Ordering::Release);
    }

    #[cold]
    fn make_room(&self, bottom: usize) {
        // Acquire: thieves have read the places that are free again.
        let top = self.shared.thief.top.load(Ordering::Acquire);
        self.seen_top.set(top);
        let capacity = self.circle.get().capacity();
        if bottom.wrapping_sub(top) == capacity {
            let outgrown = self.shared.owner.buffer.load(Ordering::Relaxed);
            self.move_to(Buffer::new(2 * capacity, outgrown), top, bottom);
        }
    }

    /// Takes a buffer with room for the nodes there are; what becomes of the one before is the caller's affair.
    fn move_to(&self, buffer: Box<Buffer>, top: usize, bottom: usize) {
        for i in 0..bottom.wrapping_sub(top) {
            let i = top.wrapping_add(i);
            // SAFETY: both buffers are there.
            unsafe { buffer.circle().at(i).store(self.circle.get().at(i).load(Ordering::Relaxed), Ordering::Relaxed) };
        }
        self.circle.set(buffer.circle());
        // Release: what is in it.
        self.shared.owner.buffer.store(Box::into_raw(buffer), Ordering::Release);
    }

    /// The newest node.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<Queued> {
        let Shared { owner, thief } = &*self.shared;
        // Relaxed: only we write it.
        let bottom = owner.bottom.load(Ordering::Relaxed);
        if bottom == self.seen_top.get() {
            return None;
        }
        let newest = bottom.wrapping_sub(1);
        // Release, like all that is written here: a thief that reads it has all that was pushed before.
        owner.bottom.store(newest, Ordering::Release);
        // The model checker looks at the deque while it is watched.
        if !cfg!(taskgraph_loom) {
            barrier::light();
        }
        if owner.is_watched.load(Ordering::Relaxed) {
            // SeqCst, pairs with that of a thief.
            fence(Ordering::SeqCst);
        }
        let top = thief.top.load(Ordering::Relaxed);
        if newest.wrapping_sub(top) as isize <= 0 {
            return self.pop_last(newest, top);
        }
        // SAFETY: the buffer in use is there, and nobody else takes a node that is not the oldest.
        unsafe { Some(Self::node(self.circle.get().at(newest).load(Ordering::Relaxed))) }
    }

    /// There was one left at most, which a thief may want, too.
    #[cold]
    fn pop_last(&self, newest: usize, top: usize) -> Option<Queued> {
        let Shared { owner, thief } = &*self.shared;
        let end = newest.wrapping_add(1);
        let is_ours =
            top == newest && thief.top.compare_exchange(top, end, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        // Acquire: thieves have read the places that are free now.
        fence(Ordering::Acquire);
        owner.bottom.store(end, Ordering::Release);
        self.seen_top.set(end);
        // SAFETY: as in `pop`; whoever moves `top` has the node.
        is_ours.then(|| unsafe { Self::node(self.circle.get().at(newest).load(Ordering::Relaxed)) })
    }

    /// # Safety
    ///
    /// It was pushed, and is the caller's.
    #[inline(always)]
    unsafe fn node(node: *mut Node) -> Queued {
        // SAFETY: what was pushed was a queued node.
        unsafe { Queued::again(Ready(NonNull::new_unchecked(node))) }
    }

    /// Now and then, by the owner: takes the mark away if nothing was stolen the last `patience` times, and gives back memory
    /// that is hardly used.
    pub(crate) fn calm_down(&self, patience: u32) {
        self.shrink();
        let Shared { owner, thief } = &*self.shared;
        if !owner.is_watched.load(Ordering::Relaxed) {
            return;
        }
        let stolen = thief.stolen.load(Ordering::Relaxed);
        let Calm { rounds, stolen: before } = self.calm.get();
        let rounds = if stolen == before { rounds + 1 } else { 0 };
        let is_calm = patience <= rounds;
        // From the beginning for the next mark, even if whoever sets it finds nothing.
        self.calm.set(Calm { rounds: if is_calm { 0 } else { rounds }, stolen });
        if is_calm && barrier::is_exact() {
            self.alone(|| owner.is_watched.store(false, Ordering::Relaxed));
        } else if is_calm {
            barrier::make_exact();
        }
    }

    fn shrink(&self) {
        let capacity = self.circle.get().capacity();
        if capacity <= CAPACITY_KEPT || capacity / 8 < self.shared.len() {
            return;
        }
        self.alone(|| {
            let Shared { owner, thief } = &*self.shared;
            let before = owner.buffer.load(Ordering::Relaxed);
            let (top, bottom) = (thief.top.load(Ordering::Relaxed), owner.bottom.load(Ordering::Relaxed));
            self.move_to(Buffer::new((capacity / 4).max(CAPACITY_MIN), ptr::null_mut()), top, bottom);
            // SAFETY: it was made from a box, and no thief reads it.
            drop(unsafe { Box::from_raw(before) });
        });
    }

    /// While no thief is at it. Not at all if one is.
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
    /// The oldest node; or none, if another thief is at it.
    pub(crate) fn steal(&self) -> Option<Queued> {
        let is_locked = &self.0.thief.is_locked;
        // The owner reads this line in each pop: it stays there while there is nothing to get.
        if self.is_empty() || is_locked.load(Ordering::Relaxed) || is_locked.swap(true, Ordering::Acquire) {
            return None;
        }
        let node = self.steal_alone();
        is_locked.store(false, Ordering::Release);
        node
    }

    fn steal_alone(&self) -> Option<Queued> {
        let Shared { owner, thief } = &*self.0;
        if !owner.is_watched.load(Ordering::Relaxed) {
            owner.is_watched.store(true, Ordering::Relaxed);
            barrier::heavy();
        }
        let top = thief.top.load(Ordering::Relaxed);
        // SeqCst, pairs with that of a pop.
        fence(Ordering::SeqCst);
        // Acquire, pairs with every store to it: what was pushed by then.
        let bottom = owner.bottom.load(Ordering::Acquire);
        if bottom.wrapping_sub(top) as isize <= 0 {
            return None;
        }
        // SAFETY: a buffer goes only while no thief is at it. Acquire: what is in it.
        let node = unsafe {
            let buffer = owner.buffer.load(Ordering::Acquire);
            (*buffer).circle().at(top).load(Ordering::Relaxed)
        };
        // SeqCst: the owner may want the same one.
        thief.top.compare_exchange(top, top.wrapping_add(1), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        thief.stolen.store(thief.stolen.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // SAFETY: whoever moves `top` has the node.
        Some(unsafe { Deque::node(node) })
    }

    /// How many nodes there are, more or less.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shared {
    fn len(&self) -> usize {
        let (bottom, top) = (self.owner.bottom.load(Ordering::Relaxed), self.thief.top.load(Ordering::Relaxed));
        (bottom.wrapping_sub(top) as isize).max(0) as usize
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it was made from a box, and nobody else is left.
        drop(unsafe { Box::from_raw(self.owner.buffer.load(Ordering::Relaxed)) });
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests;
