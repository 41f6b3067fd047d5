//! The peak of a process's memory, which is that of one contender only if nothing else was measured in it.
//!
//! So the program runs itself as `--memory WORK CONTENDER WORKERS`, does the work once, and prints what
//! `/proc/PID/status` then says of the process that did it: itself, or the program of a rival in another language.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::{self, Command};

use crate::contender::{Contender, Work};
use crate::measure;
use crate::session::Result;

/// Stands for a contender that does nothing.
pub(crate) const NOTHING: &str = "nothing";

/// In this process: does the work once; KiB.
pub(crate) fn serve(contender: Option<&Contender>, workers: usize) -> Result<u64> {
    let Some(contender) = contender else { return peak(process::id()) };
    let mut session = (contender.open)(workers)?;
    let answers = session.run(1, 0)?.answers;
    // Before the right answer is computed, which takes memory, too.
    let peak = peak(session.process_id())?;
    if answers == measure::answer(contender) { Ok(peak) } else { Err("the answer is wrong".into()) }
}

/// In a process of its own; KiB. `args` are those that set up the work.
pub(crate) fn of(work: &Work, contender: &str, workers: usize, args: &[OsString]) -> Result<u64> {
    let output = Command::new(env::current_exe()?)
        .args(args)
        .args(["--memory", work.name, contender, &workers.to_string()])
        .output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the memory of {contender} in {}: {}", work.name, errors.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

fn peak(process_id: u32) -> Result<u64> {
    let path = format!("/proc/{process_id}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    Ok(peak.ok_or_else(|| format!("{path} has no VmHWM"))?.trim().parse()?)
}
