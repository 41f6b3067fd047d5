use taskgraph::delayed;

#[delayed(timeout = 30)]
fn number() {}

#[delayed(timeout = "30")]
fn without_unit() {}

#[delayed(timeout = "soon")]
fn not_a_duration() {}

#[delayed(timeout = "0s")]
fn no_time() {}

#[delayed(timeout = "")]
fn empty() {}

#[delayed(timeout = "1s", timeout = "2s")]
fn twice() {}

fn main() {
    let _ = (number(), without_unit(), not_a_duration(), no_time(), empty(), twice());
}
