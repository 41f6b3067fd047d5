use taskgraph::delayed;

#[delayed(named = true)]
fn with_value(x: u32) -> u32 {
    x
}

#[delayed(named, named)]
fn twice(x: u32) -> u32 {
    x
}

fn main() {
    let _ = with_value().x(1).dc();
    let _ = twice().x(1).dc();
}
