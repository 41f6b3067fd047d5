use std::cell::Cell;

use taskgraph::delayed;

struct NoClone;

#[delayed]
fn gives() -> NoClone {
    NoClone
}

#[delayed]
fn not_cloned() -> Vec<NoClone> {
    let handle = yield_!(gives());
    drop(handle);
}

#[delayed]
fn not_shared() -> Vec<Cell<u8>> {
    let handle = yield_!(Cell::new(1));
    drop(handle);
}

#[delayed]
async fn a_handle_is_no_value() -> Vec<u64> {
    let x = yield_!(1);
    yield_!(x + 1);
}

fn main() {}
