use taskgraph::delayed;

#[delayed]
fn area(
    /// The width.
    w: u32,
    #[allow(unused_variables)] h: u32,
) -> u32 {
    w
}

fn main() {
    let _ = area(1, 2);
}
