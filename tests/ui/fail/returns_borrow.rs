use std::borrow::Cow;

use taskgraph::delayed;

struct Line<'a>(&'a str);

#[delayed]
fn first(text: &str) -> &str {
    &text[..1]
}

#[delayed]
fn maybe(text: &str) -> Option<&str> {
    text.lines().next()
}

#[delayed]
fn hidden(text: &str) -> Line<'_> {
    Line(text)
}

#[delayed]
fn named<'a>(number: u8) -> Result<Cow<'a, str>, std::io::Error> {
    Ok(Cow::Owned(number.to_string()))
}

#[delayed]
fn for_ever() -> &'static str {
    "this one is fine"
}

#[delayed]
fn called(_number: u8) -> Vec<fn(&str) -> &str> {
    vec![str::trim]
}

fn main() {
    let _: taskgraph::DC<Option<&'static str>> = maybe("a".to_owned());
    let _ = first("a");
}
