//! The smallest whole program: three computations, yielded by a generator, run on up to four workers.
//!
//! ```text
//! cargo run --release --example quickstart
//! telnet 127.0.0.1 8888                        in another terminal, while it runs
//! ```
//!
//! `telnet` then answers `get_max_workers`, and `set_max_workers 1` takes workers away from the run.

#![forbid(unsafe_code)]

use std::hint;
use std::time::Instant;

use taskgraph::delayed;

#[delayed]
fn computation() -> u64 {
    // Without `black_box` the compiler knows the sum, and there is nothing left to compute.
    (0..100_000_000u64).map(hint::black_box).sum()
}

#[delayed]
fn test() -> Vec<u64> {
    for _ in 0..3 {
        yield_!(computation());
    }
}

fn main() -> Result<(), taskgraph::Error> {
    println!("computing; `telnet 127.0.0.1 {}` changes the number of workers", taskgraph::CONTROL_PORT);
    let started = Instant::now();
    let result = taskgraph::run(test(), 4)?; // max_workers
    println!("{result:?} after {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}
