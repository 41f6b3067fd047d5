use std::rc::Rc;

use taskgraph::delayed;

struct Cache(Rc<u8>);

impl Cache {
    #[delayed(timeout = "30s")]
    fn get(self) -> u8 {
        *self.0
    }
}

fn main() {}
