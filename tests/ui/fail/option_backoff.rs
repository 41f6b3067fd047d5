use taskgraph::delayed;

#[delayed(backoff = "100ms..10s")]
fn without_retries() {}

#[delayed(retries = 3, backoff = "100ms")]
fn one_end() {}

#[delayed(retries = 3, backoff = "100ms..")]
fn open() {}

#[delayed(retries = 3, backoff = "10s..100ms")]
fn backwards() {}

#[delayed(retries = 3, backoff = "100..10s")]
fn without_unit() {}

#[delayed(retries = 3, backoff = "0s..10s")]
fn from_nothing() {}

#[delayed(retries = 3, backoff = 100..10)]
fn numbers() {}

fn main() {
    let _ = (without_retries(), one_end(), open(), backwards(), without_unit(), from_nothing(), numbers());
}
