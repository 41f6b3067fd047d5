use taskgraph::{DC, delayed};

#[delayed]
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

#[delayed]
fn loud(text: String) -> String {
    text.to_uppercase()
}

fn count(text: &String) -> DC<usize> {
    words(text)
}

fn fine(text: &str) -> DC<String> {
    loud(text)
}

fn main() {
    let _ = (count(&String::new()), fine("a"));
}
