//! Where nodes live: bump allocation in slabs, since the system allocator would cost more than the rest of a node.
//!
//! A thread owns one open `Slab` and hands out its bytes in order, so nodes built together lie together.
//! Nothing inside a slab is reused: a slab counts the bytes of its live nodes, and whoever frees the last recycles it
//! whole.
//!
//! ```text
//! open (one thread bumps) --full, or its thread ends--> closed --last node freed--> free --> open
//! ```
//!
//! The count is shared, but rarely touched:
//!
//! * It starts at `OPEN`, far above what a slab can hold, and cannot reach zero while the slab is open. The bump
//!   pointer shows how much the owner allocated, and a plain variable counts what it freed there; both are flushed when
//!   it closes the slab. Most nodes die young, so most are freed this way.
//! * What a thread frees in other slabs is collected, for the last few of them, and flushed when it comes to another
//!   one, or [when it goes idle](flush).
//!
//! A thread keeps a few of the slabs it has freed; the others go through a common pool, which [`trim`] gives back to
//! the allocator. Nodes that are large or strictly aligned go to the system allocator.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// Room for a node of type `N`, not initialized.
#[inline(always)]
pub(in crate::graph) fn allocate<N>() -> NonNull<N> {
    if const { in_slab::<N>() } {
        slab::allocate(const { rounded::<N>() }).cast()
    } else {
        system(Layout::new::<N>()).cast()
    }
}

/// Gives the room of a node back.
///
/// # Safety
///
/// `node` came from [`allocate`] of the same type, its content was moved out or dropped, and nobody uses it again.
#[inline(always)]
pub(in crate::graph) unsafe fn free<N>(node: NonNull<N>) {
    if cfg!(debug_assertions) {
        // So that a use after this is noticed.
        // SAFETY: the room is ours.
        unsafe { node.cast::<u8>().write_bytes(0xdd, size_of::<N>()) };
    }
    if const { in_slab::<N>() } {
        // SAFETY: the caller's promise; `in_slab` decides the same way for both directions.
        unsafe { slab::free(node.cast(), const { rounded::<N>() }) }
    } else {
        // SAFETY: the caller's promise; this is the layout it was allocated with.
        unsafe { alloc::dealloc(node.as_ptr().cast(), Layout::new::<N>()) }
    }
}

pub(crate) use slab::{flush, trim};

/// Nodes above this size go to the system allocator: a slab should hold dozens of them.
const IN_SLAB_BYTES_MAX: usize = 1024;
const ALIGN: usize = 16;

const fn in_slab<N>() -> bool {
    // A model checker and a memory checker both want to see each node by itself.
    !cfg!(any(taskgraph_loom, taskgraph_system_alloc))
        && size_of::<N>() <= IN_SLAB_BYTES_MAX
        && align_of::<N>() <= ALIGN
}

const fn rounded<N>() -> usize {
    size_of::<N>().next_multiple_of(ALIGN)
}

fn system(layout: Layout) -> NonNull<u8> {
    assert!(0 < layout.size(), "a node has a header");
    // SAFETY: the size is not zero.
    let room = unsafe { alloc::alloc(layout) };
    NonNull::new(room).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

mod slab {
    use crate::sync::unmodelled::{Mutex, lock};
    use std::alloc::{self, Layout};
    use std::cell::Cell;
    use std::ptr::{self, NonNull};

    use super::{ALIGN, system};
    use crate::sync::atomic::{AtomicU32, Ordering};

    /// Slabs of 16 to 64 KiB measured alike; a slab is also the least memory that one long-lived node can keep.
    const BYTES: usize = 32 << 10;
    /// What the count of an open slab starts at: more bytes than it has.
    const OPEN: u32 = 1 << 30;
    /// In how many other slabs a thread frees before it flushes. A grid of shared results is freed in three at a time:
    /// that of a task, that of what it needed from the row before, and that of the scopes of a row.
    const OTHERS: usize = 4;
    /// How many free slabs a thread keeps before it shares them.
    const KEPT_MAX: u32 = 16;
    const LAYOUT: Layout = match Layout::from_size_align(BYTES, BYTES) {
        Ok(layout) => layout,
        Err(_) => panic!("the size of a slab is a power of two"),
    };

    /// The head of a slab; the nodes follow. A slab is aligned to its size, so a node finds its head by masking.
    #[repr(C, align(64))]
    struct Slab {
        /// Bytes of nodes that are not freed, as far as threads have flushed their counts.
        live: AtomicU32,
        /// The next one in a list of free slabs; only its owner touches it.
        next: Cell<*mut Slab>,
    }

    /// One thread's slabs.
    struct Local {
        /// The open slab, its next free byte, and its end. Null if there is none.
        open: Cell<*mut Slab>,
        at: Cell<*mut u8>,
        end: Cell<*mut u8>,
        /// Bytes freed in the open slab.
        freed: Cell<u32>,
        /// Other slabs, the newest first, and bytes freed there that are not taken off their counts yet.
        others: [Unflushed; OTHERS],
        kept: Cell<*mut Slab>,
        kept_len: Cell<u32>,
    }

    struct Unflushed {
        slab: Cell<*mut Slab>,
        freed: Cell<u32>,
    }

    thread_local! {
        /// Without a destructor, so that access needs no check; see [`AT_END`].
        static LOCAL: Local = const {
            Local {
                open: Cell::new(ptr::null_mut()),
                at: Cell::new(ptr::null_mut()),
                end: Cell::new(ptr::null_mut()),
                freed: Cell::new(0),
                others: [const { Unflushed { slab: Cell::new(ptr::null_mut()), freed: Cell::new(0) } }; OTHERS],
                kept: Cell::new(ptr::null_mut()),
                kept_len: Cell::new(0),
            }
        };
        /// Gives up the thread's slabs at its end. From then on each node gets a slab of its own.
        static AT_END: GiveUp = const { GiveUp };
    }

    struct GiveUp;

    impl Drop for GiveUp {
        fn drop(&mut self) {
            LOCAL.with(|local| {
                local.close();
                local.flush();
                while let Some(slab) = local.take_kept() {
                    lock(&POOL).0.push(slab);
                }
            });
        }
    }

    struct Pool(Vec<NonNull<Slab>>);
    // SAFETY: a free slab is plain memory without an owner.
    unsafe impl Send for Pool {}
    static POOL: Mutex<Pool> = Mutex::new(Pool(Vec::new()));

    #[inline(always)]
    pub(in crate::graph) fn allocate(bytes: usize) -> NonNull<u8> {
        LOCAL.with(|local| {
            let at = local.at.get();
            if local.end.get().addr() - at.addr() < bytes {
                return local.allocate_in_new_slab(bytes);
            }
            local.at.set(at.wrapping_add(bytes));
            // SAFETY: there is room behind `at`, so it lies inside a slab.
            unsafe { NonNull::new_unchecked(at) }
        })
    }

    /// # Safety
    ///
    /// `node` came from `allocate` of this many bytes, and nobody uses it again.
    #[inline(always)]
    pub(in crate::graph) unsafe fn free(node: NonNull<u8>, bytes: usize) {
        let slab = node.as_ptr().map_addr(|addr| addr & !(BYTES - 1)).cast::<Slab>();
        LOCAL.with(|local| {
            if slab == local.open.get() {
                local.freed.set(local.freed.get() + bytes as u32);
                return;
            }
            for other in &local.others {
                if slab == other.slab.get() {
                    return other.freed.set(other.freed.get() + bytes as u32);
                }
            }
            local.free_in_another(slab, bytes as u32);
        });
    }

    /// Takes what this thread has freed in other slabs off their counts. Worthwhile before it goes idle.
    pub(crate) fn flush() {
        LOCAL.with(Local::flush);
    }

    impl Local {
        #[cold]
        #[inline(never)]
        fn allocate_in_new_slab(&self, bytes: usize) -> NonNull<u8> {
            if AT_END.try_with(|_| ()).is_err() {
                return allocate_alone(bytes);
            }
            self.close();
            let slab = self.take_kept().unwrap_or_else(from_pool);
            let first = open(slab);
            self.open.set(slab.as_ptr());
            self.at.set(first.as_ptr().wrapping_add(bytes));
            self.end.set(slab.as_ptr().cast::<u8>().wrapping_add(BYTES));
            first
        }

        /// Closes the open slab, if there is one.
        fn close(&self) {
            let slab = self.open.replace(ptr::null_mut());
            let at = self.at.replace(ptr::null_mut());
            self.end.set(ptr::null_mut());
            if slab.is_null() {
                return;
            }
            let allocated = (at.addr() - slab.addr() - size_of::<Slab>()) as u32;
            let freed = self.freed.replace(0);
            // SAFETY: an open slab is alive, `OPEN` keeps its count above zero until here.
            unsafe { take_off(slab, OPEN - allocated + freed) }
        }

        #[cold]
        #[inline(never)]
        fn free_in_another(&self, slab: *mut Slab, bytes: u32) {
            let (mut slab, mut bytes) = (slab, bytes);
            for other in &self.others {
                (slab, bytes) = (other.slab.replace(slab), other.freed.replace(bytes));
            }
            // SAFETY: what was freed there has kept the slab alive until here.
            unsafe { flush_into(slab, bytes) };
            if AT_END.try_with(|_| ()).is_err() {
                self.flush();
            }
        }

        fn flush(&self) {
            self.others.iter().for_each(Unflushed::flush);
        }

        fn take_kept(&self) -> Option<NonNull<Slab>> {
            let slab = NonNull::new(self.kept.get())?;
            // SAFETY: a kept slab is free and this thread's own.
            self.kept.set(unsafe { slab.as_ref() }.next.get());
            self.kept_len.set(self.kept_len.get() - 1);
            Some(slab)
        }
    }

    impl Unflushed {
        fn flush(&self) {
            // SAFETY: what was freed there has kept the slab alive until here.
            unsafe { flush_into(self.slab.replace(ptr::null_mut()), self.freed.replace(0)) }
        }
    }

    /// # Safety
    ///
    /// As for `take_off`, unless there is no slab.
    unsafe fn flush_into(slab: *mut Slab, freed: u32) {
        if !slab.is_null() {
            // SAFETY: the caller's promise.
            unsafe { take_off(slab, freed) }
        }
    }

    /// # Safety
    ///
    /// The slab's count holds these bytes on the caller's behalf.
    unsafe fn take_off(slab: *mut Slab, bytes: u32) {
        // SAFETY: the caller's bytes keep the slab alive until here.
        if were_last(unsafe { &(*slab).live }, bytes) {
            // SAFETY: the count reached zero, which happens once, so the slab is ours.
            unsafe { recycle(NonNull::new_unchecked(slab)) }
        }
    }

    /// Takes bytes off the count of a slab; returns whether they were the last.
    fn were_last(live: &AtomicU32, bytes: u32) -> bool {
        // AcqRel: whoever recycles the slab must come after every use of its nodes.
        live.fetch_sub(bytes, Ordering::AcqRel) == bytes
    }

    /// Opens a free slab; returns its first byte for nodes.
    fn open(slab: NonNull<Slab>) -> NonNull<u8> {
        // SAFETY: the slab is free and ours: we may write its head, and the bytes behind it are in bounds.
        unsafe {
            slab.write(Slab { live: AtomicU32::new(OPEN), next: Cell::new(ptr::null_mut()) });
            slab.cast::<u8>().add(size_of::<Slab>())
        }
    }

    #[cold]
    fn from_pool() -> NonNull<Slab> {
        let pooled = lock(&POOL).0.pop();
        pooled.unwrap_or_else(|| system(LAYOUT).cast())
    }

    /// A slab for a single node, for threads that have already given up their thread-local values.
    #[cold]
    fn allocate_alone(bytes: usize) -> NonNull<u8> {
        const { assert!(size_of::<Slab>().is_multiple_of(ALIGN)) };
        debug_assert!(bytes <= BYTES - size_of::<Slab>());
        let slab = from_pool();
        let first = open(slab);
        // SAFETY: the slab is open and ours.
        unsafe { slab.as_ref() }.live.store(bytes as u32, Ordering::Relaxed);
        first
    }

    /// # Safety
    ///
    /// The slab holds no live node, is not open, and is the caller's.
    #[cold]
    unsafe fn recycle(slab: NonNull<Slab>) {
        LOCAL.with(|local| {
            if local.kept_len.get() == KEPT_MAX || AT_END.try_with(|_| ()).is_err() {
                lock(&POOL).0.push(slab);
                return;
            }
            // SAFETY: the slab is ours.
            unsafe { slab.as_ref() }.next.set(local.kept.get());
            local.kept.set(slab.as_ptr());
            local.kept_len.set(local.kept_len.get() + 1);
        });
    }

    /// Gives the common pool back to the allocator, except for a few megabytes that the next run will want.
    pub(crate) fn trim() {
        /// 8 MiB: small against what a process with a thread pool maps anyway, and enough for runs of 100,000 nodes.
        const POOLED_MAX: usize = (8 << 20) / BYTES;
        let surplus = {
            let mut pool = lock(&POOL);
            let keep = pool.0.len().min(POOLED_MAX);
            pool.0.split_off(keep)
        };
        for slab in surplus {
            // SAFETY: a pooled slab is free and without an owner; it was allocated with this layout.
            unsafe { alloc::dealloc(slab.as_ptr().cast(), LAYOUT) }
        }
    }

    #[cfg(all(test, not(taskgraph_loom)))]
    mod tests {
        use super::*;

        fn write_and_free(nodes: impl IntoIterator<Item = NonNull<u8>>, bytes: usize) {
            for node in nodes {
                // SAFETY: allocated with this many bytes by the caller, not used again.
                unsafe {
                    node.write_bytes(1, bytes);
                    free(node, bytes);
                }
            }
        }

        #[test]
        fn rooms_do_not_overlap_and_a_slab_comes_back_when_its_last_node_is_freed() {
            std::thread::spawn(|| {
                let nodes: Vec<_> = (0..10_000u64).map(|i| (i, allocate(48).cast::<u64>())).collect();
                for (i, node) in &nodes {
                    // SAFETY: the room is ours, aligned, and of 48 bytes.
                    unsafe { node.write(*i) };
                }
                for (i, node) in &nodes {
                    // SAFETY: written above.
                    assert_eq!(unsafe { node.read() }, *i);
                }
                write_and_free(nodes.into_iter().map(|(_, node)| node.cast()), 48);
                flush();
                let kept_len = LOCAL.with(|local| local.kept_len.get());
                assert!(0 < kept_len, "emptied slabs are kept for reuse");
                (0..10_000).for_each(|_| write_and_free([allocate(48)], 48));
                assert_eq!(LOCAL.with(|local| local.kept_len.get()), kept_len, "one slab is used again and again");
            })
            .join()
            .expect("the checks hold");
        }

        #[test]
        fn nodes_may_be_freed_by_another_thread() {
            struct Nodes(Vec<NonNull<u8>>);
            // SAFETY: nodes are plain memory.
            unsafe impl Send for Nodes {}

            let nodes = std::thread::spawn(|| Nodes((0..5_000).map(|_| allocate(64)).collect()))
                .join()
                .expect("allocating does not panic");
            let slabs = nodes.0.iter().map(|node| node.as_ptr().addr() & !(BYTES - 1));
            let slabs: std::collections::HashSet<_> = slabs.collect();
            write_and_free(nodes.0, 64);
            flush();
            let kept = || {
                let mut next = LOCAL.with(|local| local.kept.get());
                std::iter::from_fn(move || {
                    let slab = NonNull::new(next)?;
                    // SAFETY: a kept slab is this thread's own.
                    next = unsafe { slab.as_ref() }.next.get();
                    Some(slab.as_ptr().addr())
                })
            };
            assert!(slabs.is_superset(&kept().collect()), "they are whose last node was freed here");
            assert_eq!(kept().count(), slabs.len().min(KEPT_MAX as usize));
        }
    }

    #[cfg(all(test, taskgraph_loom))]
    mod models {
        use loom::cell::UnsafeCell;
        use loom::sync::Arc;
        use loom::thread;

        use super::*;

        /// One thread closes a slab of three nodes, the others free the nodes that they have used.
        #[test]
        fn a_slab_is_free_once_and_after_every_use_of_its_nodes() {
            const NODE: u32 = 64;
            loom::model(|| {
                let slab = Arc::new((AtomicU32::new(OPEN), [(); 3].map(|()| UnsafeCell::new(0))));
                let users = [NODE, NODE, OPEN - 3 * NODE + NODE].into_iter().enumerate().map(|(i, bytes)| {
                    let slab = Arc::clone(&slab);
                    let free = move || {
                        let (live, nodes) = &*slab;
                        // SAFETY: a node is used by one thread; loom checks it.
                        nodes[i].with_mut(|node| unsafe { *node = i });
                        let were_last = were_last(live, bytes);
                        if were_last {
                            // SAFETY: nobody uses the slab any more; loom checks it.
                            nodes.iter().for_each(|node| node.with_mut(|node| unsafe { *node = 0 }));
                        }
                        were_last
                    };
                    thread::spawn(free)
                });
                let users: Vec<_> = users.collect();
                let last = users.into_iter().map(|user| user.join().unwrap());
                assert_eq!(last.filter(|were_last| *were_last).count(), 1, "a slab is recycled once");
            });
        }
    }
}
