use taskgraph::delayed;

#[delayed]
const fn constant() -> u32 {
    1
}

#[delayed]
unsafe fn dangerous() -> u32 {
    1
}

#[delayed]
extern "C" fn foreign(x: u32) -> u32 {
    x
}

#[delayed]
const unsafe extern "C" fn all_of_them(x: u32) -> u32 {
    x
}

fn main() {
    let _ = constant();
    let _ = unsafe { dangerous() };
    let _ = foreign(1);
}
