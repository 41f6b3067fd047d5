use std::rc::Rc;

use taskgraph::delayed;

#[delayed]
fn count(n: u32) -> Vec<Rc<u32>> {
    yield_!(Rc::new(n));
}

fn main() {}
