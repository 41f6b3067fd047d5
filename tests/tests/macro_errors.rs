//! Every mistake that the attribute recognizes gives one message, at the smallest guilty token, and no others after it.
//!
//! After a change of a text: `TRYBUILD=overwrite cargo test -p taskgraph-tests --test macro_errors`, then read the
//! difference as a user would.

// This checks compiler messages, not memory or threads.
#![cfg(not(taskgraph_system_alloc))]

use taskgraph_tests::needs;

#[test]
fn every_mistake_is_told_once_and_where_it_is() {
    // Compilers change the wording and layout of their own part of a message from release to release.
    if needs::is_recorded_compiler() {
        trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
    }
}
