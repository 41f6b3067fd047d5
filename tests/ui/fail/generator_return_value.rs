use taskgraph::delayed;

#[delayed]
fn early(n: u32) -> Vec<u32> {
    if n == 0 {
        return Vec::new();
    }
    if n == 1 {
        return vec![1];
    }
    yield_!(n);
}

#[delayed]
fn wrapped(n: u32) -> Result<Vec<u32>, std::io::Error> {
    if n == 0 {
        return Ok(vec![]);
    }
    yield_!(n);
    Ok(())
}

fn main() {
    let _ = (early(1), wrapped(1));
}
