use taskgraph::delayed;

#[delayed(name = 3)]
fn number() -> u32 {
    1
}

#[delayed(name)]
fn nothing() -> u32 {
    1
}

#[delayed("name")]
fn no_key() -> u32 {
    1
}

fn main() {
    let _ = (number(), nothing(), no_key());
}
