use taskgraph::delayed;

#[delayed]
fn print(n: u32) -> Vec<u32> {
    println!("{:?}", yield_!(n));
}

#[delayed]
fn collect(n: u32) -> Vec<u32> {
    vec![taskgraph::yield_!(n), yield_!(n + 1)];
}

fn main() {
    let _ = print(3);
    let _ = collect(3);
}
