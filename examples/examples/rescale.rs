//! A long run of small tasks, whose number of workers can be changed.
//!
//! ```text
//! cargo run --release --example rescale [-- SECONDS]
//! telnet 127.0.0.1 8888                                  in another terminal
//! ```
//!
//! Then type `get_max_workers`, or `set_max_workers 1`, and see what happens to the tasks per second; `progress` tells how
//! many are done. Nothing is stopped, lost or run again: a surplus worker ends with its current task, a new one starts at
//! once.

#![forbid(unsafe_code)]

use std::error::Error;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use taskgraph::{FunctionProgress, Runtime};
use taskgraph_examples::interrupt::interruptible;
use taskgraph_examples::rescale;

const USAGE: &str = "usage: rescale [SECONDS]";
const SECONDS: u64 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = seconds_from_args()?;
    let runtime = Runtime::builder().count_tasks().build()?;
    println!("runs for {seconds} s, or until Ctrl-C");
    match runtime.control_addr() {
        Some(addr) => println!("in another terminal: telnet {} {}, then: set_max_workers 1", addr.ip(), addr.port()),
        None => println!(
            "without a control port, so the number of workers will stay: is {} taken?",
            taskgraph::CONTROL_PORT
        ),
    }

    let until = Instant::now().checked_add(Duration::from_secs(seconds)).ok_or("so many seconds are for ever")?;
    let run = interruptible(runtime.spawn(rescale::tasks(until)))?;
    let (mut before, mut since) = (0, Instant::now());
    loop {
        thread::sleep(Duration::from_secs(1));
        if run.is_finished() {
            break;
        }
        let now = runtime.progress().functions().iter().map(FunctionProgress::done).sum();
        let per_second = (now - before) as f64 / since.elapsed().as_secs_f64();
        println!("{per_second:>9.0} tasks/s with up to {} workers", runtime.max_workers());
        (before, since) = (now, Instant::now());
    }
    println!("{} tasks in all", run.join()?.len());
    Ok(())
}

fn seconds_from_args() -> Result<u64, lexopt::Error> {
    let (mut args, mut seconds) = (lexopt::Parser::from_env(), None);
    while let Some(arg) = args.next()? {
        match arg {
            Value(given) if seconds.is_none() => seconds = Some(given.parse()?),
            Long("help") => {
                println!("{USAGE}");
                process::exit(0);
            }
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(seconds.unwrap_or(SECONDS))
}
