use taskgraph::delayed;

#[delayed]
fn literally(n: u32) -> Vec<u32> {
    yield_!(n);
    vec![n]
}

#[delayed]
fn collected(n: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for i in 0..n {
        all.push(yield_!(i));
    }
    all
}

#[delayed]
fn called(n: u32) -> Vec<u32> {
    yield_!(n);
    Vec::from([n])
}

#[delayed]
fn wrapped(n: u32) -> Result<Vec<u32>, std::io::Error> {
    yield_!(n);
    Ok(vec![n])
}

fn main() {
    let _ = (literally(1), collected(1), called(1), wrapped(1));
}
