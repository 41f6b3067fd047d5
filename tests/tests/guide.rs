//! The guide in `docs/` is complete, all of its code is run, and links in it and in the other pages lead somewhere.
//!
//! The doctests of the library check that its code works; here it is checked that they have all of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Blocks that are compiled, and so need no reason.
const RUN: [&str; 2] = ["rust", "rust,compile_fail"];
/// Blocks that are not our programs in the first place.
const NO_PROGRAM: [&str; 2] = ["console", "toml"];
/// Other blocks, and why they are not run: the line above says `<!-- not run: REASON -->`.
const NOT_RUN: [(&str, &str); 2] = [("text", "a picture"), ("text", "what a program prints")];
/// A page of the book that shows a file from elsewhere contains this, with the path.
const INCLUDE: &str = "{{#include ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the Markdown files in a folder.
fn pages(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".md")).collect()
}

/// The pages of the guide with their texts, in no particular order.
fn guide() -> Vec<(String, String)> {
    let folder = root().join("docs/src");
    let pages: Vec<_> = pages(&folder).into_iter().map(|name| (name.clone(), read(folder.join(name)))).collect();
    assert!(10 < pages.len(), "the guide is somewhere else");
    pages
}

#[track_caller]
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// A block of code: the words behind its fence, the line above it, and its lines.
struct Block<'a> {
    words: &'a str,
    above: &'a str,
    code: Vec<&'a str>,
}

/// The code blocks, and the text without them.
fn blocks(text: &str) -> (Vec<Block<'_>>, String) {
    let (mut blocks, mut prose, mut above) = (Vec::new(), String::new(), "");
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(words) = line.trim_start().strip_prefix("```") {
            let code = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            blocks.push(Block { words, above, code });
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
        above = line;
    }
    (blocks, prose)
}

/// The targets of the links of a text without code blocks.
fn links(prose: &str) -> Vec<String> {
    // Every other piece is inline code, which may look like a link.
    let prose: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let starts = prose.match_indices("](").map(|(at, found)| at + found.len());
    starts.map(|start| prose[start..].split(')').next().unwrap().to_owned()).collect()
}

/// The anchors of the headings of a page, in a book and on a forge.
fn anchors(text: &str) -> BTreeSet<String> {
    let (_, prose) = blocks(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// What a page shows: itself, or the file that it includes.
fn shown(path: &Path) -> String {
    let text = read(path);
    match included(&text) {
        Some(other) => read(path.parent().unwrap().join(other)),
        None => text,
    }
}

fn included(text: &str) -> Option<&str> {
    text.split_once(INCLUDE).map(|(_, path)| path.split("}}").next().unwrap())
}

/// Why a link in the file at `from` leads nowhere, if it does.
fn complaint(from: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { from.to_owned() } else { from.parent().unwrap().join(path) };
    if !target.exists() {
        return Some(format!("{}: nothing is at `{link}`", from.display()));
    }
    let is_there = anchor.is_empty() || anchors(&shown(&target)).contains(anchor);
    (!is_there).then(|| format!("{}: no heading is at `{link}`", from.display()))
}

/// What is wrong with a block, if anything is.
fn fault(block: &Block<'_>) -> Option<String> {
    let reason = block.above.strip_prefix("<!-- not run: ").and_then(|above| above.strip_suffix(" -->"));
    let is_not_run = reason.is_some_and(|reason| NOT_RUN.contains(&(block.words, reason)));
    if !RUN.contains(&block.words) && !NO_PROGRAM.contains(&block.words) && !is_not_run {
        return Some(format!("`{}` is not run, and the line above gives no reason of {NOT_RUN:?}", block.words));
    }
    let says_why = block.code.iter().any(|line| line.contains("// error: "));
    let is_silent = block.words.contains("compile_fail") && !says_why;
    is_silent.then(|| "what does not compile says why, behind `// error: `".to_owned())
}

#[test]
fn the_summary_has_every_page_once() {
    let (_, prose) = blocks(&read(root().join("docs/src/SUMMARY.md")));
    let listed = links(&prose);
    let mut expected = pages(&root().join("docs/src"));
    assert!(expected.remove("SUMMARY.md"));
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len(), "a page is there twice: {listed:?}");
}

#[test]
fn every_chapter_is_among_the_doctests() {
    let tests = read(root().join("taskgraph/src/guide.rs"));
    assert!(read(root().join("taskgraph/src/lib.rs")).contains("#[cfg(doctest)]\nmod guide;"), "nobody reads it");
    let mut complaints = Vec::new();
    for (name, text) in guide() {
        let line = format!("#[doc = include_str!(\"../../docs/src/{name}\")]\n");
        let has_code = included(&text).is_none() && name != "SUMMARY.md";
        if tests.matches(&line).count() != usize::from(has_code) {
            complaints.push(format!("{name}: taskgraph/src/guide.rs has a chapter once, and nothing else"));
        }
    }
    assert_none(complaints);
}

#[test]
fn all_code_is_run_or_says_why_not() {
    let mut complaints = Vec::new();
    let mut run = 0;
    for (name, text) in guide() {
        let (blocks, _) = blocks(&text);
        run += blocks.iter().filter(|block| RUN.contains(&block.words)).count();
        complaints.extend(blocks.iter().filter_map(fault).map(|fault| format!("{name}: {fault}")));
    }
    assert!(50 < run, "the reader finds what is there");
    assert_none(complaints);
}

#[test]
fn every_link_leads_somewhere() {
    let (mut complaints, mut seen) = (Vec::new(), 0);
    for folder in [root(), root().join("docs/src"), root().join("benches")] {
        for name in pages(&folder) {
            let path = folder.join(name);
            // A file that the book includes is read as its page there.
            let text = shown(&path);
            let (_, prose) = blocks(&text);
            let links = links(&prose);
            seen += links.len();
            complaints.extend(links.iter().filter_map(|link| complaint(&path, link)));
        }
    }
    assert!(50 < seen, "the reader finds what is there");
    assert_none(complaints);
}

#[test]
fn the_reader_reads() {
    let text =
        "# A `b`, c!\n[x](y.md) `[no](no)` ![p\nq](r.png#s)\n<!-- not run: a picture -->\n```text\n[no](no)\n```\n";
    let (found, prose) = blocks(text);
    assert_eq!(links(&prose), ["y.md", "r.png#s"]);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c".to_owned()]));
    assert!(fault(&found[0]).is_none());
    for wrong in ["```rust,ignore\n```", "```\n```", "```text\n```", "```rust,no_run\n```", "```rust,compile_fail\n```"]
    {
        assert!(fault(&blocks(wrong).0[0]).is_some(), "{wrong}");
    }
    let readme = root().join("README.md");
    assert!(complaint(&readme, "LICENSE-MIT").is_none() && complaint(&readme, "https://docs.rs").is_none());
    assert!(complaint(&readme, "no-such-file").is_some() && complaint(&readme, "DESIGN.md#no-such-heading").is_some());
}
