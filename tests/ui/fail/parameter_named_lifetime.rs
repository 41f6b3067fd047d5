use taskgraph::delayed;

#[delayed]
fn len<'a>(text: &'a str) -> usize {
    text.len()
}

fn main() {
    let _ = len("a".to_owned());
}
