use taskgraph::DC;

fn main() {
    let _ = DC::new(|a: u64| 2 * a, 3u64);
}
