use std::io;

use taskgraph::delayed;

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

#[delayed(retry_if = is_busy)]
fn without_retries() -> io::Result<()> {
    Ok(())
}

#[delayed(retries = 3, retry_if = |error: &io::Error| is_busy(error))]
fn a_closure() -> io::Result<()> {
    Ok(())
}

#[delayed(retries = 3, retry_if = "is_busy")]
fn a_text() -> io::Result<()> {
    Ok(())
}

fn main() {
    let _ = (without_retries(), a_closure(), a_text());
}
