# What can be run by name. `.ci/run` runs most of it.

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

# The tests under a checker of threads; or some of them, as in `just tsan -p taskgraph-tests --test streams`
tsan *args:
    .ci/checked tsan {{args}}

# The tests under a checker of memory and leaks
asan *args:
    .ci/checked asan {{args}}

# Instructions for each node, against the recorded ones
instructions:
    cargo test --release -p taskgraph-tests --test instructions -- --nocapture

# The control port under a fuzzer, for so many seconds for each target. Needs `cargo install --locked cargo-fuzz`
fuzz seconds="15":
    mkdir -p fuzz/corpus/session fuzz/corpus/cuts
    cargo fuzz run --sanitizer none session fuzz/corpus/session fuzz/seeds/session -- -dict=fuzz/port.dict -max_len=9000 -max_total_time={{seconds}}
    cargo fuzz run --sanitizer none cuts fuzz/corpus/cuts fuzz/seeds/cuts -- -dict=fuzz/port.dict -max_len=9000 -max_total_time={{seconds}}

# Everything at once, for ten minutes, or for as many seconds: `just chaos 60`
chaos seconds="600":
    CHAOS_SECONDS={{seconds}} cargo test --release -p taskgraph-tests --test chaos -- --nocapture

# Licences, bans, duplicates, sources. Needs `cargo install --locked cargo-deny --no-default-features`
deny:
    cargo deny check licenses bans sources
    cargo deny --manifest-path fuzz/Cargo.toml --config deny.toml check licenses sources
    cargo deny --manifest-path benches/Cargo.toml --config deny.toml check licenses sources
