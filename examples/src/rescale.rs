//! An endless run, to be rescaled while it goes on.

use std::hint;
use std::time::Instant;

use taskgraph::delayed;

/// Where the tasks begin: at numbers so large that the next millions of them cost the same.
const FIRST: u64 = 1_000_000_000;
/// How many numbers a task tests: some 50 µs of work, long beside the overhead of a task, and so short that a change of
/// the number of workers shows at once.
const NUMBERS_PER_TASK: u64 = 16;

/// Yields tasks until the time is over.
///
/// A generator does not run ahead of the workers: it rests while enough of what it has yielded waits for one. And a
/// `Vec` of `()` takes no memory. So this could go on for ever.
#[delayed]
pub fn tasks(until: Instant) -> Vec<()> {
    let mut first = FIRST;
    while Instant::now() < until {
        yield_!(task(first));
        first += NUMBERS_PER_TASK;
    }
}

/// Work for a processor: counts primes, the slow way.
#[delayed]
fn task(first: u64) {
    let n_primes = (first..first + NUMBERS_PER_TASK).filter(|&number| is_prime(number)).count();
    hint::black_box(n_primes);
}

fn is_prime(number: u64) -> bool {
    (2..=number.isqrt()).all(|divisor| !number.is_multiple_of(divisor))
}
