use taskgraph::delayed;

#[delayed]
fn names() -> Vec<String> {
    yield_!("this one is fine");
    yield_!(3);
}

fn main() {
    let _ = names();
}
