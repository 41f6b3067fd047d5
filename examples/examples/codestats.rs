//! Counts files, lines, blank lines, words and bytes in directory trees, by language.
//!
//! ```text
//! cargo run --release --example codestats [-- [--workers N] [PATH...]]
//! ```
//!
//! Without a path it counts this workspace. Each directory is a generator that yields a computation for everything in
//! it, and each file is a task, so the graph grows with the tree; see `src/codestats.rs`. What cannot be read is listed
//! at the end; the rest is counted nevertheless.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::time::Instant;

use lexopt::prelude::*;
use taskgraph_examples::codestats::{self, Counts, Report};
use taskgraph_examples::{cores, interrupt};

const USAGE: &str = "usage: codestats [--workers N] [PATH...]";
/// Longer lists are cut off; nobody reads a thousand names of pictures.
const LISTED_MAX: usize = 20;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (paths, workers) = args()?;
    let started = Instant::now();
    let report = interrupt::run(codestats::survey(paths), workers)?;
    let seconds = started.elapsed().as_secs_f64();

    print_table(&report);
    println!("\n{seconds:.2} s; not followed: {} links; not opened: {} special files", report.links, report.special);
    print_list("not UTF-8", report.not_utf8.iter().map(|path| format!("{path:?}")));
    print_list(
        "could not be read",
        report.unreadable.iter().map(|(path, error)| format!("{path:?}: {}", cause(error))),
    );
    Ok(if report.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn args() -> Result<(Vec<PathBuf>, usize), lexopt::Error> {
    let (mut args, mut paths, mut workers) = (lexopt::Parser::from_env(), vec![], cores());
    while let Some(arg) = args.next()? {
        match arg {
            Value(path) => paths.push(PathBuf::from(path)),
            Long("workers") => workers = args.value()?.parse()?,
            Long("help") => {
                println!("{USAGE}");
                process::exit(0);
            }
            _ => return Err(arg.unexpected()),
        }
    }
    if paths.is_empty() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
        paths.push(workspace.to_owned());
    }
    Ok((paths, workers))
}

/// One row for each language, those with most lines first, and one for all.
fn print_table(report: &Report) {
    let mut rows: Vec<_> = report.languages.iter().collect();
    rows.sort_by_key(|(language, counts)| (Reverse(counts.lines), **language));

    print_row("language", ["files", "lines", "blank", "words", "bytes"]);
    for (language, &counts) in rows {
        print_counts(language, counts);
    }
    print_counts("total", report.total());
}

fn print_counts(title: &str, Counts { files, lines, blank, words, bytes }: Counts) {
    print_row(title, [files, lines, blank, words, bytes]);
}

fn print_row(title: &str, [files, lines, blank, words, bytes]: [impl Display; 5]) {
    println!("{title:<17}{files:>9}{lines:>12}{blank:>12}{words:>12}{bytes:>15}");
}

fn print_list(title: &str, items: impl ExactSizeIterator<Item = String>) {
    let len = items.len();
    if len == 0 {
        return;
    }
    println!("\n{title}: {len}");
    for item in items.take(LISTED_MAX) {
        println!("  {item}");
    }
    if len > LISTED_MAX {
        println!("  and {} more", len - LISTED_MAX);
    }
}

/// Why something could not be read, without the task that tried.
fn cause(error: &taskgraph::Error) -> String {
    error.downcast_ref::<io::Error>().map_or_else(|| error.to_string(), io::Error::to_string)
}
