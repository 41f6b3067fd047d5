//! The Unbalanced Tree Search benchmark: counts the 4,130,071 nodes of its tree T1, a task for each.
//!
//! ```text
//! cargo run --release --example uts [-- --workers N]
//! ```
//!
//! The tree is made while it is searched, and nobody knows how large a subtree is until it has been searched. A task
//! returns the tasks that take its place, so the graph grows as the tree does: there is no cut-off depth below which
//! nodes are searched sequentially, and no stack grows. See `src/uts.rs`; the graph is the two functions `search` and
//! `sum`.

#![forbid(unsafe_code)]

use std::error::Error;
use std::process::{self, ExitCode};
use std::time::Instant;

use lexopt::prelude::*;
use taskgraph_examples::uts::{self, T1, T1_COUNTS};
use taskgraph_examples::{cores, interrupt};

const USAGE: &str = "usage: uts [--workers N]";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let workers = workers_from_args()?;
    let started = Instant::now();
    let counts = interrupt::run(uts::count(T1), workers)?;
    let seconds = started.elapsed().as_secs_f64();

    println!("nodes           {:>12}", counts.nodes);
    println!("leaves          {:>12}", counts.leaves);
    println!("max depth       {:>12}", counts.depth);
    println!("seconds         {seconds:>12.3}");
    println!("nodes / second  {:>12.0}", counts.nodes as f64 / seconds);
    if counts != T1_COUNTS {
        eprintln!("WRONG: the published counts are {T1_COUNTS:?}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn workers_from_args() -> Result<usize, lexopt::Error> {
    let (mut args, mut workers) = (lexopt::Parser::from_env(), cores());
    while let Some(arg) = args.next()? {
        match arg {
            Long("workers") => workers = args.value()?.parse()?,
            Long("help") => {
                println!("{USAGE}");
                process::exit(0);
            }
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(workers)
}
