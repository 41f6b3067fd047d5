//! A thousand requests on two workers, to a web server that this program starts itself.
//!
//! ```text
//! cargo run --release --example fetch [-- PAGES]
//! ```
//!
//! Each answer takes 20 ms, so one after the other they would take 20 s. Two workers are enough for all of them, since
//! a request that waits needs none; a limit on the task keeps the server from getting more than 64 at once.

#![forbid(unsafe_code)]

use std::error::Error;
use std::process;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use taskgraph_examples::fetch::{self, Server};
use taskgraph_examples::interrupt;

const USAGE: &str = "usage: fetch [PAGES]";
const PAGES: u32 = 1_000;
const THINKS_FOR: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let pages = pages_from_args()?;
    let server = Server::start(THINKS_FOR)?;
    println!("fetches {pages} pages from http://{}, which takes {THINKS_FOR:?} for each", server.addr());
    let start = Instant::now();
    let lengths = interrupt::run(fetch::fetch_all(server.addr(), pages), 2)?;
    println!(
        "{} pages of {} bytes in {:.2?} on 2 workers, up to {} at once",
        lengths.len(),
        lengths.iter().sum::<usize>(),
        start.elapsed(),
        server.requests_max()
    );
    Ok(())
}

fn pages_from_args() -> Result<u32, lexopt::Error> {
    let (mut args, mut pages) = (lexopt::Parser::from_env(), None);
    while let Some(arg) = args.next()? {
        match arg {
            Value(given) if pages.is_none() => pages = Some(given.parse()?),
            Long("help") => {
                println!("{USAGE}");
                process::exit(0);
            }
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(pages.unwrap_or(PAGES))
}
