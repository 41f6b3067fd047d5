//! What a test needs of the machine. If that is missing, the test says so and passes, unless `CI` is set.

use std::env;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

/// The compiler with which texts and counts were recorded.
const COMPILER: &str = "rustc 1.95.";

/// Whether `program` is there. If not, the test is over.
///
/// # Panics
///
/// If it is not there and `CI` is set, or if it does not start.
pub fn is_installed(program: &str) -> bool {
    // With this argument, each of them just prints something and ends.
    let started =
        Command::new(program).arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        Ok(mut child) => {
            let _ = child.kill();
            child.wait().unwrap();
            true
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(env::var_os("CI").is_none(), "`{program}` is not installed");
            println!("skipped: `{program}` is not installed");
            false
        }
        Err(error) => panic!("`{program}` does not start: {error}"),
    }
}

/// Whether records can be compared with what this compiler does. If not, the test is over. If `CI` is set they must be
/// comparable, so that a new compiler is noticed.
pub fn is_recorded_compiler() -> bool {
    let version = Command::new("rustc").arg("--version").output().expect("cargo needs rustc, too").stdout;
    let version = String::from_utf8_lossy(&version);
    let compares = version.starts_with(COMPILER) || env::var_os("CI").is_some();
    if !compares {
        println!("skipped: this was recorded with {COMPILER}x, and this is {version}");
    }
    compares
}
