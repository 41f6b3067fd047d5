use taskgraph::delayed;

#[delayed]
fn apply(f: impl Fn(u32) -> u32, x: u32) -> u32 {
    f(x)
}

#[delayed]
fn print(values: &[impl std::fmt::Display]) {
    for value in values {
        println!("{value}");
    }
}

fn main() {
    let _ = apply(|x: u32| x + 1, 2);
    let _ = print(vec![1, 2]);
}
