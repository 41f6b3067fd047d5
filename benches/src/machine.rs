//! The machine that measured: without it, numbers say nothing.

use std::fs;
use std::process::Command;

use crate::contender::Foreign;

/// With more runnable threads than this, averaged over a minute, other programs are at work.
const QUIET_LOAD_MAX: f64 = 0.3;

/// The rivals whose versions are listed, as in the lock file.
const PACKAGES: [&str; 5] = ["rayon", "tokio", "chili", "dagx", "dagrs"];
const LOCK_FILE: &str = include_str!("../Cargo.lock");

/// As a list in Markdown.
pub(crate) fn describe(n_rounds: usize) -> String {
    let versions: Vec<String> = PACKAGES.iter().filter_map(|name| Some(format!("{name} {}", locked(name)?))).collect();
    let lines = [
        ("processor", processor()),
        ("system", system()),
        ("load before", load().map(|load| format!("{load:.2}"))),
        ("Rust", Some(env!("BUILT_WITH").to_owned())),
        ("C++", first_line("c++", &["--version"])),
        ("rivals", Some(versions.join(", "))),
        ("left out", left_out()),
        ("commit", commit()),
        ("rounds", Some(n_rounds.to_string())),
    ];
    lines.into_iter().filter_map(|(what, is)| Some(format!("* {what}: {}\n", is?))).collect()
}

/// Warns on standard error if other programs are at work.
pub(crate) fn warn_if_busy() {
    if let Some(load) = load().filter(|&load| load > QUIET_LOAD_MAX) {
        eprintln!("warning: others are at work (load {load:.2}), so the numbers will be wrong");
    }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn processor() -> Option<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = |name| cpus.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    let cores = std::thread::available_parallelism().ok()?;
    let is_virtual = value("flags").is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    let kind = if is_virtual { "virtual cores" } else { "cores" };
    Some(format!("{}, {cores} {kind}", value("model name")?.trim()))
}

fn system() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim_matches('"').to_owned();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("{name}, Linux {}", kernel.trim()))
}

/// A table says nothing about a rival that is left out.
fn left_out() -> Option<String> {
    let names = Foreign::left_out();
    (!names.is_empty()).then(|| names.join(", "))
}

fn commit() -> Option<String> {
    let manifest_dir = env!("CARGO_MANIFEST_DIR");
    let commit = first_line("git", &["-C", manifest_dir, "log", "-1", "--format=%h of %cs"])?;
    let changes = Command::new("git").args(["-C", manifest_dir, "status", "--porcelain", "..", ":!."]).output().ok()?;
    Some(if changes.stdout.is_empty() { commit } else { commit + ", with changes" })
}

fn locked(name: &str) -> Option<&'static str> {
    let heading = format!("name = \"{name}\"\nversion = \"");
    LOCK_FILE.split_once(&heading)?.1.split('"').next()
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}
