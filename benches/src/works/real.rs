//! `real`: the example `codestats`, which counts the code in a directory tree, and the same program on rayon.

use std::env;
use std::path::{Path, PathBuf};

use taskgraph::DC;

use self::program::{fingerprint, on_rayon};
use super::Setup;
use crate::contender::Kind::{Ours, Rival};
use crate::contender::{Amount, Contender, Work};
use crate::rivals;
use crate::session::Result;

/// The example, and the same program without taskgraph.
mod program {
    #![expect(unreachable_pub, reason = "the example is a module of a library")]

    include!(concat!(env!("OUT_DIR"), "/codestats.rs"));

    /// The part of a report on which two programs must agree.
    pub(super) fn fingerprint(report: &Report) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};

        let mut hasher = DefaultHasher::new();
        for (language, counts) in &report.languages {
            (language, counts.files, counts.lines, counts.blank, counts.words, counts.bytes).hash(&mut hasher);
        }
        (report.not_utf8.len(), report.unreadable.len(), report.links, report.special).hash(&mut hasher);
        hasher.finish()
    }

    /// The same program, which ends with the first directory or file that cannot be read.
    pub(super) mod on_rayon {
        use std::fs::{self, FileType};
        use std::io;
        use std::iter;
        use std::path::PathBuf;
        use std::sync::{Mutex, PoisonError};

        use rayon::prelude::*;
        use rayon::{Scope, scope};

        use super::{Report, file_report};

        pub(crate) const READABLE: &str = "what is measured can be read; choose another directory with --tree";

        /// A parallel iterator for each directory.
        pub(crate) fn par_iter(path: PathBuf) -> Report {
            let kind = kind(&path);
            if !kind.is_dir() {
                return entry(path, kind);
            }
            list(path).into_par_iter().map(par_iter).reduce(Report::default, both)
        }

        /// A spawn for everything found, which adds to one report.
        pub(crate) fn spawned(path: PathBuf) -> Report {
            fn visit<'scope>(scope: &Scope<'scope>, path: PathBuf, sum: &'scope Mutex<Report>) {
                let kind = kind(&path);
                if kind.is_dir() {
                    for path in list(path) {
                        scope.spawn(|scope| visit(scope, path, sum));
                    }
                } else {
                    let report = entry(path, kind);
                    sum.lock().unwrap_or_else(PoisonError::into_inner).add(report);
                }
            }
            let sum = Mutex::default();
            scope(|scope| visit(scope, path, &sum));
            sum.into_inner().unwrap_or_else(PoisonError::into_inner)
        }

        /// A walk on one thread; all threads read what it finds.
        pub(crate) fn par_bridge(path: PathBuf) -> Report {
            walk(path).par_bridge().map(|(path, kind)| entry(path, kind)).reduce(Report::default, both)
        }

        pub(crate) fn plain(path: PathBuf) -> Report {
            walk(path).map(|(path, kind)| entry(path, kind)).collect()
        }

        fn walk(path: PathBuf) -> impl Iterator<Item = (PathBuf, FileType)> {
            let mut left = vec![path];
            iter::from_fn(move || {
                loop {
                    let path = left.pop()?;
                    let kind = kind(&path);
                    if !kind.is_dir() {
                        return Some((path, kind));
                    }
                    left.extend(list(path));
                }
            })
        }

        fn kind(path: &PathBuf) -> FileType {
            fs::symlink_metadata(path).expect(READABLE).file_type()
        }

        /// The entries of a directory, in the order of the example.
        fn list(path: PathBuf) -> Vec<PathBuf> {
            let entries = fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
            let mut paths: Vec<PathBuf> = entries.expect(READABLE);
            paths.sort();
            paths
        }

        /// An entry that is not a directory.
        fn entry(path: PathBuf, kind: FileType) -> Report {
            if kind.is_file() {
                let report: io::Result<Report> = file_report(path);
                report.expect(READABLE)
            } else if kind.is_symlink() {
                Report { links: 1, ..Report::default() }
            } else {
                Report { special: 1, ..Report::default() }
            }
        }

        fn both(mut a: Report, b: Report) -> Report {
            a.add(b);
            a
        }
    }

    /// What the example's task `file` does.
    fn file_report(path: PathBuf) -> io::Result<Report> {
        let (counts, is_utf8) = read(File::open(&path)?)?;
        let languages = BTreeMap::from([(language(&path), counts)]);
        let not_utf8 = if is_utf8 { vec![] } else { vec![path] };
        Ok(Report { languages, not_utf8, ..Report::default() })
    }
}

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let tree = match &setup.tree {
        Some(tree) => tree.clone(),
        None if setup.is_quick => Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        None => downloaded_sources()?,
    };
    // Reads everything once, so that all contenders find it in memory.
    let report = on_rayon::plain(tree.clone());
    let total = report.total();
    let answer = fingerprint(&report);
    let amount = || Amount::of(total.files, move || answer);
    let rival = |name, program: fn(PathBuf) -> program::Report| {
        let tree = tree.clone();
        Contender::new(name, Rival, amount(), move |workers| {
            let tree = tree.clone();
            rivals::rayon::runs(workers, move |_| fingerprint(&program(tree.clone())))
        })
    };
    let ours = tree.clone();
    let sequential = tree.clone();
    let contenders = vec![
        Contender::new("taskgraph", Ours, amount(), move |workers| {
            let tree = ours.clone();
            rivals::taskgraph::runs(workers, move |_| survey(tree.clone()))
        }),
        rival("rayon scope.spawn", on_rayon::spawned),
        rival("rayon par_iter", on_rayon::par_iter),
        rival("rayon par_bridge", on_rayon::par_bridge),
        Contender::sequential(amount(), move |_| fingerprint(&on_rayon::plain(sequential.clone()))),
    ];
    let what = format!(
        "The example `codestats` on {} files of {} MB in all, which were in memory, a task for \
         each file and directory.",
        total.files,
        total.bytes / 1_000_000
    );
    Ok(Work { name: "real", what, unit: "file", contenders })
}

fn survey(tree: PathBuf) -> DC<u64> {
    program::survey(vec![tree]).map(|report| fingerprint(&report))
}

/// The sources of the rivals, and of whatever else cargo had to download.
fn downloaded_sources() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let sources = home.map(|home| home.join("registry").join("src")).filter(|sources| sources.is_dir());
    sources.ok_or_else(|| "there are no sources that cargo downloaded; choose a directory with --tree".into())
}
