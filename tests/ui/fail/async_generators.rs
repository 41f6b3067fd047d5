use taskgraph::{DC, delayed};

#[delayed]
fn awaits_without_async(x: DC<u64>) -> Vec<u64> {
    let x = x.await;
    yield_!(1);
}

#[delayed]
async fn yields_in_an_async_block(x: u64) -> Vec<u64> {
    let block = async { yield_!(x) };
    block.await;
}

#[delayed]
async fn returns_dc(x: u64) -> DC<Vec<u64>> {
    yield_!(x);
}

#[delayed]
async fn has_a_value(x: u64) -> Vec<u64> {
    yield_!(x);
    x
}

fn main() {}
