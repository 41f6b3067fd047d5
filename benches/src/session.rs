//! A contender at work, as the harness sees it: something that does a work a number of times, and says how long that
//! took.
//!
//! [`InProcess`] is a closure in this process, [`Child`] a program that does the same and gets its requests line by
//! line. A session holds the threads of its contender, and ends them when it is dropped; so there is never more than
//! one contender's threads in the process.

use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(crate) trait Session {
    /// Does the work `times` times, with tasks of `length`, which only the work `metg` uses.
    fn run(&mut self, times: u64, length: u64) -> Result<Ran>;

    /// The process it runs in.
    fn process_id(&self) -> u32 {
        process::id()
    }
}

/// The result of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    /// Of all repetitions together.
    pub elapsed: Duration,
    /// The sum of all answers, so that a wrong one shows.
    pub answers: u64,
}

/// A closure that takes a length and gives an answer.
pub(crate) struct InProcess<F>(pub F);

impl<F: FnMut(u64) -> u64> Session for InProcess<F> {
    fn run(&mut self, times: u64, length: u64) -> Result<Ran> {
        let mut answers = 0u64;
        let started = Instant::now();
        for _ in 0..times {
            answers = answers.wrapping_add((self.0)(black_box(length)));
        }
        Ok(Ran { elapsed: started.elapsed(), answers })
    }
}

/// A program, and its arguments before the work, the contender, the workers, and the size.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub path: PathBuf,
    pub args: Vec<String>,
}

/// A program that runs.
///
/// It reads lines of two numbers, `times length`, and answers each with `nanoseconds answers`. It ends when there are
/// no more.
pub(crate) struct Child {
    process: process::Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Child {
    pub(crate) fn start(program: &Program, args: &[String]) -> Result<Self> {
        let mut process = Command::new(&program.path)
            .args(&program.args)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.path.display()))?;
        let requests = process.stdin.take();
        let replies = BufReader::new(process.stdout.take().ok_or("a child without the output it was given")?);
        Ok(Self { process, requests, replies })
    }
}

impl Session for Child {
    fn run(&mut self, times: u64, length: u64) -> Result<Ran> {
        let requests = self.requests.as_mut().ok_or("a child without the input it was given")?;
        writeln!(requests, "{times} {length}")?;
        let mut reply = String::new();
        self.replies.read_line(&mut reply)?;
        let mut numbers = reply.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(nanoseconds)), Some(Ok(answers)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
            return Err(format!("the child replied {reply:?}").into());
        };
        Ok(Ran { elapsed: Duration::from_nanos(nanoseconds), answers })
    }

    fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It ends at the end of its input.
        self.requests = None;
        if let Err(error) = self.process.wait() {
            eprintln!("a child cannot be waited for: {error}");
        }
    }
}
