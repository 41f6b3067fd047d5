use taskgraph::delayed;

#[delayed]
fn no_value(x: u32) -> u32 {
    x + 1;
}

#[delayed]
fn wrong_value(x: u32) -> u32 {
    if x == 1 {
        return 7u8;
    }
    u64::from(x)
}

#[delayed]
fn moved_twice(text: String) -> usize {
    drop(text);
    text.len()
}

#[delayed]
fn not_mut(text: String) -> String {
    text.push('a');
    text
}

#[delayed]
fn unknown() -> u32 {
    nowhere
}

fn main() {}
