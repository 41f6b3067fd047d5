//! Counts files, lines, blank lines, words and bytes in directory trees, by language.
//!
//! A directory is a generator: it yields a computation for each file and directory in it, which starts at once. So the
//! graph grows as the tree is discovered, and nobody lists the whole tree first.
//!
//! Directories yield [`Report`]s, which are collected into a `Report` again: a generator can use any collection, and
//! this one adds up what it gets. A file or directory that cannot be read fails its task, with `?`; whoever yields that
//! makes an [`attempt`](DC::attempt) and reports the failure, so that it ends nothing else.
//!
//! Bytes, lines and words are those of `find -type f -exec wc -l -w -c {} +`: a line ends with a line feed, and a word
//! is what stands between ASCII white space (GNU `wc` leaves out words without a printable character). Symbolic links
//! are not followed, so there are no loops; pipes, sockets and devices are not opened, so nothing blocks.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::str;

use taskgraph::{DC, delayed};

/// How much of a file is in memory at a time.
const BUFFER_LEN: usize = 64 * 1024;
/// The language of a file whose name does not tell it.
const OTHER: &str = "other";

/// What was found below some paths.
#[derive(Debug, Default)]
pub struct Report {
    /// The files of each language.
    pub languages: BTreeMap<&'static str, Counts>,
    /// Files that are not UTF-8 throughout. They are counted like the others.
    pub not_utf8: Vec<PathBuf>,
    /// Files and directories that could not be read, and why. They are not counted.
    pub unreadable: Vec<(PathBuf, taskgraph::Error)>,
    /// Symbolic links that were not followed.
    pub links: u64,
    /// Pipes, sockets and devices that were not opened.
    pub special: u64,
}

/// Sums over files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many files.
    pub files: u64,
    /// Line feeds.
    pub lines: u64,
    /// Lines with nothing but white space.
    pub blank: u64,
    /// Runs of bytes other than white space.
    pub words: u64,
    /// Bytes.
    pub bytes: u64,
}

/// All that is found at and below some paths.
#[delayed]
pub fn survey(paths: Vec<PathBuf>) -> Report {
    for path in paths {
        yield_!(visit(path));
    }
}

/// Reports what is at a path; if it cannot be read, the report says so.
fn visit(path: PathBuf) -> DC<Report> {
    let found = entry(path.clone());
    found.attempt().map(|found| found.unwrap_or_else(|error| Report::unreadable(path, error)))
}

/// Is replaced by the computation that fits what is at the path.
#[delayed]
fn entry(path: PathBuf) -> io::Result<DC<Report>> {
    let kind = fs::symlink_metadata(&path)?.file_type();
    Ok(if kind.is_dir() {
        directory(path)
    } else if kind.is_file() {
        file(path)
    } else if kind.is_symlink() {
        DC::value(Report { links: 1, ..Report::default() })
    } else {
        DC::value(Report { special: 1, ..Report::default() })
    })
}

#[delayed]
fn directory(path: PathBuf) -> io::Result<Report> {
    // Listed before the first is yielded: a body can be suspended at each `yield_!`, and a file descriptor for each
    // directory on the way would be too many.
    let mut paths = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        yield_!(visit(path));
    }
    Ok(())
}

#[delayed]
fn file(path: PathBuf) -> io::Result<Report> {
    let (counts, is_utf8) = read(File::open(&path)?)?;
    let languages = BTreeMap::from([(language(&path), counts)]);
    let not_utf8 = if is_utf8 { vec![] } else { vec![path] };
    Ok(Report { languages, not_utf8, ..Report::default() })
}

/// Counts one file, and says whether it is UTF-8.
fn read(mut file: impl Read) -> io::Result<(Counts, bool)> {
    let mut text = Text::default();
    let mut is_utf8 = true;
    let mut buffer = vec![0; BUFFER_LEN];
    // The buffer begins with the part of a character that the end of the last piece cut off.
    let mut cut = 0;
    loop {
        let len = match file.read(&mut buffer[cut..]) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if len == 0 {
            return Ok((text.counts(), is_utf8 && cut == 0));
        }
        text.add(&buffer[cut..cut + len]);
        let filled = cut + len;
        cut = match str::from_utf8(&buffer[..filled]) {
            Err(error) if error.error_len().is_none() => filled - error.valid_up_to(),
            checked => {
                is_utf8 &= checked.is_ok();
                0
            }
        };
        buffer.copy_within(filled - cut..filled, 0);
    }
}

/// The counts of a file so far, and where in a line and a word it stands.
#[derive(Default)]
struct Text {
    counts: Counts,
    in_word: bool,
    /// Whether there is a word in this line.
    in_text: bool,
}

impl Text {
    fn add(&mut self, piece: &[u8]) {
        self.counts.bytes += piece.len() as u64;
        for &byte in piece {
            // As `isspace` has it in C. `u8::is_ascii_whitespace` leaves out the vertical tab.
            let is_space = matches!(byte, b' ' | b'\t'..=b'\r');
            self.counts.words += u64::from(!is_space && !self.in_word);
            self.in_word = !is_space;
            self.in_text |= !is_space;
            if byte == b'\n' {
                self.counts.lines += 1;
                self.counts.blank += u64::from(!self.in_text);
                self.in_text = false;
            }
        }
    }

    fn counts(self) -> Counts {
        Counts { files: 1, ..self.counts }
    }
}

impl Counts {
    /// Adds the counts of other files.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.blank += other.blank;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

impl Report {
    /// The counts of all languages together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for &counts in self.languages.values() {
            total.add(counts);
        }
        total
    }

    fn unreadable(path: PathBuf, error: taskgraph::Error) -> Self {
        Self { unreadable: vec![(path, error)], ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        for (language, counts) in other.languages {
            self.languages.entry(language).or_default().add(counts);
        }
        self.not_utf8.extend(other.not_utf8);
        self.unreadable.extend(other.unreadable);
        self.links += other.links;
        self.special += other.special;
    }
}

/// Reports are collected into one that adds them up.
impl FromIterator<Self> for Report {
    fn from_iter<I: IntoIterator<Item = Self>>(reports: I) -> Self {
        let mut sum = Self::default();
        for report in reports {
            sum.add(report);
        }
        sum
    }
}

/// Tells a generator that the items of a report are reports.
impl IntoIterator for Report {
    type Item = Self;
    type IntoIter = iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        iter::once(self)
    }
}

/// The language of a file, by its whole name or by what follows the last dot in it.
fn language(path: &Path) -> &'static str {
    let lower = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let (name, ending) = (lower(path.file_name()), lower(path.extension()));
    let by_name = NAMES.iter().find(|(known, _)| *known == name).map(|(_, language)| *language);
    let by_ending = || LANGUAGES.iter().find(|(_, known)| known.contains(&&*ending)).map(|(language, _)| *language);
    by_name.or_else(by_ending).unwrap_or(OTHER)
}

/// Files that are known by their whole name, in lower case.
const NAMES: &[(&str, &str)] = &[
    ("cargo.lock", "TOML"),
    ("cmakelists.txt", "CMake"),
    ("containerfile", "Dockerfile"),
    ("dockerfile", "Dockerfile"),
    ("gemfile", "Ruby"),
    ("gnumakefile", "Make"),
    ("makefile", "Make"),
    ("rakefile", "Ruby"),
];

/// Each language with the endings of its files, in lower case.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("Assembly", &["asm", "s"]),
    ("C", &["c"]),
    ("C header", &["h"]),
    ("C#", &["cs"]),
    ("C++", &["cc", "cpp", "cxx", "hh", "hpp", "hxx", "inl"]),
    ("CMake", &["cmake"]),
    ("CSS", &["css", "less", "sass", "scss"]),
    ("CSV", &["csv", "tsv"]),
    ("Clojure", &["clj", "cljc", "cljs", "edn"]),
    ("Dart", &["dart"]),
    ("Dockerfile", &["dockerfile"]),
    ("Elixir", &["ex", "exs"]),
    ("Erlang", &["erl", "hrl"]),
    ("F#", &["fs", "fsi", "fsx"]),
    ("Fortran", &["f", "f03", "f08", "f90", "f95", "for"]),
    ("Go", &["go"]),
    ("HTML", &["htm", "html", "xhtml"]),
    ("Haskell", &["hs", "lhs"]),
    ("JSON", &["json", "jsonl"]),
    ("Java", &["java"]),
    ("JavaScript", &["cjs", "js", "jsx", "mjs"]),
    ("Julia", &["jl"]),
    ("Kotlin", &["kt", "kts"]),
    ("Lisp", &["cl", "el", "lisp", "rkt", "scm"]),
    ("Lua", &["lua"]),
    ("Make", &["mk"]),
    ("Markdown", &["markdown", "md"]),
    ("Nix", &["nix"]),
    ("OCaml", &["ml", "mli"]),
    ("PHP", &["php"]),
    ("Perl", &["pl", "pm"]),
    ("Protocol Buffers", &["proto"]),
    ("Python", &["py", "pyi"]),
    ("R", &["r"]),
    ("Ruby", &["rb"]),
    ("Rust", &["rs"]),
    ("SQL", &["sql"]),
    ("Scala", &["sbt", "scala"]),
    ("Shell", &["bash", "fish", "sh", "zsh"]),
    ("Swift", &["swift"]),
    ("TOML", &["toml"]),
    ("TeX", &["bib", "sty", "tex"]),
    ("Text", &["rst", "txt"]),
    ("TypeScript", &["cts", "mts", "ts", "tsx"]),
    ("XML", &["svg", "xml", "xsd", "xsl"]),
    ("YAML", &["yaml", "yml"]),
    ("Zig", &["zig"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its content in pieces of one length, as a pipe may.
    struct Pieces<'a>(std::slice::Chunks<'a, u8>);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.0.next().unwrap_or_default();
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    /// `expected` are lines, blank lines and words.
    #[track_caller]
    fn check(text: &[u8], expected: (u64, u64, u64), expected_utf8: bool) {
        for len in 1..=text.len().max(1) {
            let (counts, is_utf8) = read(Pieces(text.chunks(len))).unwrap();
            assert_eq!((counts.lines, counts.blank, counts.words), expected, "in pieces of {len}");
            assert_eq!((counts.files, counts.bytes), (1, text.len() as u64));
            assert_eq!(is_utf8, expected_utf8, "in pieces of {len}");
        }
    }

    #[test]
    fn a_file_counts_the_same_in_pieces_of_any_length() {
        check(b"", (0, 0, 0), true);
        check(b"\n \t\x0b\x0c\r\n", (2, 2, 0), true);
        check(b"one two\r\n\r\nthree", (2, 1, 3), true);
        check(b" a\x0bb\x0cc\x1cd\n", (1, 0, 3), true);
        check("\u{a0} é € 😀\n".as_bytes(), (1, 0, 4), true);
        check(b"caf\xe9\n", (1, 0, 1), false);
        check(b"a cut character: \xf0\x9f\x98", (0, 0, 4), false);
        check(b"\xf0\x9f\x98\n\xf0\x9f\x98\x80", (1, 0, 2), false);
    }

    #[test]
    fn a_name_says_the_language() {
        for (path, expected) in [
            ("src/lib.rs", "Rust"),
            ("LIB.RS", "Rust"),
            ("a.tar.gz", OTHER),
            ("a/Makefile", "Make"),
            ("CMakeLists.txt", "CMake"),
            ("notes.txt", "Text"),
            (".bash", OTHER),
            ("rs", OTHER),
            ("..", OTHER),
        ] {
            assert_eq!(language(Path::new(path)), expected, "{path}");
        }
    }
}
