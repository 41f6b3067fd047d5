//! Many into one, two by two: a balanced tree of tasks, each of which combines two neighbours.
//!
//! A tree of a million leaves would be a million ready nodes and as many above them, all at once. So it is built bit by
//! bit: the leaves are kept in groups, and a group becomes a small tree when a worker comes to it.

use std::panic::Location;
use std::sync::Arc;

use super::call::{self, Growing, Value, task};
use super::delayed::DC;

/// How many leaves of the tree are one node until they are started. With fewer, groups would cost something; with more,
/// fewer of them could change hands.
const GROUP_LEN: usize = 32;

task!(Reduce "reduce");
task!(Group "reduce", is_counted: false);

/// Combines the results of many computations with `f` in pairs, neighbour with neighbour, until one is left; `None` if
/// there are none.
///
/// All of it runs in parallel: two neighbours are combined as soon as both are there, and nothing waits for the rest.
/// The order is kept, so `f` has to be associative, but not commutative. If one computation fails, or `f` panics, the
/// whole fails.
///
/// ```
/// #[taskgraph::delayed]
/// fn square(x: u64) -> u64 { x * x }
///
/// let highest = taskgraph::reduce((0..100).map(|x| square(x) % 101), u64::max);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(highest)?, Some(100));
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn reduce<T: Send + 'static>(
    delayed: impl IntoIterator<Item = DC<T>>,
    f: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> DC<Option<T>> {
    let (f, origin) = (Arc::new(f), Location::caller());
    let mut leaves = delayed.into_iter().fuse();
    let groups = std::iter::from_fn(|| {
        let group: Vec<_> = leaves.by_ref().take(GROUP_LEN).collect();
        (!group.is_empty()).then(|| grouped(group, &f, origin))
    });
    let groups = groups.collect();
    // The iterator is a user's, and may panic: so before there is a result that would be lost.
    drop(leaves);
    match tree(groups, &f, origin) {
        Some(root) => call::call::<Group, Value, _, _, _>((root,), |(value,)| Some(value)),
        None => DC::value(None),
    }
}

/// A tree that is made when it is started.
fn grouped<T, F>(leaves: Vec<DC<T>>, f: &Arc<F>, origin: &'static Location<'static>) -> DC<T>
where
    T: Send + 'static,
    F: Fn(T, T) -> T + Send + Sync + 'static,
{
    let f = Arc::clone(f);
    let mut group = call::call::<Group, Growing, _, _, _>((), move |()| {
        // A count of its own: otherwise each node, on any worker, would write the one that all share.
        let f = Arc::new(move |a, b| f(a, b));
        tree(leaves, &f, origin).expect("a group is not empty")
    });
    group.set_origin(origin);
    group
}

/// Puts nodes upon neighbours until one is left, if there was any.
fn tree<T, F>(mut level: Vec<DC<T>>, f: &Arc<F>, origin: &'static Location<'static>) -> Option<DC<T>>
where
    T: Send + 'static,
    F: Fn(T, T) -> T + Send + Sync + 'static,
{
    while 1 < level.len() {
        let mut below = level.into_iter();
        // In the memory of the level below.
        level = std::iter::from_fn(|| {
            let left = below.next()?;
            let Some(right) = below.next() else { return Some(left) };
            let f = Arc::clone(f);
            let mut both = call::call::<Reduce, Value, _, _, _>((left, right), move |(left, right)| f(left, right));
            both.set_origin(origin);
            Some(both)
        })
        .collect();
    }
    level.pop()
}
