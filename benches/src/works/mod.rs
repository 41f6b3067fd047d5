//! The works. Each has a file with its contenders side by side; those that search trees are the same for all trees.

mod fib;
mod fan;
mod chain;
mod grow;
mod awaited;
mod wave;
mod uts;
mod skynet;
mod metg;
mod start;
mod real;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::contender::Kind::{Floor, Rival};
use crate::contender::{Amount, Contender, Foreign, Job, PLAIN, Work};
use crate::rivals::{self, Tree};
use crate::session::Result;

/// What all works need to know.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Whether to do much less, to see that everything works. Then the times mean nothing.
    pub is_quick: bool,
    /// The directory that `real` reads.
    pub tree: Option<PathBuf>,
}

impl Setup {
    /// The options that give the same setup.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let quick = self.is_quick.then(|| "--quick".into());
        let tree = self.tree.iter().flat_map(|tree| ["--tree".into(), tree.into()]);
        quick.into_iter().chain(tree).collect()
    }

    /// One of two sizes.
    fn size(&self, full: u64, quick: u64) -> u64 {
        if self.is_quick { quick } else { full }
    }
}

/// Makes a work, and the check of its answers.
type Prepare = fn(&Setup) -> Result<Work>;

/// All works, in the order of the tables.
pub(crate) const WORKS: [(&str, Prepare); 13] = [
    ("fib", fib::prepare),
    ("fan", fan::prepare),
    ("chain", chain::prepare),
    ("grow", grow::prepare),
    ("await", awaited::prepare),
    ("wave", wave::prepare),
    ("uts", uts::prepare),
    ("skynet", skynet::prepare),
    ("metg-4", metg::prepare::<4>),
    ("metg-8", metg::prepare::<8>),
    ("metg-16", metg::prepare::<16>),
    ("start", start::prepare),
    ("real", real::prepare),
];

/// All contenders that can search a tree, including `ours`.
fn on_tree(ours: Contender, tree: impl Tree, job: &Job, amount: impl Fn() -> Amount) -> Vec<Contender> {
    let program = |rival, way| Contender::program(rival, way, job, amount());
    let mut contenders = vec![
        ours,
        Contender::new("rayon scope.spawn", Rival, amount(), move |workers| {
            rivals::rayon::runs(workers, move |_| rivals::rayon::scope_tree(tree))
        }),
        Contender::new("tokio spawn", Rival, amount(), move |workers| {
            rivals::tokio::runs(workers, move |_| rivals::tokio::tree(tree))
        }),
        Contender::new("rayon join", Floor, amount(), move |workers| {
            rivals::rayon::runs(workers, move |_| rivals::rayon::join_tree(tree))
        }),
        Contender::new("chili join", Floor, amount(), move |workers| {
            rivals::chili::runs(workers, move |scope| rivals::chili::join_tree(scope, tree))
        }),
        Contender::sequential(amount(), move |_| rivals::plain::tree(tree)),
    ];
    contenders.extend(program(Foreign::Cpp, PLAIN));
    contenders.extend(program(Foreign::Tbb, "task_group"));
    contenders.extend(program(Foreign::OpenMp, "task"));
    contenders.extend(program(Foreign::Taskflow, "task_group"));
    contenders
}
