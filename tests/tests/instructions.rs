//! The cost of a node in instructions, compared with the records in `instructions.txt`: a slower node fails the build,
//! and no build depends on how busy its machine is.
//!
//! valgrind counts, while `src/bin/nodes.rs` does a work in two sizes. The difference of the counts, divided by the
//! difference of the nodes, leaves out the start and the end of the process. Only the program's own instructions count:
//! glibc has different ones for other processors, and in other versions. So of an allocation only the call is counted.
//!
//! After a change that is worth its cost, or an improvement:
//! `INSTRUCTIONS=overwrite cargo test --release -p taskgraph-tests --test instructions -- --nocapture`.

// A checker adds instructions of its own.
#![cfg(not(taskgraph_system_alloc))]

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::process::Command;
use std::{env, fs};

use taskgraph_tests::{needs, process};

struct Work {
    name: &'static str,
    sizes: [u64; 2],
    /// How many nodes a size has.
    nodes: fn(u64) -> u64,
    /// By how many percent the count may differ from the record.
    tolerance: RangeInclusive<f64>,
}

/// The same program repeats its counts within half a percent. A higher count is a change of the program, and a much
/// lower one is worth recording: otherwise it would hide the next loss.
const REPEATS: RangeInclusive<f64> = -5.0..=3.0;
/// Threads that call each other and look around for work do so more or less often, as the system lets them, and turns go by
/// the clock, which has fifty times fewer steps in a turn under valgrind. Measured: 5 % up or down in `start` and `stream`,
/// with and without other programs on the same processor, 2 % in `rescale`; between turns of 1 and of 100 ms 12 % in `wave`, and
/// 6 % in `fan-generator`.
const VARIES: RangeInclusive<f64> = -15.0..=15.0;

const WORKS: [Work; 13] = [
    Work { name: "fib", sizes: [15, 22], nodes: calls_of_fib, tolerance: REPEATS },
    Work { name: "fib-counted", sizes: [15, 22], nodes: calls_of_fib, tolerance: REPEATS },
    Work { name: "fan-list", sizes: [20_000, 120_000], nodes: |n| n, tolerance: REPEATS },
    Work { name: "fan-each", sizes: [20_000, 120_000], nodes: |n| n, tolerance: REPEATS },
    Work { name: "fan-generator", sizes: [20_000, 120_000], nodes: |n| n, tolerance: VARIES },
    Work { name: "chain", sizes: [20_000, 120_000], nodes: |n| n, tolerance: REPEATS },
    Work { name: "grow", sizes: [20_000, 120_000], nodes: |n| n, tolerance: REPEATS },
    Work { name: "wave", sizes: [100, 300], nodes: |side| side * side, tolerance: VARIES },
    Work { name: "async", sizes: [20_000, 120_000], nodes: |n| n, tolerance: REPEATS },
    Work { name: "await", sizes: [20_000, 120_000], nodes: |n| n, tolerance: REPEATS },
    Work { name: "stream", sizes: [20_000, 120_000], nodes: |n| n, tolerance: VARIES },
    Work { name: "start", sizes: [200, 2_200], nodes: |runs| runs, tolerance: VARIES },
    Work { name: "rescale", sizes: [20, 220], nodes: |times| times, tolerance: VARIES },
];

fn calls_of_fib(n: u64) -> u64 {
    if n < 2 { 1 } else { 1 + calls_of_fib(n - 1) + calls_of_fib(n - 2) }
}

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const ANEW: &str = "INSTRUCTIONS=overwrite cargo test --release -p taskgraph-tests --test instructions -- --nocapture";

#[test]
#[cfg_attr(
    any(debug_assertions, not(target_arch = "x86_64")),
    ignore = "counts are those of optimised code on x86_64: cargo test --release"
)]
fn a_node_costs_no_more_instructions_than_recorded() {
    if !needs::is_installed("valgrind") || !needs::is_installed("taskset") || !needs::is_recorded_compiler() {
        return;
    }
    let counts = WORKS.each_ref().map(instructions_per_node);
    let complaints = compare(&counts);
    if env::var_os("INSTRUCTIONS").is_some_and(|value| value == "overwrite") {
        return record(&counts);
    }
    assert!(complaints.is_empty(), "\n{complaints}To record anew: {ANEW}");
}

fn instructions_per_node(work: &Work) -> f64 {
    let [few, many] = work.sizes.map(|size| instructions(work.name, size));
    let [few_nodes, many_nodes] = work.sizes.map(work.nodes);
    (many as f64 - few as f64) / (many_nodes - few_nodes) as f64
}

/// Instructions of the program itself, in all its threads.
fn instructions(work: &str, size: u64) -> u64 {
    let profile = format!("{}/{work}-{size}.callgrind", env!("CARGO_TARGET_TMPDIR"));
    // valgrind's threads take turns. On several processors, the order would depend more on chance.
    let mut command = Command::new("taskset");
    command.args(["-c", &process::processor(), "valgrind", "--tool=callgrind"]);
    command.args(["--compress-strings=no", "--compress-pos=no", &format!("--callgrind-out-file={profile}")]);
    let output = command.args([env!("CARGO_BIN_EXE_nodes"), work, &size.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    own_instructions(&fs::read_to_string(profile).unwrap())
}

/// The sum of the cost lines of a profile that are below the program's `ob=` line:
///
/// ```text
/// ob=/target/release/nodes
/// fn=nodes::main
/// 14 3
/// calls=1 20
/// 15 120          what the function above cost that was called: it has its own lines elsewhere
/// ```
fn own_instructions(profile: &str) -> u64 {
    let (mut sum, mut is_own) = (0, false);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = object.ends_with("/nodes");
        } else if line.starts_with("calls=") {
            lines.next();
        } else if is_own && line.starts_with(|c: char| c.is_ascii_digit()) {
            let (_, cost) = line.split_once(' ').expect("a position and a cost");
            sum += cost.parse::<u64>().expect("it is a number");
        }
    }
    sum
}

/// Prints the counts beside the records; returns the complaints.
fn compare(counts: &[f64]) -> String {
    let table = fs::read_to_string(TABLE).unwrap_or_default();
    let recorded: HashMap<&str, &str> = table.lines().filter_map(|line| line.split_once(' ')).collect();
    let mut complaints = String::new();
    println!("instructions for each node\n{:<13} {:>9} {:>9}", "", "recorded", "now");
    for (Work { name, tolerance, .. }, now) in WORKS.iter().zip(counts) {
        // For a new work the record is 0, so it costs more.
        let recorded: f64 = recorded.get(name).map_or(0.0, |count| count.trim().parse().expect("it is a number"));
        let change = 100.0 * (now / recorded - 1.0);
        println!("{name:<13} {recorded:>9.2} {now:>9.2} {change:>+6.1} %");
        if !tolerance.contains(&change) {
            let what_to_do = if change < 0.0 {
                "record the improvement"
            } else {
                "find the cause, or record it and say why in the commit"
            };
            writeln!(complaints, "{name}: {change:+.1} % instructions for each node: {what_to_do}").unwrap();
        }
    }
    complaints
}

fn record(counts: &[f64]) {
    let mut table = format!("# Instructions for each node. Written by\n# {ANEW}\n");
    for (work, count) in WORKS.iter().zip(counts) {
        writeln!(table, "{:<13} {count:>9.2}", work.name).unwrap();
    }
    fs::write(TABLE, table).unwrap();
}
