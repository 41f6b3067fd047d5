use std::rc::Rc;

use taskgraph::{DC, delayed};

async fn somewhere() {}

#[delayed]
async fn holds_what_cannot_move(x: u64) -> u64 {
    let held = Rc::new(x);
    somewhere().await;
    *held
}

#[delayed]
async fn yields_and_holds(x: u64) -> Vec<u64> {
    let held = Rc::new(x);
    yield_!(x);
    somewhere().await;
    drop(held);
}

#[delayed]
async fn not_an_error(x: u64) -> Result<u64, u8> {
    somewhere().await;
    Ok(x)
}

#[delayed]
async fn another_error(x: DC<u64>) -> Result<u64, std::fmt::Error> {
    let x = x.await?;
    Ok(x)
}

#[delayed]
async fn a_result_unasked(x: u64) -> u64 {
    DC::value(x).await?
}

#[delayed]
async fn borrows_what_goes(text: String) -> &str {
    somewhere().await;
    &text
}

#[delayed]
async fn returns_what_it_borrows(text: &str) -> &'static str {
    somewhere().await;
    text
}

#[delayed]
async fn another_value(x: u64) -> u32 {
    somewhere().await;
    x
}

#[delayed]
async fn no_value(x: u64) -> u64 {
    somewhere().await;
    x + 1;
}

#[delayed]
async fn not_sent() -> Rc<u8> {
    somewhere().await;
    Rc::new(1)
}

#[delayed]
async fn not_a_future(x: u64) -> u64 {
    x.await
}

fn main() {}
