//! What is yielded is not waited for, so it has not failed yet.

use taskgraph::delayed;

#[delayed]
fn count(x: u32) -> Result<u32, String> {
    x.checked_mul(2).ok_or_else(|| "too large".to_owned())
}

#[delayed]
fn counts() -> Result<Vec<u32>, String> {
    yield_!(count(1))?;
    let second = (yield_!(count(2)))?;
    yield_!(second);
    Ok(())
}

fn main() {}
