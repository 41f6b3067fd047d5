#![deny(unused_must_use)]

use taskgraph::{DC, Runtime, delayed};

#[delayed]
fn area(width: u32, height: u32) -> u32 {
    width * height
}

fn main() -> Result<(), taskgraph::Error> {
    let runtime = Runtime::builder().no_control().build()?;
    area(2, 3);
    DC::value(6).map(|area| 7 * area);
    area(2, 3).shared();
    runtime.spawn(area(2, 3));
    Ok(())
}
