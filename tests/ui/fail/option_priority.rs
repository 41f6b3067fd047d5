use taskgraph::delayed;

#[delayed(priority = "high")]
fn a_text() {}

#[delayed(priority = 0.5)]
fn not_whole() {}

#[delayed(priority = -2147483649)]
fn too_low() {}

#[delayed(priority)]
fn nothing() {}

fn main() {
    let _ = (a_text(), not_whole(), too_low(), nothing());
}
