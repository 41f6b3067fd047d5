use taskgraph::delayed;

#[delayed]
pub struct Image {
    pub pixels: Vec<u8>,
}

#[delayed]
impl Image {
    pub fn size(&self) -> usize {
        self.pixels.len()
    }
}

#[delayed]
const SIZE: usize = 1;

fn main() {
    let image = Image { pixels: Vec::new() };
    assert_eq!(image.size(), SIZE);
}
