//! The house: which room may know which. Reads the `use` lines, and every path that starts at the root of the crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms by floor: each knows the rooms of lower floors, those before it on its own, and itself.
const FLOORS: [&[&str]; 6] = [
    &["sync", "barrier", "unwind", "weak_list", "mailbox", "block_on", "join"],
    &["task", "progress", "error", "steering"],
    &["graph"],
    &["scheduler", "timer", "timeout", "limit", "reactor", "policy"],
    &["control"],
    &["runtime", "testing"],
];
/// On top of all: what users hold, the usual way to run, what generated code calls, and the programs of the guide.
const ROOF: [&str; 4] = ["lib", "run", "__private", "guide"];
/// The control port knows errors and what it may ask of a runtime, but not the runtime.
const CONTROL_KNOWS: [&str; 5] = ["sync", "task", "progress", "error", "steering"];
/// Tests inside the crate also know what users know.
const TESTS: [&str; 2] = ["tests.rs", "models.rs"];
/// What the crate's root has besides rooms: constants.
const OF_THE_ROOT: [&str; 2] = ["MAX_WORKERS_LIMIT", "CONTROL_PORT"];
/// A foreign crate, and the only places that name it: mostly one room.
const FOREIGN: [(&str, &[&str]); 15] = [
    ("rayon", &["scheduler/pool.rs"]),
    ("crossbeam_deque", &["scheduler/queues.rs"]),
    ("crossbeam_utils", &["mailbox.rs"]),
    ("rustix", &["barrier.rs"]),
    ("genawaiter", &["graph/generator/body.rs"]),
    ("tokio", &["control/", "timer.rs", "timeout.rs", "limit.rs", "reactor.rs", "testing.rs"]),
    ("backon", &["policy.rs"]),
    ("fastrand", &["policy.rs", "testing.rs"]),
    ("bon", &["__private.rs"]),
    ("subtle", &["control/auth.rs"]),
    ("socket2", &["control/urgent.rs"]),
    ("thiserror", &["error.rs"]),
    ("anyhow", &["error/cause.rs"]),
    ("futures_util", &["join.rs", "control/"]),
    ("futures_core", &["graph/stream.rs", "runtime/results.rs"]),
];
const LINES_MAX: usize = 500;
/// Longer files, each with the reason why it is one file.
const LONG_FILES: [(&str, &str); 0] = [];

/// A file below `taskgraph/src`, without its comments and string literals.
struct Source {
    path: String,
    code: String,
    lines: usize,
}

impl Source {
    /// The first part of the path: a room, or a file of the roof.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().expect("not empty");
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

fn sources() -> Vec<Source> {
    fn collect(dir: &Path, root: &Path, sources: &mut Vec<Source>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                collect(&path, root, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                sources.push(Source { path, code: code_of(&text), lines: text.lines().count() });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../taskgraph/src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    assert!(20 < sources.len(), "the library is somewhere else");
    sources
}

/// The text without comments and string literals; each of those becomes a space.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_text(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            rest[start..].find(&end).map_or(rest.len(), |i| start + i + end.len())
        } else if c == '"' {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|&(_, c)| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(i, _)| i + 1)
        } else {
            let quotes = ["'\"'", "'\\\"'", "b'\"'"];
            quotes.iter().find(|quote| rest.starts_with(**quote)).map_or(0, |quote| quote.len())
        };
        if 0 < skipped {
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

/// The number of `#` of a raw string literal that starts here.
fn raw_text(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The names that follow each mention of `prefix` in a path, also those in braces.
fn named_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let rest = code[at + prefix.len()..].trim_start();
        let name =
            |text: &str| text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_owned();
        if let Some(inside) = rest.strip_prefix('{') {
            let mut depth = 0;
            let end = inside.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth < 0
            });
            let (mut depth, mut part) = (0, String::new());
            for c in inside[..end.expect("braces match")].chars() {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if c == ',' && depth == 0 {
                    names.push(name(&part));
                    part.clear();
                } else {
                    part.push(c);
                }
            }
            names.push(name(&part));
        } else {
            names.push(name(rest));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn mentions(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[track_caller]
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Why a file of `room` must not name `crate::known`, if that is so.
fn complaint(room: &str, known: &str) -> Option<String> {
    if ROOF.contains(&room) || room == known || OF_THE_ROOT.contains(&known) {
        return None;
    }
    let Some(own) = floor(room) else { return Some(format!("the room `{room}` is on no floor")) };
    if room == "control" && !CONTROL_KNOWS.contains(&known) {
        return Some(format!("the control port knows {CONTROL_KNOWS:?}, not `{known}`"));
    }
    let place = |room| FLOORS.concat().iter().position(|other| *other == room);
    match floor(known) {
        Some(other) if other < own || other == own && place(known) < place(room) => None,
        Some(_) => Some(format!("`{known}` is not below `{room}`")),
        None => Some(format!("`{known}` is on no floor")),
    }
}

#[test]
fn each_room_knows_only_the_floors_below() {
    let mut complaints = Vec::new();
    for source in sources() {
        if TESTS.iter().any(|tests| source.path.ends_with(tests)) {
            continue;
        }
        for known in named_after(&source.code, "crate::") {
            complaints.extend(complaint(source.room(), &known).map(|why| format!("{}: {why}", source.path)));
        }
    }
    assert_none(complaints);
}

#[test]
fn no_room_climbs_out_of_itself_by_its_parents() {
    let mut complaints = Vec::new();
    for source in sources() {
        // Modules inside a file add one `super` for each, and those are for tests.
        let depth = source.path.matches('/').count() + usize::from(source.code.contains("mod tests"));
        let depth = if source.path.ends_with("/mod.rs") { depth - 1 } else { depth };
        let climbs = "super::".repeat(depth + 1);
        if !ROOF.contains(&source.room()) && source.code.contains(&climbs) && 0 < depth {
            complaints.push(format!("{}: `{climbs}` leads out of the room, write `crate::`", source.path));
        }
    }
    assert_none(complaints);
}

#[test]
fn every_room_has_a_floor_and_every_floor_has_its_rooms() {
    let sources = sources();
    for source in &sources {
        assert!(floor(source.room()).is_some() || ROOF.contains(&source.room()), "{} is on no floor", source.path);
    }
    for room in FLOORS.concat().iter().chain(&ROOF) {
        assert!(sources.iter().any(|source| source.room() == *room), "`{room}` is empty");
    }
}

#[test]
fn each_foreign_crate_is_named_in_one_place() {
    let mut complaints = Vec::new();
    for (foreign, places) in FOREIGN {
        let sources = sources();
        let named: Vec<_> = sources.iter().filter(|source| mentions(&source.code, foreign)).collect();
        assert!(!named.is_empty(), "`{foreign}` is named nowhere");
        let elsewhere = named.iter().filter(|source| !places.iter().any(|place| source.path.starts_with(place)));
        complaints.extend(elsewhere.map(|source| format!("{}: `{foreign}` belongs in {places:?}", source.path)));
    }
    assert_none(complaints);
}

#[test]
fn only_the_graph_has_unsafe_code() {
    let mut complaints = Vec::new();
    let mut found = 0;
    for source in sources() {
        if !mentions(&source.code, "unsafe") {
            continue;
        }
        found += 1;
        if source.room() != "graph" {
            complaints.push(format!("{}: `unsafe` belongs in the graph", source.path));
        }
    }
    assert!(0 < found, "the reader finds what is there");
    assert_none(complaints);
}

#[test]
fn files_are_short() {
    let lines: BTreeMap<_, _> = sources().into_iter().map(|source| (source.path, source.lines)).collect();
    for (path, lines) in &lines {
        let reason = LONG_FILES.iter().find(|(long, _)| long == path);
        assert!(*lines <= LINES_MAX || reason.is_some(), "{path} has {lines} lines");
    }
    for (path, reason) in LONG_FILES {
        assert!(LINES_MAX < lines[path] && !reason.is_empty(), "{path} is not that long any more");
    }
}

#[test]
fn the_reader_reads() {
    let code = code_of(
        r##"use crate::graph; // crate::runtime
        let text = "crate::control \" unsafe"; let raw = r#"crate::scheduler "x" "#; /* tokio:: */ crate::error"##,
    );
    assert_eq!(named_after(&code, "crate::"), ["graph", "error"]);
    assert_eq!(named_after("use crate::{graph::{a, b}, error, sync::atomic};", "crate::"), ["graph", "error", "sync"]);
    assert_eq!(named_after("pub(crate) use taskgraph_crate::x; $crate::y", "crate::"), [""; 0]);
    assert!(mentions("an unsafe block", "unsafe") && !mentions("unsafe_code", "unsafe"));
    assert!(complaint("graph", "scheduler").is_some() && complaint("scheduler", "graph").is_none());
    assert!(complaint("control", "graph").is_some() && complaint("control", "steering").is_none());
    assert!(complaint("error", "steering").is_some() && complaint("steering", "error").is_none());
    assert!(complaint("scheduler", "control").is_some() && complaint("run", "runtime").is_none());
}

/// The names of fields and statics of a file that several threads touch.
fn shared_words(code: &str) -> impl Iterator<Item = &str> {
    const SHARED: [&str; 6] = ["Atomic", "Mutex<", "Condvar", "OnceLock<", "Injector<", "Semaphore"];
    code.lines().filter_map(|line| {
        let mut line = line.trim();
        for prefix in ["pub(crate) ", "pub(super) ", "pub(in crate::graph) ", "pub ", "static ", "ref "] {
            line = line.strip_prefix(prefix).unwrap_or(line);
        }
        let (name, ty) = line.split_once(": ")?;
        let is_name = name.starts_with(char::is_alphabetic) && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        // Neither a constructor call nor a parameter.
        let is_type = !ty.starts_with('&') && !ty.split(" = ").next().is_some_and(|ty| ty.contains("::"));
        let is_declared = ty.ends_with(',') || ty.contains(" = ");
        (is_name && is_type && is_declared && SHARED.iter().any(|shared| ty.contains(shared))).then_some(name)
    })
}

#[test]
fn what_threads_share_is_in_the_table_of_the_design() {
    let design = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../DESIGN.md")).unwrap();
    let table = design.split("### What threads share").nth(1).expect("the chapter is there");
    let table = table.split("\n### ").next().expect("not empty");
    let mut complaints = Vec::new();
    for source in sources() {
        // The first only provides the types; the other one stands in for the runtime in tests.
        if source.path == "sync.rs" || source.path == "control/stand_in.rs" {
            continue;
        }
        let is_test = TESTS.iter().any(|tests| source.path.ends_with(tests)) || source.path.contains("/models/");
        for word in shared_words(&source.code).filter(|_| !is_test) {
            if !table.contains(&format!("`{word}`")) {
                complaints.push(format!("DESIGN.md does not explain `{word}` of {}", source.path));
            }
        }
    }
    assert_none(complaints);
    let code = "    pub(super) a: AtomicBool,\n    b: Box<[AtomicPtr<Node>]>,\n    static C: Mutex<u8> = Mutex::new(1);\n    d: &AtomicBool,\n    e: AtomicBool::new(true),";
    assert_eq!(shared_words(code).collect::<Vec<_>>(), ["a", "b", "C"]);
}
