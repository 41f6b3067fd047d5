//! Compares the result of a run with the expected one.

use std::fmt::Debug;
use std::panic::Location;

use taskgraph::{DC, Error};

use crate::run;

/// Panics unless the computation gives `expected` on two workers.
#[track_caller]
pub fn check<T: Send + Debug + PartialEq + 'static>(computation: DC<T>, expected: T) {
    match run(computation, 2) {
        Ok(value) => assert_eq!(value, expected),
        Err(error) => panic!("{error:#}"),
    }
}

/// Panics unless the computation fails, with `expected` at the end of the message, after the name of the task and its
/// place.
#[track_caller]
pub fn check_fails<T: Send + Debug + 'static>(computation: DC<T>, max_workers: usize, expected: &str) -> Error {
    let error = run(computation, max_workers).unwrap_err();
    let message = error.to_string();
    assert!(message.ends_with(expected), "{message:?} does not end with {expected:?}");
    error
}

/// Panics unless the failed task is `name`, made in this line of the caller's file, and all tasks that needed it are
/// from that file.
#[track_caller]
pub fn check_blamed(error: &Error, name: &str, line: u32) {
    let file = Location::caller().file();
    let blamed = error.task().expect("a task failed");
    assert_eq!((blamed.name(), blamed.file(), blamed.line()), (name, file, line), "{error:#}");
    for needed_by in error.trace() {
        assert_eq!(needed_by.file(), file, "{error:#}");
    }
}
