//! Small tasks, and functions to make them of, for tests that are about something else.

use std::panic;

use taskgraph::{DC, delayed};

/// Both together, by a plain function: for `DC::new`.
pub fn plus(a: u64, b: u64) -> u64 {
    a + b
}

/// A task of its own, not a value that is there.
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
/// That is what it is for.
pub fn quiet_panic<T>(message: &'static str) -> T {
    panic::resume_unwind(Box::new(message))
}
