use taskgraph::delayed;

struct Page;

#[delayed(retries = 0)]
fn never_again() {}

#[delayed(retries = "3")]
fn a_text() {}

#[delayed(retries)]
fn how_many() {}

impl Page {
    #[delayed(retries = 3)]
    fn load(self) -> u32 {
        1
    }
}

fn main() {
    let _ = (never_again(), a_text(), how_many(), Page.load());
}
