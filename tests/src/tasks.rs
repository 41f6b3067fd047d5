//! Small tasks, and functions for making them, for tests of something else.

use std::panic;

use taskgraph::{DC, delayed};

/// The sum, by a plain function: for `DC::new`.
pub fn plus(a: u64, b: u64) -> u64 {
    a + b
}

/// A task that gives the value, instead of the plain value.
#[track_caller]
pub fn task<T: Send + 'static>(value: T) -> DC<T> {
    DC::new(|value: T| value, (value,))
}

/// Both together.
#[delayed]
pub fn add(a: u32, b: u32) -> u32 {
    a + b
}

/// Twice as much.
#[delayed]
pub fn double(x: u32) -> u32 {
    2 * x
}

/// Fails with `no` and the reason.
#[delayed]
pub fn refuse(why: &str) -> Result<u32, String> {
    Err(format!("no {why}"))
}

/// A task that panics with `message`.
#[track_caller]
pub fn panicking<T: Send + 'static>(message: &'static str) -> DC<T> {
    DC::<T>::new(move || -> T { quiet_panic(message) }, ())
}

/// Panics without the noise of the panic hook.
///
/// # Panics
///
/// Always.
pub fn quiet_panic<T>(message: &'static str) -> T {
    panic::resume_unwind(Box::new(message))
}
