use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> Vec<u32> {
    let _later = async move {
        yield_!(n);
    };
}

fn main() {
    let _ = count(3);
}
