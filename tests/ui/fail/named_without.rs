use taskgraph::delayed;

#[delayed]
fn resize(#[builder(start_fn)] name: &str, #[builder(default = 3)] width: u32) -> u32 {
    width
}

fn main() {
    let _ = resize("a", 640);
}
