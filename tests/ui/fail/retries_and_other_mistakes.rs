use std::rc::Rc;

use taskgraph::delayed;

struct Oops;

async fn somewhere() {}

#[delayed(retries = 3)]
fn not_an_error() -> Result<u32, Oops> {
    Err(Oops)
}

#[delayed(timeout = "30s")]
fn not_an_error_in_time() -> Result<u32, Oops> {
    Err(Oops)
}

#[delayed(retries = 3)]
fn not_sent() -> Rc<u8> {
    Rc::new(1)
}

#[delayed(priority = 1)]
fn not_sent_soon() -> Rc<u8> {
    Rc::new(1)
}

#[delayed(retries = 3)]
fn argument_not_sent(text: Rc<str>) -> usize {
    text.len()
}

#[delayed(retries = 3)]
fn another_value(x: u64) -> u32 {
    x
}

#[delayed(retries = 3)]
async fn holds_what_cannot_move(x: u64) -> u64 {
    let held = Rc::new(x);
    somewhere().await;
    *held
}

#[delayed(retries = 3)]
fn not_a_collection(n: u64) -> u64 {
    yield_!(n);
}

#[delayed(retries = 3)]
fn returns_what_it_borrows(text: &str) -> &'static str {
    text
}

#[delayed(retries = 3)]
fn unused(x: u64, mut y: u64) -> u64 {
    x
}

fn main() {}
