use taskgraph::delayed;

struct Image;

impl Image {
    #[delayed(named)]
    fn resize(self, width: u32) -> u32 {
        width
    }

    #[delayed(named)]
    fn load(name: &str) -> Self {
        Image
    }

    #[delayed(named)]
    fn create(width: u32) -> u32 {
        drop(Self);
        width
    }
}

fn main() {
    let _ = (Image.resize(1), Image::load("a"), Image::create(2));
}
