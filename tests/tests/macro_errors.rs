//! Every mistake the attribute knows gives one message, at the smallest guilty token, and no others after it.
//!
//! After a change of a text: `TRYBUILD=overwrite cargo test -p taskgraph-tests --test macro_errors`, then read the
//! difference as a user would.

// What is checked here is what the compiler says, not memory or threads.
#![cfg(not(taskgraph_system_alloc))]

use taskgraph_tests::needs;

#[test]
fn every_mistake_is_told_once_and_where_it_is() {
    // Compilers word and draw their own part of a message differently from release to release.
    if needs::is_recorded_compiler() {
        trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
    }
}
