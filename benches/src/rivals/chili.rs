//! chili: `join`, where the thread that asks is one of the workers.

use std::num::NonZero;
use std::ops::Range;

use chili::{Config, Scope, ThreadPool};

use super::Tree;

pub(crate) fn pool(workers: usize) -> ThreadPool {
    ThreadPool::with_config(Config { thread_count: NonZero::new(workers), ..Config::default() })
}

/// A closure that does something on a pool of its own.
pub(crate) fn runs(workers: usize, run: impl Fn(&mut Scope<'_>) -> u64) -> impl FnMut(u64) -> u64 {
    let pool = pool(workers);
    move |_| run(&mut pool.scope())
}

/// Splits a range down to its elements.
pub(crate) fn join_range<F>(scope: &mut Scope<'_>, range: Range<u64>, f: &F) -> u64
where
    F: Fn(&mut Scope<'_>, u64) -> u64 + Sync,
{
    match range.end - range.start {
        0 => 0,
        1 => f(scope, range.start),
        len => {
            let middle = range.start + len / 2;
            let (a, b) = scope.join(
                |scope| join_range(scope, range.start..middle, f),
                |scope| join_range(scope, middle..range.end, f),
            );
            a.wrapping_add(b)
        }
    }
}

pub(crate) fn join_tree<T: Tree>(scope: &mut Scope<'_>, tree: T) -> u64 {
    fn visit<T: Tree>(scope: &mut Scope<'_>, tree: T, node: &T::Node) -> u64 {
        let child = |scope: &mut Scope<'_>, i| visit(scope, tree, &tree.child(node, i));
        let children = join_range(scope, 0..tree.n_children(node), &child);
        tree.value(node, children)
    }
    visit(scope, tree, &tree.root())
}
