use taskgraph::delayed;

#[delayed(name = "a", name = "b")]
fn fetch() -> u32 {
    1
}

fn main() {
    let _ = fetch();
}
