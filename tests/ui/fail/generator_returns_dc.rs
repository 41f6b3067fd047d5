use taskgraph::{DC, delayed};

#[delayed]
fn count(n: u32) -> DC<Vec<u32>> {
    yield_!(n);
}

#[delayed]
fn try_count(n: u32) -> Result<DC<Vec<u32>>, std::io::Error> {
    yield_!(n);
    Ok(())
}

fn main() {
    let _ = count(3);
    let _ = try_count(3);
}
