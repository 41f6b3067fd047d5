//! rayon: `join`, `scope.spawn`, and counters by hand on `scope.spawn`.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rayon::{Scope, ThreadPool, ThreadPoolBuilder, join, scope};

use super::{Dag, Tree, sum};

pub(crate) fn pool(workers: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(workers).build().expect("the system has threads left")
}

/// A closure that does something on a pool of its own.
pub(crate) fn runs(workers: usize, run: impl Fn(u64) -> u64 + Sync) -> impl FnMut(u64) -> u64 {
    let pool = pool(workers);
    move |length| pool.install(|| run(length))
}

/// Splits a range down to its elements with `join`.
pub(crate) fn join_range(range: Range<u64>, f: &(impl Fn(u64) -> u64 + Sync)) -> u64 {
    match range.end - range.start {
        0 => 0,
        1 => f(range.start),
        len => {
            let middle = range.start + len / 2;
            let (a, b) = join(|| join_range(range.start..middle, f), || join_range(middle..range.end, f));
            a.wrapping_add(b)
        }
    }
}

pub(crate) fn join_tree<T: Tree>(tree: T) -> u64 {
    fn visit<T: Tree>(tree: T, node: &T::Node) -> u64 {
        let children = join_range(0..tree.n_children(node), &|i| visit(tree, &tree.child(node, i)));
        tree.value(node, children)
    }
    visit(tree, &tree.root())
}

/// A scope for each node, and a spawn for each child but the last, which is a call.
pub(crate) fn scope_tree<T: Tree>(tree: T) -> u64 {
    fn visit<T: Tree>(tree: T, node: &T::Node) -> u64 {
        let n_children = tree.n_children(node);
        if n_children == 0 {
            return tree.value(node, 0);
        }
        let child = |i| visit(tree, &tree.child(node, i));
        let mut spawned = vec![0; n_children as usize - 1];
        let last = scope(|scope| {
            for (i, value) in spawned.iter_mut().enumerate() {
                scope.spawn(move |_| *value = child(i as u64));
            }
            child(n_children - 1)
        });
        tree.value(node, sum(spawned).wrapping_add(last))
    }
    visit(tree, &tree.root())
}

/// A counter and a place for the result of each task, in flat arrays. A task that brings counters to zero goes on with
/// one of those tasks, and spawns the others.
pub(crate) fn dag_by_hand<D: Dag>(dag: D) -> u64 {
    let n_inputs = |task| dag.inputs(task).count() as u8;
    let graph = ByHand {
        dag,
        missing: (0..dag.n_tasks()).map(|task| AtomicU8::new(n_inputs(task))).collect(),
        results: (0..dag.n_tasks()).map(|_| AtomicU64::new(0)).collect(),
    };
    scope(|scope| {
        // By the graph and not by the counters, which change as soon as the first task runs.
        for task in (0..dag.n_tasks()).filter(|&task| n_inputs(task) == 0) {
            let graph = &graph;
            scope.spawn(move |scope| graph.run(scope, task));
        }
    });
    sum(graph.results[dag.answering()].iter().map(|result| result.load(Ordering::Relaxed)))
}

struct ByHand<D> {
    dag: D,
    missing: Vec<AtomicU8>,
    results: Vec<AtomicU64>,
}

impl<D: Dag> ByHand<D> {
    fn run<'scope>(&'scope self, scope: &Scope<'scope>, mut task: usize) {
        loop {
            // Relaxed: the counter that made the task ready ordered the results it needs.
            let inputs = sum(self.dag.inputs(task).map(|input| self.results[input].load(Ordering::Relaxed)));
            self.results[task].store(self.dag.compute(task, inputs), Ordering::Relaxed);
            let mut next = None;
            for output in self.dag.outputs(task) {
                // AcqRel: whoever makes a task ready must see what every earlier input stored.
                if self.missing[output].fetch_sub(1, Ordering::AcqRel) == 1
                    && let Some(other) = next.replace(output)
                {
                    scope.spawn(move |scope| self.run(scope, other));
                }
            }
            match next {
                Some(output) => task = output,
                None => return,
            }
        }
    }
}
