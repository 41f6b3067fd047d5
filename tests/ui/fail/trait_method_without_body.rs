use taskgraph::delayed;

trait Shape {
    #[delayed]
    fn area(self, scale: u32) -> u32;
}

fn main() {}
