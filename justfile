# What can be run by name. `.ci/run` runs all of it.

default:
    @just --list

# Everything a newcomer runs
test:
    cargo test --workspace

# Formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, without a warning
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The guide as a book, in a browser. Needs mdbook: `cargo install mdbook`
book:
    mdbook serve docs --open

# The models of what threads share
loom:
    RUSTFLAGS="--cfg taskgraph_loom" cargo test -p taskgraph --lib --release --target-dir target/loom models

# Instructions for each node, against the recorded ones
instructions:
    cargo test --release -p taskgraph-tests --test instructions -- --nocapture

# Licences, bans, duplicates
deny:
    cargo deny check
