use taskgraph::yield_;

fn count() -> Vec<u32> {
    for i in 0..3 {
        yield_!(i);
    }
    Vec::new()
}

fn main() {
    count();
}
