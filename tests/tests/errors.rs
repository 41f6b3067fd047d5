//! Errors: what they know of a failure.

use std::io;

use taskgraph::{DC, Error};
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
        // Handed on by another task, it stays what it is, and tells of that task.
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
