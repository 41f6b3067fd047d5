use taskgraph::delayed;

#[delayed]
fn clear(buffer: &mut Vec<u8>, len: usize) {
    buffer.truncate(len);
}

fn main() {
    let mut buffer = vec![1, 2, 3];
    let _ = clear(&mut buffer, 2);
}
