use taskgraph::delayed;

#[delayed]
fn nothing() -> Vec<u32> {
    yield_!();
}

#[delayed]
fn several(n: u32) -> Vec<u32> {
    yield_!(n, n + 1);
}

fn main() {
    let _ = (nothing(), several(1));
}
