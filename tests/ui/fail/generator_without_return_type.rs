use taskgraph::delayed;

#[delayed]
fn count(n: u32) {
    for i in 0..n {
        yield_!(i);
    }
}

fn main() {
    let _ = count(3);
}
