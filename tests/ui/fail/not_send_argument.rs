use std::rc::Rc;

use taskgraph::delayed;

#[delayed]
fn length(text: Rc<str>, scale: usize) -> usize {
    scale * text.len()
}

#[delayed]
fn generic<T>(value: T) -> usize {
    size_of_val(&value)
}

fn main() {}
