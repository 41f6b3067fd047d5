//! Builds the rivals in C++ for which there are headers, and says what the program was built with.

#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Programs of `examples` that are measured.
///
/// They are compiled as part of this package instead of as a dependency, because a rival has to call the very functions
/// that their tasks call, and those are private.
const PROGRAMS: [&str; 2] = ["codestats", "uts"];

fn main() {
    let out_dir = env::var("OUT_DIR").expect("cargo sets it");
    for program in PROGRAMS {
        let path = format!("../examples/src/{program}.rs");
        println!("cargo::rerun-if-changed={path}");
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        // An included file cannot document the module it is included in.
        let items: String =
            source.lines().filter(|line| !line.starts_with("//!")).map(|l| l.to_owned() + "\n").collect();
        fs::write(Path::new(&out_dir).join(format!("{program}.rs")), items).expect("OUT_DIR can be written to");
    }
    build_cpp(&out_dir);
    println!("cargo::rustc-env=BUILT_WITH={}", first_line(&env::var("RUSTC").expect("cargo sets it"), &["--version"]));
}

/// Each program that cannot be built is left out with a warning; one that should have been ends the build.
fn build_cpp(out_dir: &str) {
    println!("cargo::rerun-if-changed=cpp");
    for variable in ["CXX", "CXXFLAGS", "LDFLAGS", "CPATH", "LIBRARY_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rustc-env=CPP_DIR={out_dir}/cpp");
    match Command::new("sh").arg("cpp/build.sh").arg(format!("{out_dir}/cpp")).output() {
        Ok(output) => {
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                println!("cargo::warning={line}");
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "the programs in C++ cannot be built:\n{errors}");
        }
        Err(error) => println!("cargo::warning=no rivals in C++, there is no shell: {error}"),
    }
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("the compiler that is compiling this can be run");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}
