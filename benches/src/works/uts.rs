//! `uts`: the unbalanced tree search; nobody knows where the work is until it has been done.

use taskgraph::{DC, delayed};

use self::program::{T1, T1_COUNTS, Uts};
use super::{Setup, on_tree};
use crate::contender::Kind::Ours;
use crate::contender::{Amount, Contender, Job, Work};
use crate::rivals::{self, Tree, sum};
use crate::session::Result;

/// The example, and what rivals need of it.
mod program {
    #![expect(dead_code, reason = "the example counts leaves and depths, too")]
    #![expect(unreachable_pub, reason = "the example is a module of a library")]

    include!(concat!(env!("OUT_DIR"), "/uts.rs"));

    /// The number of nodes of a tree.
    #[derive(Clone, Copy)]
    pub(super) struct Uts(pub(super) Tree);

    impl crate::rivals::Tree for Uts {
        type Node = Node;

        fn root(self) -> Node {
            self.0.root()
        }

        fn n_children(self, node: &Node) -> u64 {
            self.0.n_children(node).into()
        }

        fn child(self, node: &Node, i: u64) -> Node {
            node.child(i as u32)
        }

        fn value(self, _: &Node, below: u64) -> u64 {
            below + 1
        }
    }
}

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let tree = Uts(program::Tree { depth_max: setup.size(T1.depth_max.into(), 5) as u32, ..T1 });
    let n_nodes = rivals::plain::tree(tree);
    if !setup.is_quick && n_nodes != T1_COUNTS.nodes {
        return Err(format!("the tree T1 has {} nodes, and {n_nodes} were found", T1_COUNTS.nodes).into());
    }
    let amount = || Amount::of(n_nodes, move || n_nodes);
    let job = Job { work: "uts", size: vec![tree.0.seed.into(), tree.0.depth_max.into(), tree.0.branching as u64] };
    let ours = Contender::new("taskgraph", Ours, amount(), move |workers| {
        rivals::taskgraph::runs(workers, move |_| search(tree, tree.root()))
    });
    let contenders = on_tree(ours, tree, &job, amount);
    let what = format!("The tree T1 of the unbalanced tree search, a task for each of its {n_nodes} nodes.");
    Ok(Work { name: "uts", what, unit: "node", contenders })
}

/// As in the example, which counts more than nodes.
#[delayed]
fn search(tree: Uts, node: program::Node) -> DC<u64> {
    match tree.n_children(&node) {
        0 => DC::value(1),
        n_children => below((0..n_children).map(|i| search(tree, tree.child(&node, i))).collect::<Vec<_>>()),
    }
}

#[delayed]
fn below(children: Vec<u64>) -> u64 {
    1 + sum(children)
}
