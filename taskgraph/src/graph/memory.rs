//! Where nodes live: bump allocation in slabs, since the system allocator would cost more than the rest of a node.
//!
//! A thread owns one open [`Slab`] and hands out its bytes in order, so nodes built together lie together.
//! Nothing inside a slab is reused: a slab counts its live nodes, and whoever frees the last one recycles it whole.
//!
//! ```text
//! open (one thread bumps) --full, or its thread ends--> closed --last node freed--> free --> open
//! ```
//!
//! The count starts at [`OPEN`], far above what a slab can hold; the owner counts its allocations in a plain
//! variable and settles the difference when it closes the slab. So allocating touches no shared memory, freeing is
//! one decrement, and the count can only reach zero once the slab is closed.
//!
//! Free slabs stay with the thread that freed them, a few at a time, and move through a common pool beyond that;
//! [`trim`] gives the pool back to the allocator. Nodes that are large or strictly aligned go to the system allocator.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// Room for a node of type `N`, not initialized.
#[inline(always)]
pub(super) fn allocate<N>() -> NonNull<N> {
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
/// `node` came from [`allocate`] of the same type, what it held is moved out or dropped, and nobody uses it again.
#[inline(always)]
pub(super) unsafe fn free<N>(node: NonNull<N>) {
    if const { in_slab::<N>() } {
        // SAFETY: the caller's promise; `in_slab` decides the same way for both directions.
        unsafe { slab::free(node.cast()) }
    } else {
        // SAFETY: the caller's promise; this is the layout it was allocated with.
        unsafe { alloc::dealloc(node.as_ptr().cast(), Layout::new::<N>()) }
    }
}

pub(crate) use slab::trim;

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
    use std::alloc::{self, Layout};
    use std::cell::Cell;
    use std::ptr::{self, NonNull};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{ALIGN, system};

    /// Slabs of 16 to 64 KiB measured alike; a slab is also the least that one long-lived node can hold on to.
    const BYTES: usize = 32 << 10;
    /// What the count of an open slab starts at: more than a slab can hold nodes.
    const OPEN: u32 = 1 << 30;
    /// How many free slabs a thread keeps before it shares them.
    const KEPT_MAX: u32 = 16;
    const LAYOUT: Layout = match Layout::from_size_align(BYTES, BYTES) {
        Ok(layout) => layout,
        Err(_) => panic!("the size of a slab is a power of two"),
    };

    /// The head of a slab; the nodes follow. A slab is aligned to its size, so a node finds its head by masking.
    #[repr(C, align(64))]
    struct Slab {
        live: AtomicU32,
        /// The next one in a list of free slabs; only its owner touches it.
        next: Cell<*mut Slab>,
    }

    /// One thread's slabs.
    struct Local {
        at: Cell<usize>,
        end: Cell<usize>,
        allocated: Cell<u32>,
        kept: Cell<*mut Slab>,
        kept_len: Cell<u32>,
    }

    thread_local! {
        static LOCAL: Local = const {
            Local {
                at: Cell::new(0),
                end: Cell::new(0),
                allocated: Cell::new(0),
                kept: Cell::new(ptr::null_mut()),
                kept_len: Cell::new(0),
            }
        };
    }

    struct Pool(Vec<NonNull<Slab>>);
    // SAFETY: a free slab is plain memory without an owner.
    unsafe impl Send for Pool {}
    static POOL: Mutex<Pool> = Mutex::new(Pool(Vec::new()));

    #[inline(always)]
    pub(in crate::graph) fn allocate(bytes: usize) -> NonNull<u8> {
        LOCAL
            .try_with(|local| {
                let at = local.at.get();
                if local.end.get() - at < bytes {
                    return local.allocate_in_new_slab(bytes);
                }
                local.at.set(at + bytes);
                local.allocated.set(local.allocated.get() + 1);
                // SAFETY: `at` lies inside a slab, so it is not null.
                unsafe { NonNull::new_unchecked(ptr::with_exposed_provenance_mut(at)) }
            })
            .unwrap_or_else(|_| allocate_alone(bytes))
    }

    /// # Safety
    ///
    /// `node` came from `allocate`, and nobody uses it again.
    #[inline(always)]
    pub(in crate::graph) unsafe fn free(node: NonNull<u8>) {
        let slab = ptr::with_exposed_provenance_mut::<Slab>(node.as_ptr().expose_provenance() & !(BYTES - 1));
        // SAFETY: the node is live, so its slab is, and every slab starts with its head.
        let live = unsafe { &(*slab).live };
        // AcqRel: whoever recycles the slab must come after every use of its nodes.
        if live.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: the count reached zero, which happens once, so the slab is ours.
            unsafe { recycle(NonNull::new_unchecked(slab)) }
        }
    }

    impl Local {
        #[cold]
        #[inline(never)]
        fn allocate_in_new_slab(&self, bytes: usize) -> NonNull<u8> {
            self.close();
            let slab = self.take_kept().unwrap_or_else(from_pool);
            let first = open(slab).as_ptr().expose_provenance();
            self.at.set(first + bytes);
            self.end.set(slab.as_ptr().addr() + BYTES);
            self.allocated.set(1);
            // SAFETY: not null, it lies inside a slab.
            unsafe { NonNull::new_unchecked(ptr::with_exposed_provenance_mut(first)) }
        }

        /// Closes the open slab, if there is one.
        fn close(&self) {
            let end = self.end.replace(0);
            self.at.set(0);
            if end == 0 {
                return;
            }
            let unused = OPEN - self.allocated.replace(0);
            let slab = ptr::with_exposed_provenance_mut::<Slab>(end - BYTES);
            // SAFETY: an open slab is alive, `OPEN` keeps its count above zero until here.
            let live = unsafe { &(*slab).live };
            // AcqRel: as in `free`.
            if live.fetch_sub(unused, Ordering::AcqRel) == unused {
                // SAFETY: the count reached zero, so the slab is ours.
                unsafe { recycle(NonNull::new_unchecked(slab)) }
            }
        }

        fn take_kept(&self) -> Option<NonNull<Slab>> {
            let slab = NonNull::new(self.kept.get())?;
            // SAFETY: a kept slab is free and this thread's own.
            self.kept.set(unsafe { slab.as_ref() }.next.get());
            self.kept_len.set(self.kept_len.get() - 1);
            Some(slab)
        }
    }

    impl Drop for Local {
        fn drop(&mut self) {
            self.close();
            while let Some(slab) = self.take_kept() {
                pool().0.push(slab);
            }
        }
    }

    /// Makes a free slab an open one; gives its first byte for nodes.
    fn open(slab: NonNull<Slab>) -> NonNull<u8> {
        // SAFETY: the slab is free and ours: we may write its head, and the bytes behind it are in bounds.
        unsafe {
            slab.write(Slab { live: AtomicU32::new(OPEN), next: Cell::new(ptr::null_mut()) });
            slab.cast::<u8>().add(size_of::<Slab>())
        }
    }

    fn pool() -> std::sync::MutexGuard<'static, Pool> {
        POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[cold]
    fn from_pool() -> NonNull<Slab> {
        let pooled = pool().0.pop();
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
        unsafe { slab.as_ref() }.live.store(1, Ordering::Relaxed);
        first.as_ptr().expose_provenance();
        first
    }

    /// # Safety
    ///
    /// The slab holds no live node, is not open, and is the caller's.
    #[cold]
    unsafe fn recycle(slab: NonNull<Slab>) {
        let kept = LOCAL.try_with(|local| {
            if local.kept_len.get() == KEPT_MAX {
                return false;
            }
            // SAFETY: the slab is ours.
            unsafe { slab.as_ref() }.next.set(local.kept.get());
            local.kept.set(slab.as_ptr());
            local.kept_len.set(local.kept_len.get() + 1);
            true
        });
        if kept != Ok(true) {
            pool().0.push(slab);
        }
    }

    /// Gives the common pool back to the allocator, but for a few megabytes that the next run will want.
    pub(crate) fn trim() {
        /// 8 MiB: small against what a process with a thread pool maps anyway, and enough for runs of 100,000 nodes.
        const POOLED_MAX: usize = (8 << 20) / BYTES;
        let surplus = {
            let mut pool = pool();
            let keep = pool.0.len().min(POOLED_MAX);
            pool.0.split_off(keep)
        };
        for slab in surplus {
            // SAFETY: a pooled slab is free and without an owner; it was allocated with this layout.
            unsafe { alloc::dealloc(slab.as_ptr().cast(), LAYOUT) }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

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
                    // SAFETY: allocated above, not used again.
                    unsafe { free(node.cast()) };
                }
                LOCAL.with(|local| assert!(0 < local.kept_len.get(), "emptied slabs are kept for reuse"));
            })
            .join()
            .expect("the checks hold");
        }

        #[test]
        fn nodes_may_be_freed_by_another_thread() {
            let nodes: Vec<usize> = std::thread::spawn(|| (0..5_000).map(|_| allocate(64).as_ptr().addr()).collect())
                .join()
                .expect("allocating does not panic");
            for node in nodes {
                // SAFETY: allocated above, not used again.
                unsafe { free(NonNull::new_unchecked(ptr::with_exposed_provenance_mut(node))) };
            }
        }
    }
}
