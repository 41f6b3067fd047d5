//! Small tasks, and functions to make them of, for tests that are about something else.

/// Both together. Not delayed: see `DC::new`.
pub fn plus(a: u64, b: u64) -> u64 {
    a + b
}
