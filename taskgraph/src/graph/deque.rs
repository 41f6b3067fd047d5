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
//! others (2013). An owner that pops writes `bottom` and then reads `top`; a thief reads `top` and then `bottom`: so that
//! not both take the last node, each has a fence in between. The owner's was the largest single cost of a node, which is
//! why two things are different here.
//!
//! * *The owner has no fence while nobody steals.* A deque is *watched* at first: the owner has a fence in each pop. When
//!   nothing was stolen for a while the owner takes that mark [away](Deque::calm_down). The next thief sets it again, and goes
//!   through the [heavy half](barrier::heavy) of a barrier of which the owner has the light one.
//! * *One thief at a time*: the others look elsewhere. So the mark is taken away while no thief relies on it, and a buffer
//!   that has become too small or too large goes when no thief reads it.
//!
//! Why that is enough: in a pop the owner writes `bottom`, then reads the mark, then reads `top`. A thief's heavy barrier is a
//! fence somewhere in what the owner does. Is it before that reading of the mark, the owner finds it, and has a fence of its own.
//! Is it after that, `bottom` was written before the barrier, and the thief reads it afterwards. Later thieves get the lock from
//! the first, and `bottom` is not read older than it was.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::cx::Queued;
use super::node::{Node, Ready};
use crate::barrier;
use crate::sync::atomic::{AtomicBool, AtomicIsize, AtomicPtr, AtomicUsize, Ordering, fence};

/// So many nodes have room at first. A power of two, as all sizes are.
const CAPACITY_MIN: usize = if cfg!(taskgraph_loom) { 2 } else { 64 };

/// What the owner has of it. The owner is one thread at a time.
pub(crate) struct Deque {
    shared: Arc<Shared>,
    /// The buffer in use.
    circle: Cell<Circle>,
    /// What `top` was when the owner looked last: no further than it is.
    seen_top: Cell<isize>,
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

/// What a thief finds.
pub(crate) enum Steal {
    Taken(Queued),
    Nothing,
    /// Another thief is at it.
    Busy,
}

struct Shared {
    owner: OwnersLine,
    thief: ThievesLine,
}

/// On a line of its own, and on none that is fetched along with another.
#[repr(align(128))]
struct OwnersLine {
    bottom: AtomicIsize,
    buffer: AtomicPtr<Buffer>,
    /// Whether thieves rely on a fence in each pop.
    is_watched: AtomicBool,
}

#[repr(align(128))]
struct ThievesLine {
    top: AtomicIsize,
    /// Held by a thief while it steals, and by an owner that wants to be alone.
    is_locked: AtomicBool,
    /// How many nodes were stolen. Written under the lock.
    stolen: AtomicUsize,
}

/// Nodes by their index, in a circle.
struct Buffer {
    places: Box<[AtomicPtr<Node>]>,
    /// One that has become too small, or null: thieves may still read it. It goes with this one.
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
    unsafe fn at<'b>(self, i: isize) -> &'b AtomicPtr<Node> {
        // SAFETY: the number of places is a power of two, and the index below it.
        unsafe { self.places.add(i as usize & self.mask).as_ref() }
    }

    #[inline(always)]
    fn capacity(self) -> isize {
        self.mask as isize + 1
    }
}

impl Deque {
    pub(crate) fn new() -> Self {
        let buffer = Buffer::new(CAPACITY_MIN, ptr::null_mut());
        let circle = Cell::new(buffer.circle());
        let owner = OwnersLine {
            bottom: AtomicIsize::new(0),
            buffer: AtomicPtr::new(Box::into_raw(buffer)),
            is_watched: AtomicBool::new(true),
        };
        let thief =
            ThievesLine { top: AtomicIsize::new(0), is_locked: AtomicBool::new(false), stolen: AtomicUsize::new(0) };
        Self { shared: Arc::new(Shared { owner, thief }), circle, seen_top: Cell::new(0), calm: Cell::default() }
    }

    pub(crate) fn stealer(&self) -> Stealer {
        Stealer(Arc::clone(&self.shared))
    }

    #[inline(always)]
    pub(crate) fn push(&self, node: Queued) {
        let owner = &self.shared.owner;
        // Relaxed: only we write it.
        let bottom = owner.bottom.load(Ordering::Relaxed);
        if self.circle.get().capacity() <= bottom - self.seen_top.get() {
            self.make_room(bottom);
        }
        // SAFETY: the buffer in use is there. Relaxed: `bottom` comes after it, and nobody reads the place before.
        unsafe { self.circle.get().at(bottom) }.store(node.into_node().as_ptr(), Ordering::Relaxed);
        // Release, pairs with the Acquire of a thief.
        owner.bottom.store(bottom + 1, Ordering::Release);
    }

    #[cold]
    fn make_room(&self, bottom: isize) {
        let Shared { owner, thief } = &*self.shared;
        // Acquire: thieves have read the places that are free again.
        let top = thief.top.load(Ordering::Acquire);
        self.seen_top.set(top);
        let circle = self.circle.get();
        if bottom - top < circle.capacity() {
            return;
        }
        let buffer = Buffer::new(2 * circle.capacity() as usize, owner.buffer.load(Ordering::Relaxed));
        for i in top..bottom {
            // SAFETY: both are there.
            unsafe { buffer.circle().at(i).store(circle.at(i).load(Ordering::Relaxed), Ordering::Relaxed) };
        }
        self.circle.set(buffer.circle());
        // Release: what is in the new buffer.
        owner.buffer.store(Box::into_raw(buffer), Ordering::Release);
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
        let newest = bottom - 1;
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
        if newest <= top {
            return self.pop_last(newest, top);
        }
        // SAFETY: the buffer in use is there, and nobody else takes a node that is not the oldest.
        unsafe { Self::node(self.circle.get().at(newest).load(Ordering::Relaxed)) }
    }

    /// There was one left at most, which a thief may want, too.
    #[cold]
    fn pop_last(&self, newest: isize, top: isize) -> Option<Queued> {
        let Shared { owner, thief } = &*self.shared;
        let is_ours =
            top == newest && thief.top.compare_exchange(top, top + 1, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        owner.bottom.store(newest + 1, Ordering::Release);
        self.seen_top.set(newest + 1);
        // SAFETY: as in `pop`; whoever moves `top` has the node.
        is_ours.then(|| unsafe { Self::node(self.circle.get().at(newest).load(Ordering::Relaxed)) }).flatten()
    }

    /// # Safety
    ///
    /// It was pushed, and is the caller's.
    #[inline(always)]
    unsafe fn node(node: *mut Node) -> Option<Queued> {
        // SAFETY: what was pushed was a queued node.
        unsafe { Some(Queued::again(Ready(NonNull::new_unchecked(node)))) }
    }

    /// Now and then, by the owner: takes the mark away if nothing was stolen the last `patience` times.
    pub(crate) fn calm_down(&self, patience: u32) {
        let Shared { owner, thief } = &*self.shared;
        if !owner.is_watched.load(Ordering::Relaxed) {
            return;
        }
        let stolen = thief.stolen.load(Ordering::Relaxed);
        let Calm { rounds, stolen: before } = self.calm.get();
        let rounds = if stolen == before { rounds + 1 } else { 0 };
        self.calm.set(Calm { rounds, stolen });
        if rounds < patience {
            return;
        }
        if barrier::is_exact() {
            self.alone(|| owner.is_watched.store(false, Ordering::Relaxed));
        } else {
            barrier::make_exact();
        }
    }

    /// Gives the memory back that is not needed any more. The owner goes, and takes nothing along.
    pub(crate) fn shrink(&self) {
        let owner = &self.shared.owner;
        if self.circle.get().capacity() as usize == CAPACITY_MIN || !self.stealer().is_empty() {
            return;
        }
        self.alone(|| {
            let buffer = Buffer::new(CAPACITY_MIN, ptr::null_mut());
            self.circle.set(buffer.circle());
            // SAFETY: it was made from a box. No thief reads it, and there is nothing in it.
            drop(unsafe { Box::from_raw(owner.buffer.swap(Box::into_raw(buffer), Ordering::AcqRel)) });
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
    /// The oldest node.
    pub(crate) fn steal(&self) -> Steal {
        let is_locked = &self.0.thief.is_locked;
        if self.is_empty() {
            return Steal::Nothing;
        }
        if is_locked.swap(true, Ordering::Acquire) {
            return Steal::Busy;
        }
        let node = self.steal_alone();
        is_locked.store(false, Ordering::Release);
        node.map_or(Steal::Nothing, Steal::Taken)
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
        if bottom <= top {
            return None;
        }
        // SAFETY: a buffer goes only while no thief is at it. Acquire: what is in it.
        let node = unsafe {
            let buffer = owner.buffer.load(Ordering::Acquire);
            (*buffer).circle().at(top).load(Ordering::Relaxed)
        };
        // SeqCst: the owner may want the same one.
        thief.top.compare_exchange(top, top + 1, Ordering::SeqCst, Ordering::Relaxed).ok()?;
        thief.stolen.store(thief.stolen.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // SAFETY: whoever moves `top` has the node.
        unsafe { Deque::node(node) }
    }

    /// How many nodes there are, more or less.
    pub(crate) fn len(&self) -> usize {
        let Shared { owner, thief } = &*self.0;
        let (bottom, top) = (owner.bottom.load(Ordering::Relaxed), thief.top.load(Ordering::Relaxed));
        (bottom - top).max(0) as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it was made from a box, and nobody else is left.
        drop(unsafe { Box::from_raw(self.owner.buffer.load(Ordering::Relaxed)) });
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use std::sync::atomic::AtomicU8;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// A node that nobody looks at.
    fn numbered(i: usize) -> Queued {
        let node = NonNull::new(ptr::without_provenance_mut(i + 1)).expect("no number is that large");
        // SAFETY: the deque looks at no node.
        unsafe { Queued::again(Ready(node)) }
    }

    fn number(node: Queued) -> usize {
        node.into_node().addr().get() - 1
    }

    fn steal(stealer: &Stealer) -> Option<usize> {
        match stealer.steal() {
            Steal::Taken(node) => Some(number(node)),
            Steal::Nothing | Steal::Busy => None,
        }
    }

    #[test]
    fn the_owner_takes_the_newest_and_a_thief_the_oldest() {
        let deque = Deque::new();
        let stealer = deque.stealer();
        let n = 5 * CAPACITY_MIN;
        (0..n).for_each(|i| deque.push(numbered(i)));
        assert_eq!(stealer.len(), n);
        for i in 0..n / 2 {
            assert_eq!(steal(&stealer), Some(i));
            assert_eq!(deque.pop().map(number), Some(n - 1 - i));
        }
        assert!(stealer.is_empty() && deque.pop().is_none() && steal(&stealer).is_none());
        deque.shrink();
        assert_eq!(deque.circle.get().capacity() as usize, CAPACITY_MIN);
        deque.push(numbered(7));
        assert_eq!(deque.pop().map(number), Some(7));
    }

    /// Waits for that; false where it never will.
    fn barriers_are_exact() -> bool {
        barrier::make_exact();
        let start = Instant::now();
        while !barrier::is_exact() && start.elapsed() < Duration::from_secs(1) {
            thread::yield_now();
        }
        barrier::is_exact()
    }

    #[test]
    fn a_deque_is_watched_until_it_has_been_calm() {
        if !barriers_are_exact() {
            return;
        }
        let deque = Deque::new();
        let stealer = deque.stealer();
        let is_watched = || deque.shared.owner.is_watched.load(Ordering::Relaxed);
        let rob = || {
            deque.push(numbered(0));
            assert_eq!(steal(&stealer), Some(0));
        };
        for _ in 0..2 {
            rob();
            (0..3).for_each(|_| deque.calm_down(3));
            assert!(is_watched(), "nothing was stolen three times, and not four");
            rob();
            (0..3).for_each(|_| deque.calm_down(3));
            assert!(is_watched(), "it has just been robbed");
            deque.calm_down(3);
            assert!(!is_watched());
        }
    }

    /// What the model checker cannot see: owners without a fence, of whom thieves take the mark that they set away again.
    #[test]
    fn each_node_is_taken_once_however_often_the_owner_calms_down() {
        const N: usize = if cfg!(debug_assertions) { 1 << 21 } else { 1 << 23 };
        barriers_are_exact();
        let deque = Deque::new();
        let times: Vec<AtomicU8> = (0..N).map(|_| AtomicU8::new(0)).collect();
        let take = |i: usize| times[i].fetch_add(1, Ordering::Relaxed);
        let is_through = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                let stealer = deque.stealer();
                let (take, is_through) = (&take, &is_through);
                scope.spawn(move || {
                    while !is_through.load(Ordering::Acquire) {
                        steal(&stealer).map(take);
                    }
                });
            }
            // Never many, so that both sides mostly want the last one.
            for i in 0..N {
                deque.push(numbered(i));
                if i % 3 != 0 {
                    deque.pop().map(number).map(take);
                }
                if i % 5 == 0 {
                    deque.pop().map(number).map(take);
                }
                deque.calm_down(0);
            }
            while let Some(i) = deque.pop().map(number) {
                take(i);
            }
            is_through.store(true, Ordering::Release);
        });
        assert!(times.iter().all(|times| times.load(Ordering::Relaxed) == 1));
    }
}
