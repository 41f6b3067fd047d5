use std::rc::Rc;

use taskgraph::delayed;

struct Image {
    pixels: Rc<[u8]>,
}

impl Image {
    #[delayed]
    fn size(self, scale: usize) -> usize {
        scale * self.pixels.len()
    }
}

fn main() {}
