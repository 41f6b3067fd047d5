use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> Vec<u32> {
    fn inner(n: u32) {
        yield_!(n);
    }
    inner(n);
}

#[delayed]
fn nested(n: u32) -> Vec<u32> {
    #[delayed]
    fn delayed_itself(n: u32) -> Vec<u32> {
        yield_!(n);
    }
    let _ = delayed_itself(n);
    vec![]
}

fn main() {
    let _ = count(3);
    let _ = nested(3);
}
