//! A function of each of many items, in tasks that are large enough to be worth it.
//!
//! A generator takes items from the iterator, a chunk at a time, and yields a task for each chunk. The [`Chunking`] says
//! how long the next chunk is to be, from how long the last ones took: one item at first, then more while they turn out
//! to be light.
//!
//! Nobody knows how heavy the next item is. So a task looks at the clock after every few items, and one that has run
//! for too long does not go on: what is left of its chunk becomes tasks of their own, which others can take.

use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::all;
use super::call::input::Plain;
use super::call::{self, AsSaid, Outcome, Task, Value, task};
use super::delayed::DC;
use super::generator;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What a task is to take: a thousand times as long as its bookkeeping, and short enough for many to end together.
const TASK_TIME: Duration = Duration::from_micros(200);
/// A task that has taken this long has met heavier items than were expected, and is split.
const OVERRUN: Duration = Duration::from_micros(500);
/// When a task is split it may make one new task for each such time that it has taken: a hundredth for the splitting.
const TIME_PER_PART: Duration = Duration::from_micros(10);
/// Chunks grow and shrink by no more than this at once: what is measured may have been a coincidence.
const STEP_MAX: usize = 4;
/// What a chunk's items or results may take: they stay in a level 2 cache, and hundreds of chunks in flight are small.
const CHUNK_BYTES_MAX: usize = 1 << 16;
/// Smaller items do not make chunks longer: they are long enough.
const ITEM_BYTES_MIN: usize = 8;
/// How many items at most come between two looks at the clock. A look costs some 30 ns, hence 1 ns an item. A heavy
/// item holds up no more than this many others that could be somewhere else.
const STRIDE_MAX: usize = 32;
/// If items take this long together, a look at the clock after them is worth it.
const STRIDE_TIME: Duration = Duration::from_micros(2);

task!(MapChunks "map_chunks");

/// What makes the tasks.
struct Chunks;

impl Task for Chunks {
    const NAME: &'static str = MapChunks::NAME;
    const IS_PLUMBING: bool = true;
}

/// Applies `f` to each of many items, however small; gives the results, in order.
///
/// Items are grouped into tasks of a few tenths of a millisecond, by how long they turn out to take. So a tiny item costs a
/// few nanoseconds, and heavy ones run in parallel, each by itself. A task that meets an item far heavier than those before
/// leaves the rest of its items to others.
///
/// Items are taken from the iterator only when there is room for more in flight: ten million of them, or an unknown number,
/// need the memory of their results, and twice that for a moment at the end, when they are joined. If `f` or the iterator
/// panics, the whole fails.
///
/// If each item is a computation, use [`each`](crate::each).
///
/// ```
/// let roots = taskgraph::map_chunks(0..10_000u32, |x| f64::from(x).sqrt());
/// let sum = roots.map(|roots| roots.into_iter().sum::<f64>().round());
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 666_616.0);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn map_chunks<I, U, F>(items: I, f: F) -> DC<Vec<U>>
where
    I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
    U: Send + 'static,
    F: Fn(I::Item) -> U + Send + Sync + 'static,
{
    let mut items = items.into_iter();
    let chunking = Chunking::new(size_of::<I::Item>().max(size_of::<U>()));
    let mapping = Arc::new(Mapping { f, chunking, origin: Location::caller() });
    let chunks = generator::generate::<Chunks, Vec<Vec<U>>, (), _, _>(|yielder| async move {
        loop {
            let len = mapping.chunking.chunk_len();
            let mut chunk = Vec::with_capacity(items.size_hint().1.map_or(len, |left| left.min(len)));
            chunk.extend(items.by_ref().take(len));
            let is_last = chunk.len() < len;
            let pause = yielder.put(mapped(Arc::clone(&mapping), chunk));
            if is_last {
                break;
            }
            yielder.pause(pause).await;
        }
    });
    call::call::<MapChunks, Value, _, _, _>((chunks,), |(chunks,)| joined(chunks))
}

/// What all tasks have in common.
struct Mapping<F> {
    f: F,
    chunking: Chunking,
    origin: &'static Location<'static>,
}

/// A task for a chunk.
fn mapped<I, U, F>(mapping: Arc<Mapping<F>>, chunk: Vec<I>) -> DC<Vec<U>>
where
    I: Send + 'static,
    U: Send + 'static,
    F: Fn(I) -> U + Send + Sync + 'static,
{
    let origin = mapping.origin;
    let mut task = call::call::<MapChunks, AsSaid<_>, _, _, _>((), move |()| map(&mapping, chunk));
    task.set_origin(origin);
    task
}

/// What becomes of a chunk: its results, or a computation of them if it takes too long.
fn map<I, U, F>(mapping: &Arc<Mapping<F>>, chunk: Vec<I>) -> Outcome<Vec<U>>
where
    I: Send + 'static,
    U: Send + 'static,
    F: Fn(I) -> U + Send + Sync + 'static,
{
    let start = Instant::now();
    let mut results = Vec::with_capacity(chunk.len());
    let mut items = chunk.into_iter();
    let (mut stride, mut before) = (1, Duration::ZERO);
    while 0 < items.len() {
        results.extend(items.by_ref().take(stride).map(&mapping.f));
        let took = start.elapsed();
        if items.len() == 0 {
            mapping.chunking.tell(results.len(), took);
        } else if OVERRUN < took {
            mapping.chunking.tell(results.len(), took);
            return Outcome::Delayed(split(mapping, results, items, took));
        }
        let is_light = took - before < STRIDE_TIME;
        stride = if is_light { (2 * stride).min(STRIDE_MAX) } else { (stride / 2).max(1) };
        before = took;
    }
    Outcome::Value(results)
}

/// The results that are there after `took`, and those of the items that are left, in tasks of their own.
#[cold]
fn split<I, U, F>(
    mapping: &Arc<Mapping<F>>,
    results: Vec<U>,
    mut items: std::vec::IntoIter<I>,
    took: Duration,
) -> DC<Vec<U>>
where
    I: Send + 'static,
    U: Send + 'static,
    F: Fn(I) -> U + Send + Sync + 'static,
{
    let parts_max = (took.as_nanos() / TIME_PER_PART.as_nanos()).min(items.len() as u128) as usize;
    let part_len = items.len().div_ceil(parts_max);
    let parts = (0..items.len()).step_by(part_len);
    let parts = parts.map(|_| mapped(Arc::clone(mapping), items.by_ref().take(part_len).collect())).collect();
    let mut parts = all::gathered::<MapChunks, _>(parts);
    parts.set_origin(mapping.origin);
    let mut whole = call::call::<MapChunks, Value, _, _, _>((Plain(results), parts), |(results, mut parts)| {
        parts.insert(0, results);
        joined(parts)
    });
    whole.set_origin(mapping.origin);
    whole
}

/// All of them in one, in the memory of the first if it is the only one.
fn joined<U>(chunks: Vec<Vec<U>>) -> Vec<U> {
    let len = chunks.iter().map(Vec::len).sum::<usize>();
    let mut chunks = chunks.into_iter();
    let mut all = chunks.next().unwrap_or_default();
    all.reserve_exact(len - all.len());
    chunks.for_each(|chunk| all.extend(chunk));
    all
}

/// How long the next chunk is to be.
struct Chunking {
    /// Nothing depends on it, so every access is relaxed.
    chunk_len: AtomicUsize,
    chunk_len_max: usize,
}

impl Chunking {
    /// For items, or results, of this many bytes. The first chunk is a single item: it may be a heavy one.
    fn new(item_bytes: usize) -> Self {
        let chunk_len_max = (CHUNK_BYTES_MAX / item_bytes.max(ITEM_BYTES_MIN)).max(1);
        Self { chunk_len: AtomicUsize::new(1), chunk_len_max }
    }

    fn chunk_len(&self) -> usize {
        self.chunk_len.load(Ordering::Relaxed)
    }

    /// Notes that this many items took this long.
    fn tell(&self, items: usize, took: Duration) {
        let suits = items as u128 * TASK_TIME.as_nanos() / took.as_nanos().max(1);
        let suits = suits.min(self.chunk_len_max as u128) as usize;
        let len = self.chunk_len();
        let next = if suits < len {
            suits.max(len / STEP_MAX).max(1)
        } else {
            // Not less than before: the chunk may have been made when chunks were shorter.
            suits.min(STEP_MAX * items).max(len)
        };
        // In most cases it stays the same, and all workers can keep it in their caches.
        if next != len {
            self.chunk_len.store(next, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_while_they_are_light_and_shrink_when_they_are_not() {
        let chunking = Chunking::new(1);
        let told = |items, took| {
            chunking.tell(items, took);
            chunking.chunk_len()
        };
        assert_eq!([told(1, Duration::ZERO), told(4, Duration::ZERO), told(16, TASK_TIME / 2)], [4, 16, 32]);
        assert_eq!(told(1, Duration::ZERO), 32, "a chunk that was made before says nothing against longer ones");
        assert_eq!([told(32, 2 * TASK_TIME), told(16, TASK_TIME)], [16, 16]);
        assert_eq!([told(1, Duration::MAX), told(1, Duration::MAX), told(1, Duration::MAX)], [4, 1, 1]);
        let longest = (0..20).map(|_| told(chunking.chunk_len(), Duration::ZERO)).max();
        assert_eq!(longest, Some(CHUNK_BYTES_MAX / ITEM_BYTES_MIN));
    }

    #[test]
    fn chunks_of_large_items_are_short() {
        for (item_bytes, longest) in [(0, 1 << 13), (8, 1 << 13), (1 << 10, 1 << 6), (1 << 20, 1)] {
            assert_eq!(Chunking::new(item_bytes).chunk_len_max, longest);
        }
    }
}
