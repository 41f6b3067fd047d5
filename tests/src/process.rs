//! This process as the system sees it, for tests that measure it. These run in a process of their own.

use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::size;

/// Whether this process was started for a single test.
const ALONE: &str = "TASKGRAPH_TEST_ALONE";

/// Runs `body`, the body of the test called `test`, in a process where nothing else runs.
///
/// # Panics
///
/// If it fails there.
#[track_caller]
pub fn alone(test: &str, body: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return body();
    }
    let mut command = Command::new(env::current_exe().expect("a test is a program"));
    let output = command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, "1").output();
    let output = output.expect("a test can be started");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {said}", output.status);
    assert!(said.contains("1 passed"), "no test is called {test}: {said}");
    for line in said.lines().filter(|line| line.contains("measured")) {
        println!("{line}");
    }
}

/// The most memory that this process has held so far. Zero under a checker, which keeps freed memory and has more of its own
/// than we do.
pub fn resident_bytes_max() -> u64 {
    if size::IS_CHECKED { 0 } else { status("VmHWM") << 10 }
}

/// The memory this process holds now; as above.
pub fn resident_bytes() -> u64 {
    if size::IS_CHECKED { 0 } else { status("VmRSS") << 10 }
}

/// Threads of this process.
pub fn threads() -> u64 {
    status("Threads")
}

/// Open file descriptors of this process.
pub fn descriptors() -> usize {
    // The listing itself has one open.
    fs::read_dir("/proc/self/fd").expect("the system is Linux").count() - 1
}

/// Memory mappings of this process.
pub fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").expect("the system is Linux").lines().count()
}

/// The number of a processor that this process may use.
pub fn processor() -> String {
    processors().swap_remove(0)
}

/// The numbers of all processors that this process may use.
pub fn processors() -> Vec<String> {
    let allowed = status_text("Cpus_allowed_list");
    let ranges = allowed.split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    let number = |text: &str| text.parse::<usize>().expect("it is a number");
    ranges.flat_map(|(first, last)| number(first)..=number(last)).map(|number| number.to_string()).collect()
}

/// The processor time of each thread, by the start of its name; to the nanosecond.
pub fn processor_times() -> Vec<(String, Duration)> {
    let threads = fs::read_dir("/proc/self/task").expect("the system is Linux").flatten();
    // A thread may end meanwhile.
    let of = |thread: fs::DirEntry| {
        let name = fs::read_to_string(thread.path().join("comm")).ok()?;
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanos = times.split(' ').next()?.parse().ok()?;
        Some((name.trim_end().to_owned(), Duration::from_nanos(nanos)))
    };
    threads.filter_map(of).collect()
}

fn status(field: &str) -> u64 {
    status_text(field).trim_end_matches(" kB").parse().expect("it is a number")
}

fn status_text(field: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").expect("the system is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.expect("the field is there").trim().to_owned()
}

/// The processor time that this process takes while something is waited for: the least of three times, since a busy machine
/// disturbs measurements. In steps of ten milliseconds.
pub fn processor_time_of(wait: impl Fn()) -> Duration {
    let measure = |_| {
        let before = processor_time();
        wait();
        processor_time() - before
    };
    (0..3).map(measure).min().expect("three times")
}

/// The processor time of all threads, ended ones included.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("the system is Linux");
    // The second field is the program's name, which may hold spaces; user and system time are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("not empty").split(' ').collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().expect("it is a number");
    Duration::from_millis(10 * (ticks(14) + ticks(15)))
}
