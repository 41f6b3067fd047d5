use taskgraph::delayed;

#[delayed(named)]
fn resize(#[builder(start_fn)] name: &str, width: u32, height: u32, #[builder(default)] passes: u32) -> u32 {
    name.len() as u32 * width * height * passes
}

fn main() {
    let _ = resize("a").height(480).dc();
}
