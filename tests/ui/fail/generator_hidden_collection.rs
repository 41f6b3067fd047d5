use taskgraph::delayed;

type Result = std::result::Result<Vec<u32>, std::io::Error>;

#[delayed]
fn count(n: u32) -> Result {
    yield_!(n);
    Ok(())
}

fn main() {
    let _ = count(3);
}
