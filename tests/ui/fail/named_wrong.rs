use taskgraph::delayed;

#[delayed(named)]
fn resize(#[builder(start_fn)] name: &str, width: u32, filter: Option<u8>) -> u32 {
    name.len() as u32 * width * u32::from(filter.unwrap_or(1))
}

fn main() {
    let _ = resize(1).width(640).dc();
    let _ = resize("a").width("640").dc();
    let _ = resize("a").width(640).filter("gauss").dc();
    let _ = resize("a").widht(640).dc();
    let _ = resize("a").width(640).width(480).dc();
    let _ = resize("a", 640).dc();
    let _: u32 = resize("a").width(640);
}
