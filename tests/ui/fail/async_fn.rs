use taskgraph::delayed;

#[delayed]
async fn fetch(url: &str) -> usize {
    url.len()
}

fn main() {
    let _ = fetch("http://localhost");
}
