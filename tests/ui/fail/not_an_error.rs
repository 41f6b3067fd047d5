use taskgraph::delayed;

struct Oops;

#[delayed]
fn fail() -> Result<u32, Oops> {
    Err(Oops)
}

fn main() {}
