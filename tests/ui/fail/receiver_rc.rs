use std::rc::Rc;

use taskgraph::delayed;

struct Image(Vec<u8>);

impl Image {
    #[delayed]
    fn size(self: Rc<Self>) -> usize {
        self.0.len()
    }
}

fn main() {}
