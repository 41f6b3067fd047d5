//! The example programs compute what they claim, compared with published numbers, other programs, and plain code.

use taskgraph::{DC, Runtime};

fn run<T: Send + 'static>(computation: DC<T>) -> T {
    let runtime = Runtime::builder().max_workers(3).no_control().build().expect("three workers are few");
    runtime.run(computation).unwrap_or_else(|error| panic!("{error:#}"))
}

mod uts {
    use taskgraph_examples::uts::{self, T1, T1_COUNTS, Tree};

    use super::run;

    /// Nodes of the trees `-t 1 -a 3 -b 4 -r 19` with `-d` from 1, according to the UTS programs in X10, Java and Scala.
    const NODES_BY_DEPTH: [u64; 8] = [6, 65, 254, 944, 3_987, 16_000, 63_914, 257_042];

    #[test]
    fn small_trees_have_as_many_nodes_as_others_found() {
        for (depth_max, nodes) in (1..).zip(NODES_BY_DEPTH) {
            let counts = run(uts::count(Tree { depth_max, ..T1 }));
            assert_eq!((counts.nodes, counts.depth), (nodes, depth_max));
        }
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "takes long without optimisation: cargo test --release")]
    fn t1_has_as_many_nodes_as_published() {
        assert_eq!(run(uts::count(T1)), T1_COUNTS);
    }
}

mod mandelbrot {
    use taskgraph_examples::mandelbrot::{self, View};

    use super::run;

    #[test]
    fn a_picture_in_tiles_is_the_picture_pixel_by_pixel() {
        // The valley of the seahorses: partly cheap, partly in the set. The sides halve into odd and empty ones.
        for (width, height) in [(93, 51), (1, 1), (1, 77), (130, 1), (3, 2)] {
            let view = View { center: (-0.7463, 0.1102), extent: 0.005, width, height };
            let picture = run(mandelbrot::picture(view));
            let direct: Vec<_> = (0..height).flat_map(|y| (0..width).map(move |x| view.pixel(x, y))).collect();
            assert_eq!(picture.pixels.len(), direct.len());
            assert!(picture.pixels == direct, "{width}x{height}: the pictures differ");
            assert!(picture.n_pieces > 1 || direct.len() < 100, "{width}x{height} was painted in one piece");
        }
    }
}

mod fetch {
    use std::time::{Duration, Instant};

    use taskgraph_examples::fetch::{self, Server};

    use super::run;

    #[test]
    fn far_more_requests_than_workers_wait_at_once_up_to_the_limit() {
        let server = Server::start(Duration::from_millis(20)).expect("a port is free");
        let start = Instant::now();
        let lengths = run(fetch::fetch_all(server.addr(), 1_000));
        let expected: Vec<_> = (0..1_000).map(|page| format!("page {page}").len()).collect();
        assert_eq!(lengths, expected);
        // Many more at once than there are workers, and much less than the 20 s that they take one after the other.
        assert!(server.requests_max() <= 64, "{} at once", server.requests_max());
        assert!(32 < server.requests_max(), "{} at once", server.requests_max());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    #[test]
    fn what_the_server_does_not_have_is_an_error_that_says_so() {
        let server = Server::start(Duration::ZERO).expect("a port is free");
        let missing = run(fetch::fetch(server.addr(), "/nothing").attempt()).expect_err("there is no such page");
        assert!(missing.to_string().ends_with("/nothing: the server says HTTP/1.1 404 Not Found"), "{missing}");
    }
}

mod rescale {
    use std::time::{Duration, Instant};

    use taskgraph::Runtime;
    use taskgraph_examples::rescale;

    #[test]
    fn a_run_without_end_ends_when_its_time_is_over_and_loses_no_task() {
        // One worker counts each task before it takes the next step.
        let runtime = Runtime::builder().max_workers(1).count_tasks().no_control().build().unwrap();
        let yielded = runtime.run(rescale::tasks(Instant::now() + Duration::from_millis(100))).unwrap();
        assert!(!yielded.is_empty());
        let progress = runtime.progress();
        let done = progress.functions().iter().map(|function| (function.name(), function.done()));
        assert_eq!(Vec::from_iter(done), [("task", yielded.len() as u64), ("tasks", 1)]);
    }
}

#[cfg(unix)]
mod codestats {
    use std::ffi::OsStr;
    use std::fs::{self, Permissions};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use taskgraph_examples::codestats::{self, Counts, Report};

    use super::run;

    /// An empty directory, which is removed at the end of the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("it lies in the directory")).unwrap();
            fs::write(path, text).unwrap();
        }

        fn survey(&self) -> Report {
            run(codestats::survey(vec![self.0.clone()]))
        }

        /// The counts of `find` and `wc`, which do not count blank lines.
        ///
        /// In the C locale, since otherwise the user's locale decides what a word is.
        fn counted_by_find_and_wc(&self) -> Counts {
            let find = |action: &str| {
                let script = format!(r#"find "$1" -type f {action}"#);
                let command = Command::new("sh").args(["-c", &script, "sh"]).arg(&self.0).env("LC_ALL", "C").output();
                let printed = command.expect("every unix has `sh`, `find` and `wc`").stdout;
                let printed = String::from_utf8(printed).expect("numbers are ASCII");
                printed.split_whitespace().map(|number| number.parse().unwrap()).collect::<Vec<u64>>()
            };
            let [files] = find("-exec printf x ';' | wc -c")[..] else { panic!("`wc -c` prints one number") };
            let [lines, bytes] = find("-exec cat {} + | wc -l -c")[..] else { panic!("`wc -l -c` prints two numbers") };
            // One by one: after a file that does not end with a line feed `cat` would go on with the same word.
            let words = find(r#"-exec sh -c 'for file; do wc -w < "$file"; done' sh {} +"#).iter().sum();
            Counts { files, lines, blank: 0, words, bytes }
        }

        #[track_caller]
        fn check(&self) -> Report {
            let report = self.survey();
            assert_eq!(Counts { blank: 0, ..report.total() }, self.counted_by_find_and_wc());
            report
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_totals_are_those_of_find_and_wc() {
        let directory = Directory::new("codestats-totals");
        directory.write("empty.rs", "");
        directory.write("main.rs", "fn main() {\n\n    println!();\n}\n");
        directory.write("no final line feed.py", "one\ntwo three");
        directory.write("dos.txt", "one\r\n\r\n two\tthree \r\n");
        directory.write("spaces only", " \t\x0b\x0c\n \n");
        directory.write("binary.bin", b"PNG\x89\x00\x01 a\xff\n\xfeb c\x00");
        directory.write("latin1.c", b"/* caf\xe9 cr\xe8me */\n");
        directory.write("-rf", "a dash\n");
        directory.write("a\nline feed.md", "# head\n");
        directory.write("\u{1f980} \u{fc}.json", "{}\n");
        directory.write(".hidden/*?'\"\\$HOME.sh", "#!/bin/sh\n");
        directory.write("long", "word ".repeat(50_000));
        directory.write("one line", "x".repeat(200_000));
        if cfg!(target_os = "linux") {
            directory.write(OsStr::from_bytes(b"not utf-8 \xff.rs"), "fn f() {}\n");
        }
        directory.write(["deep"; 150].join("/") + "/file.rs", "// deep\n");
        for i in 0..700 {
            directory.write(format!("wide/{i}.toml"), format!("i = {i}\n"));
        }
        fs::create_dir(directory.0.join("empty")).unwrap();

        let report = directory.check();
        assert_eq!(report.languages["TOML"], Counts { files: 700, lines: 700, blank: 0, words: 2100, bytes: 5490 });
        assert_eq!(report.languages["Text"], Counts { files: 1, lines: 3, blank: 1, words: 3, bytes: 20 });
        assert_eq!(report.not_utf8, ["binary.bin", "latin1.c"].map(|name| directory.0.join(name)));
        assert!(report.unreadable.is_empty());
    }

    #[test]
    fn what_is_no_file_is_skipped_and_said() {
        let directory = Directory::new("codestats-skipped");
        directory.write("file.rs", "fn f() {}\n");
        symlink("file.rs", directory.0.join("link.rs")).unwrap();
        symlink(".", directory.0.join("loop")).unwrap();
        symlink("nowhere", directory.0.join("dangling")).unwrap();
        let pipe = Command::new("mkfifo").arg(directory.0.join("pipe")).stdin(Stdio::null()).status();
        assert!(pipe.is_ok_and(|status| status.success()), "every unix has `mkfifo`");
        // The path of a socket must be short, and this one may not be.
        let socket = std::env::temp_dir().join(format!("codestats-{}", std::process::id()));
        let _listener = UnixListener::bind(&socket).unwrap();
        fs::rename(&socket, directory.0.join("socket")).or_else(|_| fs::remove_file(&socket)).unwrap();
        let special = if directory.0.join("socket").exists() { 2 } else { 1 };

        let report = directory.check();
        assert_eq!((report.total().files, report.links, report.special), (1, 3, special));
    }

    #[test]
    fn what_cannot_be_read_is_listed_and_the_rest_is_counted() {
        let directory = Directory::new("codestats-unreadable");
        directory.write("file.rs", "fn f() {}\n");
        let missing = directory.0.join("missing");
        let report = run(codestats::survey(vec![directory.0.clone(), missing.clone()]));
        assert_eq!(report.total().files, 1);
        assert_eq!(report.unreadable.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&missing]);

        directory.write("locked/file.rs", "fn f() {}\n");
        directory.write("secret.rs", "fn f() {}\n");
        let (locked, secret) = (directory.0.join("locked"), directory.0.join("secret.rs"));
        for path in [&locked, &secret] {
            fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
        }
        // Root reads everything.
        if fs::read(&secret).is_err() {
            let report = directory.survey();
            assert_eq!(report.total().files, 1);
            assert_eq!(report.unreadable.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&locked, &secret]);
        }
        fs::set_permissions(&locked, Permissions::from_mode(0o700)).unwrap();
    }
}
