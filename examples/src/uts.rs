//! The Unbalanced Tree Search: counts the nodes of a tree that nobody has ever stored.
//!
//! A node is a SHA-1 hash. It determines how many children the node has, and child `i` is the hash of the node's own
//! hash and `i`, so the same tree grows wherever and in whatever order it is searched. The size of a subtree shows only
//! when it has been searched: most are one leaf, some hold half of the tree. That makes it a benchmark of load
//! balancing.
//!
//! S. Olivier, J. Huan, J. Liu, J. Prins, J. Dinan, P. Sadayappan, C.-W. Tseng: *UTS: An Unbalanced Tree Search
//! Benchmark*, LCPC 2006. These are its geometric trees of fixed shape, with its generator `brg_sha1`.

use taskgraph::{DC, delayed};

/// No node has more children, whatever its hash says.
const CHILDREN_MAX: u32 = 100;

/// A geometric tree of fixed shape: every node above the last level has children by the same distribution.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// The parameter `-r`: the root is the hash of this.
    pub seed: u32,
    /// The parameter `-d`: nodes at this depth have no children.
    pub depth_max: u32,
    /// The parameter `-b`: how many children a node has on average.
    pub branching: f64,
}

/// The tree known as T1: `-t 1 -a 3 -d 10 -b 4 -r 19`.
pub const T1: Tree = Tree { seed: 19, depth_max: 10, branching: 4.0 };

/// What the authors of the benchmark counted in [`T1`].
pub const T1_COUNTS: Counts = Counts { nodes: 4_130_071, leaves: 3_305_118, depth: 10 };

/// A node: all that is needed to make its subtree.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    hash: [u32; 5],
    depth: u32,
}

/// The counts of a subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All nodes, the leaves among them.
    pub nodes: u64,
    /// Nodes without children.
    pub leaves: u64,
    /// The depth of the deepest node; that of the root is 0.
    pub depth: u32,
}

/// Counts a whole tree.
pub fn count(tree: Tree) -> DC<Counts> {
    search(tree, tree.root())
}

/// Counts the subtree below a node: one task for each child, and one that adds up what they found.
#[delayed]
fn search(tree: Tree, node: Node) -> DC<Counts> {
    let n_children = tree.n_children(&node);
    if n_children == 0 {
        return DC::value(Counts { nodes: 1, leaves: 1, depth: node.depth });
    }
    let below: Vec<_> = (0..n_children).map(|i| search(tree, node.child(i))).collect();
    sum(below)
}

/// The counts of a node that is not a leaf.
#[delayed]
fn sum(below: Vec<Counts>) -> Counts {
    let mut sum = Counts { nodes: 1, leaves: 0, depth: 0 };
    for counts in below {
        sum.nodes += counts.nodes;
        sum.leaves += counts.leaves;
        sum.depth = sum.depth.max(counts.depth);
    }
    sum
}

impl Tree {
    fn root(&self) -> Node {
        Node { hash: sha1([0, 0, 0, 0, self.seed]), depth: 0 }
    }

    /// Drawn from the geometric distribution whose mean is `branching`.
    fn n_children(&self, node: &Node) -> u32 {
        if node.depth >= self.depth_max {
            return 0;
        }
        let p = 1.0 / (1.0 + self.branching);
        let drawn = (1.0 - node.uniform()).ln() / (1.0 - p).ln();
        (drawn as u32).min(CHILDREN_MAX)
    }
}

impl Node {
    fn child(&self, i: u32) -> Node {
        let [a, b, c, d, e] = self.hash;
        Node { hash: sha1([a, b, c, d, e, i]), depth: self.depth + 1 }
    }

    /// A number from 0 up to but not including 1: the last 31 bits of the hash.
    fn uniform(&self) -> f64 {
        let bits = self.hash[4] & 0x7fff_ffff;
        f64::from(bits) / f64::from(1u32 << 31)
    }
}

/// SHA-1 (FIPS 180-4) of a few words, big end first. The message and its padding fit into one block; using that saves a
/// quarter of the time that the tree takes with a general hash function.
fn sha1<const N: usize>(message: [u32; N]) -> [u32; 5] {
    const { assert!(N < 14, "the message fits") };
    let mut words = [0; 16];
    words[..N].copy_from_slice(&message);
    words[N] = 1 << 31;
    words[15] = 32 * N as u32;
    let mut block = [0; 64];
    for (bytes, word) in block.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    sha1::compress(&mut state, &[block.into()]);
    state
}
