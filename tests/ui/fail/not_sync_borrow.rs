use std::cell::Cell;

use taskgraph::delayed;

#[delayed]
fn read(cell: &Cell<u32>) -> u32 {
    cell.get()
}

fn main() {}
