use taskgraph::delayed;

struct Unknown;

#[delayed(named)]
fn wrong(#[builder(default = "three")] passes: u32) -> u32 {
    passes
}

#[delayed(named)]
fn none(#[builder(default)] unknown: Unknown) {
    drop(unknown);
}

#[delayed(named)]
fn returns(#[builder(default = "3".parse()?)] passes: u32) -> Result<u32, std::num::ParseIntError> {
    Ok(passes)
}

fn main() {
    let _ = (wrong().dc(), none().dc(), returns().dc());
}
