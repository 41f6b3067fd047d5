//! Every mistake the attribute knows gives one message, at the smallest guilty token, and no others after it.
//!
//! After a change of a text: `TRYBUILD=overwrite cargo test -p taskgraph-tests --test macro_errors`, then read the
//! difference as a user would.

use std::process::Command;

/// Compilers word and draw their own part of a message differently from release to release.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn every_mistake_is_told_once_and_where_it_is() {
    let version = Command::new("rustc").arg("--version").output().expect("cargo needs rustc, too").stdout;
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(COMPILER) && std::env::var_os("CI").is_none() {
        println!("skipped: the texts are those of {COMPILER}x, and this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}
