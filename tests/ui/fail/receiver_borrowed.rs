use std::pin::Pin;
use std::sync::Arc;

use taskgraph::delayed;

struct Image(Vec<u8>);

impl Image {
    #[delayed]
    fn by_reference(&self) -> usize {
        self.0.len()
    }

    #[delayed]
    fn by_unique_reference(&mut self) {
        self.0.clear();
    }

    #[delayed]
    fn by_reference_to_arc(self: &Arc<Self>) -> usize {
        self.0.len()
    }

    #[delayed]
    fn pinned(self: Pin<&mut Self>) {}

    #[delayed]
    fn named<'a>(&'a self, more: &[u8]) -> usize {
        self.0.len() + more.len()
    }
}

fn main() {
    let image = Image(Vec::new());
    let _ = image.by_reference();
    let _ = image.named(vec![1]);
}
