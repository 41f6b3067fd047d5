use taskgraph::delayed;

#[delayed]
fn serve() -> ! {
    loop {}
}

fn main() {
    let _ = serve();
}
