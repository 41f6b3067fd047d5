use std::cell::RefCell;
use std::rc::Rc;
use taskgraph::delayed;

#[delayed(named)]
fn count(words: Rc<u32>) -> u32 {
    *words
}

#[delayed(named)]
fn read(cell: &RefCell<u32>, more: Option<Rc<u32>>) -> u32 {
    *cell.borrow()
}

fn main() {}
