//! `skynet`: the sum of the numbers of the leaves of a tree with ten children to each node.

use taskgraph::{DC, delayed};

use super::{Setup, on_tree};
use crate::contender::Kind::Ours;
use crate::contender::{Amount, Contender, Job, Work};
use crate::rivals::{self, Tree, sum};
use crate::session::Result;

const N_CHILDREN: u64 = 10;

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let n_leaves = setup.size(1_000_000, 1_000);
    let tree = Skynet { n_leaves };
    // Leaves, their parents, and so on up to the root.
    let n_nodes = (N_CHILDREN * n_leaves - 1) / (N_CHILDREN - 1);
    let amount = || Amount::of(n_nodes, move || n_leaves * (n_leaves - 1) / 2);
    let job = Job { work: "skynet", size: vec![n_leaves] };
    let ours = Contender::new("taskgraph", Ours, amount(), move |workers| {
        rivals::taskgraph::runs(workers, move |_| skynet(0, n_leaves))
    });
    let contenders = on_tree(ours, tree, &job, amount);
    let what =
        format!("A tree of {n_leaves} leaves, each inner node with ten children: {n_nodes} nodes, a task for each.");
    Ok(Work { name: "skynet", what, unit: "node", contenders })
}

#[delayed]
fn skynet(first: u64, n_leaves: u64) -> DC<u64> {
    if n_leaves == 1 {
        return DC::value(first);
    }
    let below = n_leaves / N_CHILDREN;
    total((0..N_CHILDREN).map(|i| skynet(first + i * below, below)).collect::<Vec<_>>())
}

#[delayed]
fn total(children: Vec<u64>) -> u64 {
    sum(children)
}

#[derive(Clone, Copy)]
struct Skynet {
    n_leaves: u64,
}

/// A node of [`Skynet`]: the leaves below it.
#[derive(Clone, Copy)]
struct Leaves {
    first: u64,
    n: u64,
}

impl Tree for Skynet {
    type Node = Leaves;

    fn root(self) -> Leaves {
        Leaves { first: 0, n: self.n_leaves }
    }

    fn n_children(self, node: &Leaves) -> u64 {
        if node.n == 1 { 0 } else { N_CHILDREN }
    }

    fn child(self, node: &Leaves, i: u64) -> Leaves {
        let n = node.n / N_CHILDREN;
        Leaves { first: node.first + i * n, n }
    }

    fn value(self, node: &Leaves, children: u64) -> u64 {
        if node.n == 1 { node.first } else { children }
    }
}
