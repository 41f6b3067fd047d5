use taskgraph::delayed;

#[delayed]
fn count(n: &str) -> Result<Vec<u32>, std::num::ParseIntError> {
    let n: u32 = n.parse()?;
    yield_!(n);
}

fn main() {
    let _ = count("1");
}
