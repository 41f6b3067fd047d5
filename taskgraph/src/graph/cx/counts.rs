//! How many tasks of each function have ended, for whoever asks how far the work is.
//!
//! Nobody counts until somebody asks, and tasks pay nothing for it. From then on a worker looks at its
//! [seat](super::seat) after each step: it has noted the body that it is in, and wipes that out if the body has failed
//! or has yet to end. What is left there is done. It counts in a *shard*, a table by function, which is its own while
//! there are enough of them.
//!
//! The numbers order nothing, and are the standard library's own atomics, which no model watches.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::seat::Name;
use crate::progress::{Function, FunctionProgress, Progress};

const SHARDS: usize = 64;
/// Room for so many functions, far more than most programs have.
const FUNCTIONS_MAX: usize = 1 << 10;
/// A function that finds no room in so many tries is counted with the others that have none.
const PROBES_MAX: usize = 16;

const OTHERS: Function = Function { name: "others", label: None, place: None };

pub(crate) struct Counts {
    since: Instant,
    shards: [OnceLock<Shard>; SHARDS],
    /// How many counters there are.
    counters: AtomicUsize,
}

struct Shard {
    functions: Box<[Count]>,
    others: Count,
}

/// Of a function, once there is a name.
struct Count {
    name: OnceLock<&'static Name>,
    done: AtomicU64,
    failed: AtomicU64,
}

/// How a body has ended.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Well,
    /// With an error or a panic.
    Badly,
}

/// Where the tasks of one worker are counted.
pub(super) struct Counter {
    counts: Arc<Counts>,
    shard: usize,
}

impl Counts {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), shards: [const { OnceLock::new() }; SHARDS], counters: AtomicUsize::new(0) }
    }

    /// What has been counted; `running` are the functions whose bodies workers are in. Each task that ended before is
    /// found, there or here.
    pub(crate) fn progress(&self, running: impl Iterator<Item = Function>) -> Progress {
        let mut functions = BTreeMap::<Function, (u64, u64, usize)>::new();
        running.for_each(|function| functions.entry(function).or_default().2 += 1);
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            for (function, done, failed) in shard.counts() {
                let counts = functions.entry(function).or_default();
                counts.0 += done;
                counts.1 += failed;
            }
        }
        let functions = functions.into_iter();
        let functions =
            functions.map(|(function, (done, failed, running))| FunctionProgress { function, done, failed, running });
        // It is not zero, which says that counting has just begun.
        let counted_for = self.since.elapsed().max(Duration::from_nanos(1));
        Progress { counted_for, functions: functions.collect() }
    }
}

impl Shard {
    fn new() -> Self {
        Self { functions: (0..FUNCTIONS_MAX).map(|_| Count::new()).collect(), others: Count::new() }
    }

    /// That of the function with this name, or that of all others.
    fn of(&self, name: &'static Name) -> &Count {
        // Names lie side by side in some places. Fibonacci hashing scatters them (Knuth, volume 3, 6.4).
        let scattered = (ptr::from_ref(name).addr() / size_of::<Name>()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let first = scattered >> (usize::BITS - FUNCTIONS_MAX.ilog2());
        let counts = (first..first + PROBES_MAX).map(|i| &self.functions[i % FUNCTIONS_MAX]);
        let mut those_found = counts.filter(|count| ptr::eq(*count.name.get_or_init(|| name), name));
        those_found.next().unwrap_or(&self.others)
    }

    fn counts(&self) -> impl Iterator<Item = (Function, u64, u64)> {
        let named = self.functions.iter().filter_map(|count| Some((count.name.get()?.function(), count)));
        let counts = named.chain([(OTHERS, &self.others)]);
        let counts = counts.map(|(function, count)| {
            (function, count.done.load(Ordering::Relaxed), count.failed.load(Ordering::Relaxed))
        });
        counts.filter(|(_, done, failed)| 0 < done + failed)
    }
}

impl Count {
    const fn new() -> Self {
        Self { name: OnceLock::new(), done: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }
}

impl Counter {
    pub(super) fn new(counts: &Arc<Counts>) -> Self {
        let shard = counts.counters.fetch_add(1, Ordering::Relaxed) % SHARDS;
        Self { counts: Arc::clone(counts), shard }
    }

    pub(super) fn count(&self, name: &'static Name, ended: Ended) {
        if !name.is_counted() {
            return;
        }
        let count = self.counts.shards[self.shard].get_or_init(Shard::new).of(name);
        let number = match ended {
            Ended::Well => &count.done,
            Ended::Badly => &count.failed,
        };
        number.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(taskgraph_loom)))]
mod tests {
    use super::*;

    fn names(n: usize) -> &'static [Name] {
        Vec::from_iter((0..n).map(|_| Name::of_test(|| "f"))).leak()
    }

    fn counts(names: impl Iterator<Item = &'static Name>) -> Arc<Counts> {
        let counts = Arc::new(Counts::new());
        let counter = Counter::new(&counts);
        for name in names {
            counter.count(name, Ended::Well);
            counter.count(name, Ended::Badly);
        }
        counts
    }

    #[test]
    fn functions_have_room_wherever_their_names_lie() {
        let names = names(3 * FUNCTIONS_MAX);
        let counts = counts(names.chunks(FUNCTIONS_MAX).flat_map(|part| &part[..100]));
        let progress = counts.progress([].into_iter());
        let found = progress.functions.iter().map(|function| (function.name(), function.done, function.failed));
        assert_eq!(Vec::from_iter(found), [("f", 300, 300)]);
    }

    #[test]
    fn functions_without_room_are_counted_together() {
        let counts = counts(names(FUNCTIONS_MAX + 10).iter());
        let progress = counts.progress([].into_iter());
        let found = progress.functions.iter().map(|function| (function.name(), function.done, function.failed));
        let [("f", by_name, _), ("others", others, others_failed)] = Vec::from_iter(found)[..] else {
            panic!("{progress}")
        };
        assert_eq!((by_name + others, others), (FUNCTIONS_MAX as u64 + 10, others_failed));
        assert!((10..FUNCTIONS_MAX as u64 / 2).contains(&others), "{others}");
    }

    #[test]
    fn what_counters_have_counted_is_added() {
        let counts = Arc::new(Counts::new());
        let name = &names(1)[0];
        for _ in 0..2 * SHARDS + 1 {
            Counter::new(&counts).count(name, Ended::Well);
        }
        let progress = counts.progress([name.function()].into_iter());
        assert_eq!(progress.functions[0].to_string(), "f  129 done, 0 failed, 1 running");
    }
}
