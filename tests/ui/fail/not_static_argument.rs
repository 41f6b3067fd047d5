use taskgraph::delayed;

#[delayed]
fn drop_it<T: Send>(value: T) {
    drop(value);
}

fn main() {}
