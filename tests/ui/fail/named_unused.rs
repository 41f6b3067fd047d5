#![deny(dead_code, unused_must_use)]

use taskgraph::delayed;

#[delayed(named)]
fn resize(width: u32) -> u32 {
    width
}

#[delayed(named)]
fn never_called(width: u32, height: u32) -> u32 {
    width * height
}

fn main() {
    resize();
    resize().width(640);
    resize().width(640).dc();
}
