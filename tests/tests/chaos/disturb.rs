//! Disturbances of the runtimes while graphs run on them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use taskgraph::{FunctionProgress, Runtime};

use crate::random::Random;
use crate::world::{WORKERS_MAX, World};

/// Disturbs a runtime in one of all the ways there are. A new way is one more arm.
pub(crate) fn disturb(world: &World, thread: &str, random: &mut Random) {
    let Some(runtime) = world.runtime(random.next()) else { return };
    let workers = |random: &mut Random| 1 + random.below(WORKERS_MAX) as usize;
    let rescale = |max_workers| runtime.set_max_workers(max_workers).expect("the system has threads left");
    match random.below(44) {
        0..10 => {
            world.now(thread, "rescales");
            rescale(workers(random));
        }
        10 | 11 => {
            world.now(thread, "rescales many times");
            (0..20).for_each(|_| rescale(workers(random)));
        }
        12..17 => {
            world.now(thread, "sets a limit");
            let (name, size) = (if random.one_in(2) { "one" } else { "two" }, 1 + random.below(4) as usize);
            runtime.set_limit(name, size).expect("such a limit may be");
        }
        17..20 => {
            world.now(thread, "cancels a run");
            if let Some(canceller) = world.canceller(random.next()) {
                if random.one_in(2) { canceller.cancel() } else { canceller.cancel_because("it is chaos") }
            }
        }
        20..28 => {
            world.now(thread, "gives commands to the port");
            command(world, &runtime, random);
        }
        28..35 => {
            world.now(thread, "sends rubbish to the port");
            // The port may have closed already.
            let _ = rubbish(&runtime, random);
        }
        35 => {
            world.now(thread, "drops a runtime");
            drop(runtime);
            drop(world.replace_runtime(random.next(), workers(random)));
        }
        37 | 38 => {
            world.now(thread, "pauses");
            runtime.pause();
            thread::sleep(random.up_to(Duration::from_millis(5)));
            // Somebody else may have done so.
            runtime.resume();
        }
        42 | 43 => {
            world.now(thread, "asks for progress");
            let done = || runtime.progress().functions().iter().map(FunctionProgress::done).sum::<u64>();
            let before = done();
            if done() < before {
                world.fault(format!("{before} tasks were done, and now fewer are"));
            }
        }
        36 => {
            world.now(thread, "cancels all runs through the port");
            let _ = world.ask(&runtime, "cancel\n");
        }
        _ => {
            world.now(thread, "is quiet");
            thread::sleep(random.up_to(Duration::from_millis(20)));
        }
    }
}

/// A well-behaved client, which gets an answer to each line.
fn command(world: &World, runtime: &Runtime, random: &mut Random) {
    let max_workers = 1 + random.below(WORKERS_MAX);
    let limit = 1 + random.below(4);
    let (lines, starts): (String, Vec<String>) = match random.below(5) {
        0 => {
            let text = format!("set_max_workers {max_workers}\r\nset_max_workers 0\r\n");
            let answer = format!("setting max workers to {max_workers}");
            (text, vec![answer, "max_workers must be from 1 to 1024, not 0".into()])
        }
        1 => (format!("set_limit one {limit}\n"), vec![format!("setting limit one to {limit}")]),
        2 => ("prompt off\nfrobnicate\n".into(), vec!["prompt is off".into(), "unknown command frobnicate".into()]),
        3 => ("status\n".into(), ["max_workers: ", "running: ", "runs: ", "paused: "].map(Into::into).into()),
        _ => (
            "cancel 0\nset_limit one x\nquit\n".into(),
            vec!["there is no run 0".into(), "the limit one must be".into()],
        ),
    };
    match world.ask(runtime, &lines) {
        Ok(answers) if answers.len() == starts.len() => {
            for (answer, start) in answers.iter().zip(starts) {
                if !answer.starts_with(&start) {
                    world.fault(format!("the port answers {answer:?}, not {start:?}"));
                }
            }
        }
        // There may be too many connections.
        Ok(answers) if answers.iter().any(|answer| answer.starts_with("too many")) => {}
        other => world.fault(format!("the port answers {other:?} to {lines:?}")),
    }
}

/// A client that sends anything, and leaves when it likes.
fn rubbish(runtime: &Runtime, random: &mut Random) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(runtime.control_addr().expect("each has one"))?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    stream.set_write_timeout(Some(Duration::from_millis(50)))?;
    match random.below(5) {
        0 => stream.write_all(b"GET /set_max_workers HTTP/1.1\r\nHost: x\r\n\r\ncancel\r\n")?,
        1 => stream.write_all(&b"x".repeat(random.below(20_000) as usize))?,
        2 => stream.write_all(&b"help\nruns\n".repeat(random.below(200) as usize))?,
        3 => {
            let words = ["set_max_workers", "set_limit", "cancel", "9999999999999999999", "-1", "\u{1b}[2J", "a b", ""];
            for _ in 0..random.below(20) {
                let line = format!("{} {}\r\n", words[random.below(8) as usize], words[3 + random.below(5) as usize]);
                // `cancel` alone would cancel all runs.
                let line = if line.starts_with("cancel \r") { "cancel x\r\n".into() } else { line };
                stream.write_all(line.as_bytes())?;
            }
        }
        _ => {
            let bytes: Vec<u8> = (0..random.below(3000)).map(|_| random.next() as u8).collect();
            stream.write_all(&bytes)?;
        }
    }
    if random.one_in(2) {
        let _ = stream.read(&mut [0; 512])?;
    }
    Ok(())
}
