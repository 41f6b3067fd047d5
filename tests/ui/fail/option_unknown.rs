use taskgraph::delayed;

#[delayed(retires = 3)]
fn fetch() -> u32 {
    1
}

#[delayed(nmae = "fetch again", name)]
fn fetch_again() -> u32 {
    1
}

fn main() {
    let _ = fetch();
    let _ = fetch_again();
}
