use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> Vec<u32> {
    (0..n).for_each(|i| {
        yield_!(i);
    });
}

fn main() {
    let _ = count(3);
}
