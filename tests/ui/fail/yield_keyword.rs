//! The keyword of other languages, which Rust keeps for itself.

#[taskgraph::delayed]
fn numbers(n: u64) -> Vec<u64> {
    for x in 0..n {
        yield x;
    }
}

fn main() {
    let _ = taskgraph::run(numbers(3), 1);
}
