//! Programs that show taskgraph on real input.
//!
//! `cargo run --release --example NAME` runs one of them. Each has two halves: the program in `examples/NAME.rs`, which
//! reads a command line, runs a graph and prints, and, where there is something to test, the graph in a module of this
//! library.
//!
//! | program | shows | module |
//! |---|---|---|
//! | `quickstart` | the smallest whole program | |
//! | `rescale` | more and fewer workers for a run that goes on | [`rescale`] |
//! | `codestats` | generators, a collection of one's own, failures that end nothing | [`codestats`] |
//! | `fetch` | tasks that wait, far more of them than workers | [`fetch`] |
//! | `mandelbrot` | a graph that grows where the work is | [`mandelbrot`] |
//! | `uts` | millions of tasks of a fraction of a microsecond | [`uts`] |
//!
//! Ctrl-C cancels the run of any of them but `quickstart`: see [`interrupt`].
#![forbid(unsafe_code)]

pub mod codestats;
pub mod fetch;
pub mod interrupt;
pub mod mandelbrot;
pub mod rescale;
pub mod uts;

use std::num::NonZero;
use std::thread;

/// As many workers as the machine has cores: what the programs use unless `--workers` says otherwise.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
