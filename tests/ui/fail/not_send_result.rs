use std::rc::Rc;

use taskgraph::delayed;

#[delayed]
fn shared(n: u32) -> Rc<u32> {
    Rc::new(n)
}

#[delayed]
fn parsed(n: &str) -> Result<Rc<u32>, std::num::ParseIntError> {
    Ok(Rc::new(n.parse()?))
}

#[delayed]
fn opaque(n: Vec<u32>) -> impl Iterator<Item = Rc<u32>> {
    n.into_iter().map(Rc::new).collect::<Vec<_>>().into_iter()
}

fn main() {}
