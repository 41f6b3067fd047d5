//! The smallest whole program: three computations yielded by a generator, run on up to four workers.
//!
//! While it runs, `telnet 127.0.0.1 8888` answers `get_max_workers` and `set_max_workers 2`.

use std::time::Instant;

use taskgraph::delayed;

#[delayed]
fn computation() -> u64 {
    (0..100_000_000u64).map(std::hint::black_box).sum()
}

#[delayed]
fn test() -> Vec<u64> {
    for _ in 0..3 {
        yield_!(computation());
    }
}

fn main() -> Result<(), taskgraph::Error> {
    let started = Instant::now();
    eprintln!("computing; `telnet 127.0.0.1 {}` changes the number of workers", taskgraph::CONTROL_PORT);
    let result = taskgraph::run(test(), 4)?;
    println!("{result:?}");
    println!("took {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}
