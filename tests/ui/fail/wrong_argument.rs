use taskgraph::delayed;

#[delayed]
fn double(x: u32) -> u32 {
    2 * x
}

fn main() {
    let _ = double("three");
    let _ = double(double(1), 2);
}
