//! The works. Each has a file, in which all its contenders stand side by side.

mod fib;
mod fan;
mod chain;
mod grow;
mod wave;
mod uts;
mod skynet;
mod metg;
mod start;
mod real;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::contender::Work;
use crate::session::Result;

/// What all works need to know.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Whether to do much less, to see that everything works. The times mean nothing then.
    pub is_quick: bool,
    /// The directory that `real` reads.
    pub tree: Option<PathBuf>,
}

impl Setup {
    /// The options that set up the same.
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

/// Makes a work, and finds out what is right about it.
type Prepare = fn(&Setup) -> Result<Work>;

/// All works, in the order of the tables.
pub(crate) const WORKS: [(&str, Prepare); 12] = [
    ("fib", fib::prepare),
    ("fan", fan::prepare),
    ("chain", chain::prepare),
    ("grow", grow::prepare),
    ("wave", wave::prepare),
    ("uts", uts::prepare),
    ("skynet", skynet::prepare),
    ("metg-4", metg::prepare::<4>),
    ("metg-8", metg::prepare::<8>),
    ("metg-16", metg::prepare::<16>),
    ("start", start::prepare),
    ("real", real::prepare),
];
