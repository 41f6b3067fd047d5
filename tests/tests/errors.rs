//! Errors: what they know of a failure, and how they report it.

use std::fmt;
use std::io;

use taskgraph::{DC, Error, Shared, all, each};
use taskgraph_tests::tasks::{double, panicking, refuse};
use taskgraph_tests::{failing, run};

mod an_error {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn has_its_cause() {
        let broken = DC::<u32>::new(|text: &str| text.parse::<u32>(), ("x",));
        let error = run(broken.map(|x| x + 1), 1).unwrap_err();
        assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
        assert!(error.downcast_ref::<io::Error>().is_none());
        assert_eq!(error.source().unwrap().to_string(), "invalid digit found in string");
        assert!(!error.is_panic() && !error.is_cancelled() && !error.is_timeout());
        assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["map"]);
    }

    #[test]
    fn is_found_behind_what_was_added_to_it() {
        use anyhow::Context;

        fn late() -> io::Error {
            io::ErrorKind::TimedOut.into()
        }
        let ways: [fn() -> anyhow::Result<u32>; 3] =
            [|| Err(late())?, || Err(late()).context("reading"), || Err(late()).context("reading").context("counting")];
        let failed = ways.map(|way| DC::<u32>::failed(way().unwrap_err()));
        let ways = ways.map(|way| DC::<u32>::new(way, ())).into_iter().chain(failed);
        for (i, way) in ways.enumerate() {
            let error = run(way, 1).unwrap_err();
            assert_eq!(
                error.downcast_ref::<io::Error>().map(io::Error::kind),
                Some(io::ErrorKind::TimedOut),
                "way {i}"
            );
            assert!(error.is_timeout() && error.downcast_ref::<fmt::Error>().is_none());
            assert!(error.to_string().ends_with(["timed out", "reading", "counting"][i % 3]), "{error}");
        }
        // One of our errors stays what it is, as with `?` anywhere else.
        let inner = run(failing::<u32>("deep"), 1).unwrap_err();
        let task = inner.task().cloned();
        let handed_on = DC::<u32>::new(move || -> anyhow::Result<u32> { Err(inner)? }, ());
        let error = run(handed_on, 1).unwrap_err();
        assert!(error.to_string().ends_with("failed: deep"), "{error}");
        assert_eq!(error.task().cloned(), task);
        assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["closure"]);
    }

    #[test]
    fn tells_its_kind() {
        let timeout = DC::<()>::new(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)), ());
        assert!(run(timeout, 1).unwrap_err().is_timeout());
        let other = DC::<()>::new(|| Err::<(), _>(io::Error::from(io::ErrorKind::NotFound)), ());
        assert!(!run(other, 1).unwrap_err().is_timeout());
        let panic = DC::<()>::new(|| -> () { std::panic::resume_unwind(Box::new("text")) }, ());
        assert!(run(panic, 1).unwrap_err().is_panic());
    }

    #[test]
    fn travels_like_any_other() {
        fn is_error<T: std::error::Error + Send + Sync + Clone + 'static>() {}
        is_error::<Error>();
        // If another task hands it on, it stays what it is, and names that task, too.
        let inner = run(failing::<u32>("deep"), 1).unwrap_err();
        let (failed, needed_by) = (inner.task().cloned(), inner.trace().len());
        let outer = DC::<u32>::new(move || Err::<u32, Error>(inner), ());
        let error = run(outer.map(|x| x + 1), 1).unwrap_err();
        assert!(error.to_string().ends_with("failed: deep"));
        assert_eq!(error.task().cloned(), failed);
        let handed_on: Vec<_> = error.trace()[needed_by..].iter().map(|task| task.name()).collect();
        assert_eq!(handed_on, ["closure", "map"]);
    }
}

mod texts {
    use super::*;

    /// The text without the line numbers, which change with every edit.
    fn text(error: &Error) -> String {
        let text = format!("{error:#}");
        let file = file!();
        text.split(file)
            .enumerate()
            .map(|(i, part)| {
                if i == 0 {
                    part.to_owned()
                } else {
                    format!("FILE:LINE{}", part.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()))
                }
            })
            .collect()
    }

    #[track_caller]
    fn check<T: Send + fmt::Debug + 'static>(computation: DC<T>, expected: &str) {
        let error = run(computation, 1).unwrap_err();
        assert_eq!(text(&error), expected);
        assert_eq!(format!("{error:?}"), format!("{error:#}"), "`main` shows the whole story");
    }

    #[test]
    fn of_a_failure() {
        check(refuse("way"), "task `refuse` (FILE:LINE) failed: no way");
        check(
            double(double(refuse("way")).named("the middle")).named("the end"),
            "task `refuse` (FILE:LINE) failed: no way\n  needed by `double` \"the middle\" (FILE:LINE)\n  needed by `double` \"the end\" (FILE:LINE)",
        );
        check(refuse("way").named("start"), "task `refuse` \"start\" (FILE:LINE) failed: no way");
    }

    #[test]
    fn of_a_panic() {
        check(panicking::<()>("at the disco"), "task `closure` (FILE:LINE) panicked: at the disco");
    }

    #[test]
    fn of_methods_and_functions() {
        fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
            text.parse()
        }
        let all_of_them = all([DC::<u32>::new(parse, ("x",))]).map(|all| all[0]).then(DC::value);
        check(
            all_of_them,
            "task `parse` (FILE:LINE) failed: invalid digit found in string\n  needed by `all` (FILE:LINE)\n  needed by `map` (FILE:LINE)\n  needed by `then` (FILE:LINE)",
        );
    }

    #[test]
    fn of_a_long_chain_end_somewhere() {
        let chain = (0..1000).fold(refuse("end"), |chain, _| double(chain));
        let error = run(chain, 1).unwrap_err();
        let text = text(&error);
        assert_eq!(text.lines().count(), 66);
        assert!(text.ends_with("\n  needed by `double` (FILE:LINE)\n  and by more"), "{text}");
        let exact = run((0..64).fold(refuse("end"), |chain, _| double(chain)), 1).unwrap_err();
        assert!(!format!("{exact:#}").contains("more"), "all who needed it are told");
    }

    #[test]
    fn tell_file_and_line_of_the_call() {
        let (line, refused) = (line!(), refuse("way"));
        let error = run(refused, 1).unwrap_err();
        let task = error.task().unwrap();
        assert_eq!((task.name(), task.label(), task.file(), task.line()), ("refuse", None, file!(), line));
    }

    #[test]
    fn tell_where_a_function_is_that_was_given_by_its_name() {
        const WRITTEN: u32 = line!() + 2;
        #[taskgraph::delayed]
        fn fail(i: u32) -> Result<u32, String> {
            Err(format!("no {i}"))
        }
        #[taskgraph::delayed]
        fn sum(parts: Vec<u32>) -> u32 {
            parts.iter().sum()
        }
        let by_name = [each(0..100, fail).map(|_| 1), sum((0..3).map(fail).collect::<Vec<_>>()), fail(0)];
        let called = line!() - 1;
        for (computation, line) in by_name.into_iter().zip([WRITTEN, WRITTEN, called]) {
            let error = run(computation, 1).unwrap_err();
            let task = error.task().unwrap();
            assert_eq!((task.name(), task.file(), task.line()), ("fail", file!(), line));
        }
        // A computation of the library itself has the line of the one that needs it.
        let shared = fail(1).shared();
        let shared_ones = || vec![shared.clone(), shared.clone()];
        let line = line!() + 1;
        for needs in [sum(shared_ones()), sum(shared_ones().iter().map(Shared::dc).collect::<Vec<_>>())] {
            let error = run(needs, 1).unwrap_err();
            let told: Vec<_> = error.trace().iter().map(|task| (task.name(), task.file(), task.line())).collect();
            assert_eq!(told, [("shared", file!(), line), ("sum", file!(), line)]);
        }
    }
}
