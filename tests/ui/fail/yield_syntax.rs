use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> Vec<u32> {
    yield_!(n n);
}

fn main() {
    let _ = count(3);
}
