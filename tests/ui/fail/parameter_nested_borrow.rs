use std::borrow::Cow;

use taskgraph::delayed;

#[delayed]
fn optional(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

#[delayed]
fn texts(texts: &[&str], more: Vec<Cow<'_, str>>) -> usize {
    texts.len() + more.len()
}

#[delayed]
fn called(f: fn(&str) -> &str, g: Box<dyn for<'a> Fn(&'a str) + Send>) {
    g(f("these are fine"));
}

fn main() {
    let _ = optional(Some("a"));
    let _ = texts(vec!["a"], vec![Cow::Borrowed("b")]);
}
