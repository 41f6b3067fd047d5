use taskgraph::delayed;

#[delayed(named)]
fn resize(
    #[builder(into)] width: u32,
    #[builder(with = |x: u32| x, setters(name = high))] height: u32,
    #[builder] passes: u32,
    #[builder()] filter: u32,
    #[builder(default, default = 3)] times: u32,
    #[builder(required)] path: String,
    #[builder(default = None)] option: Option<u32>,
    #[builder(name = "depth")] depth: u32,
    #[builder(start_fn = 3)] start: u32,
) -> u32 {
    width
}

#[delayed(named)]
fn order(
    first: u32,
    /// Documented.
    #[builder(start_fn, default = 3)]
    second: u32,
) {
}

#[delayed(named)]
fn names((a, b): (u32, u32), dc: u32, _x: u32, #[builder(name = x)] y: u32) {}

fn main() {
    let _ = resize(1).width(1).height(2).passes(3).filter(4).path("a").depth(1).dc();
    let _ = order(1).first(2).dc();
    let _ = names().x(1).dc();
}
