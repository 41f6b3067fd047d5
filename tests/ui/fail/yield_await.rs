use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> Vec<u32> {
    yield_!(std::future::ready(n).await);
}

fn main() {
    let _ = count(3);
}
