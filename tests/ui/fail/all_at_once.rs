use taskgraph::delayed;

#[delayed(retires = 3)]
const fn area<'a>(w: &mut u32, h: Option<&u32>, name: &'a str, f: impl Fn(u32) -> u32) -> &'a str {
    (0..*w).for_each(|x| {
        yield_!(x);
    });
    name
}

fn main() {
    let _ = area(&mut 1, Some(&2), "name", |x: u32| x);
}
