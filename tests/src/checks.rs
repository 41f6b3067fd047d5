//! What a run gives, compared with what it should give.

use std::fmt::Debug;

use taskgraph::DC;

use crate::run;

/// Panics unless the computation gives `expected`; with two workers.
#[track_caller]
pub fn check<T: Send + Debug + PartialEq + 'static>(computation: DC<T>, expected: T) {
    match run(computation, 2) {
        Ok(value) => assert_eq!(value, expected),
        Err(error) => panic!("{error:#}"),
    }
}
