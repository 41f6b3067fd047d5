//! What the works have in common, and how each rival does it.
//!
//! Three shapes cover most works: a [`Dag`] is known before it runs, a [`Tree`] grows, a range is split. Each is a
//! trait or a closure that is compiled for each work and each rival, so nothing is decided at run time that a program
//! written for one work would not decide.
//!
//! A rival has one file: how its threads are started, and how it does the shapes that it can express.

pub(crate) mod chili;
pub(crate) mod dagrs;
pub(crate) mod dagx;
pub(crate) mod plain;
pub(crate) mod rayon;
pub(crate) mod taskgraph;
pub(crate) mod tokio;

use std::ops::Range;

/// A graph whose tasks are known before it runs, numbered so that a task comes after its inputs.
pub(crate) trait Dag: Copy + Send + Sync + 'static {
    fn n_tasks(self) -> usize;

    /// The tasks whose results this one needs; at most three.
    fn inputs(self, task: usize) -> impl Iterator<Item = usize>;

    /// The tasks that need the result of this one.
    fn outputs(self, task: usize) -> impl Iterator<Item = usize>;

    /// What a task computes from the sum of its inputs.
    fn compute(self, task: usize, inputs: u64) -> u64;

    /// The tasks whose results add up to the answer.
    fn answering(self) -> Range<usize>;
}

/// A tree that is made while it is visited. The answer is the value of its root.
pub(crate) trait Tree: Copy + Send + Sync + 'static {
    type Node: Copy + Send + Sync + 'static;

    fn root(self) -> Self::Node;

    /// 0 for a leaf.
    fn n_children(self, node: &Self::Node) -> u64;

    fn child(self, node: &Self::Node, i: u64) -> Self::Node;

    /// The value of a node, from the sum of the values of its children.
    fn value(self, node: &Self::Node, children: u64) -> u64;
}

/// What a trivial task computes: just too much for the compiler to leave out. Never 0 from 0, so that a result that was
/// never written shows.
#[inline(always)]
pub(crate) fn mix(x: u64) -> u64 {
    (x ^ (x >> 29)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The sum of many, as all works define it.
pub(crate) fn sum(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, u64::wrapping_add)
}
