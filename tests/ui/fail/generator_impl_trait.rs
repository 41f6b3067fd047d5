use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> impl IntoIterator<Item = u32> {
    yield_!(n);
}

fn main() {
    let _ = count(3);
}
