use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> u64 {
    yield_!(n);
}

fn main() {
    let _ = count(3);
}
