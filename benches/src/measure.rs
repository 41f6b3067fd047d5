//! How one sample is taken, and in which order.
//!
//! A round takes one sample of every contender on every number of workers, each in a session of its own: threads are
//! started, the work is done once to warm up, then often enough for the clock, and the threads end. Every round has a
//! different order, so that no contender always follows the same other one, whose heap it inherits.

use std::time::Duration;

use crate::contender::{Contender, Measure, Work};
use crate::rivals::mix;
use crate::session::{Ran, Result, Session};

/// A sample is as many runs as take about this long, and at least one.
const SAMPLE_MIN: Duration = Duration::from_millis(100);
/// As `SAMPLE_MIN`, for each length that is tried.
const TRY_MIN: Duration = Duration::from_millis(15);
/// A task is too short if less than this share of the workers' time goes into the work.
const EFFICIENCY: f64 = 0.5;
/// Tasks longer than this, about a tenth of a millisecond, are not tried: the answer is infinity then.
const LENGTH_MAX: u64 = 1 << 16;
/// The search ends when the lengths around the one sought differ by one part in this many.
const LENGTH_PRECISION: u64 = 16;

/// The samples of one contender: nanoseconds per task, for each number of workers one for each round.
pub(crate) struct Samples(pub Vec<Vec<f64>>);

/// Takes the samples of all contenders of a work, in their order.
pub(crate) fn measure(work: &Work, workers: &[usize], n_rounds: usize) -> Result<Vec<Samples>> {
    let n = work.contenders.len();
    let mut samples: Vec<_> = (0..n).map(|_| Samples(vec![vec![]; workers.len()])).collect();
    let workers_len = workers.len();
    for round in 0..n_rounds {
        for (at, &workers) in workers.iter().enumerate() {
            for contender_idx in order(n, (round * workers_len + at) as u64) {
                let contender = &work.contenders[contender_idx];
                if contender.is_sequential && at != 0 {
                    continue;
                }
                let sample = sample(contender, workers)
                    .map_err(|error| format!("{}, {} on {workers} workers: {error}", work.name, contender.name))?;
                samples[contender_idx].0[at].push(sample);
            }
        }
        eprint!("\r{}: {} of {n_rounds} rounds", work.name, round + 1);
    }
    eprintln!();
    Ok(samples)
}

/// The numbers below `n` in an order that depends on the seed alone, so that a run can be repeated.
fn order(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_cached_key(|&i| mix(mix(mix(seed) ^ i as u64)));
    order
}

fn sample(contender: &Contender, workers: usize) -> Result<f64> {
    let mut session = (contender.open)(workers)?;
    match &contender.measure {
        Measure::PerTask { answer } => {
            let each = often_enough(SAMPLE_MIN, |times| checked(session.as_mut(), times, 0, **answer))?;
            Ok(each / contender.n_tasks as f64)
        }
        Measure::Shortest { plain } => {
            shortest(|length| attempt(contender.n_tasks, session.as_mut(), plain, length, workers))
        }
    }
}

/// The answer that a contender must give to tasks of no length.
pub(crate) fn answer(contender: &Contender) -> u64 {
    match &contender.measure {
        Measure::PerTask { answer } => **answer,
        Measure::Shortest { plain } => plain(0),
    }
}

fn checked(session: &mut dyn Session, times: u64, length: u64, answer: u64) -> Result<Duration> {
    let Ran { elapsed, answers } = session.run(times, length)?;
    let expected = answer.wrapping_mul(times);
    if answers == expected {
        Ok(elapsed)
    } else {
        Err(format!("the answer is wrong: {answers} and not {expected}, the sum of {times} runs").into())
    }
}

/// Nanoseconds for one run, after one to warm up.
fn often_enough(at_least: Duration, mut run: impl FnMut(u64) -> Result<Duration>) -> Result<f64> {
    run(1)?;
    let mut times = 1;
    loop {
        let elapsed = run(times)?;
        if elapsed >= at_least / 2 {
            return Ok(elapsed.as_nanos() as f64 / times as f64);
        }
        // A short time is a bad estimate, so at most ten times as many are tried next.
        let missing = at_least.as_nanos() / elapsed.as_nanos().max(1) + 1;
        times *= missing.clamp(2, 10) as u64;
    }
}

/// The result for tasks of one length.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// How long a task is: the time it takes in a loop without tasks.
    ns: f64,
    efficiency: f64,
}

fn attempt(
    n_tasks: u64,
    session: &mut dyn Session,
    plain: &dyn Fn(u64) -> u64,
    length: u64,
    workers: usize,
) -> Result<Attempt> {
    let mut loops = crate::session::InProcess(plain);
    let answer = loops.run(1, length)?.answers;
    let alone = often_enough(TRY_MIN, |times| checked(&mut loops, times, length, answer))?;
    let together = often_enough(TRY_MIN, |times| checked(session, times, length, answer))?;
    Ok(Attempt { ns: alone / n_tasks as f64, efficiency: alone / (together * workers as f64) })
}

/// The length at which tasks just become efficient: doubles it until they are, then halves the gap.
fn shortest(mut attempt: impl FnMut(u64) -> Result<Attempt>) -> Result<f64> {
    let (mut short, mut below) = (0, attempt(0)?);
    if below.efficiency >= EFFICIENCY {
        return Ok(below.ns);
    }
    let (mut long, mut above) = (1, attempt(1)?);
    while above.efficiency < EFFICIENCY {
        if long >= LENGTH_MAX {
            return Ok(f64::INFINITY);
        }
        (short, below) = (long, above);
        long *= 2;
        above = attempt(long)?;
    }
    while long - short > 1.max(short / LENGTH_PRECISION) {
        let middle = short + (long - short) / 2;
        let between = attempt(middle)?;
        if between.efficiency < EFFICIENCY {
            (short, below) = (middle, between);
        } else {
            (long, above) = (middle, between);
        }
    }
    let share = (EFFICIENCY - below.efficiency) / (above.efficiency - below.efficiency);
    Ok(below.ns + share * (above.ns - below.ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_efficient_task_is_as_long_as_what_it_costs() {
        for overhead in [0.5, 30.0, 250.0, 40_000.0] {
            let found = shortest(|length| {
                let ns = 1.0 + 2.0 * length as f64;
                Ok(Attempt { ns, efficiency: ns / (ns + overhead) })
            });
            let found = found.unwrap();
            let expected = f64::max(overhead, 1.0);
            assert!((found / expected - 1.0).abs() < 0.01, "{found} and not {expected}");
        }
    }

    #[test]
    fn rounds_have_orders_of_their_own() {
        let orders: Vec<_> = (0..7).map(|seed| order(10, seed)).collect();
        for (i, order) in orders.iter().enumerate() {
            assert!(!orders[..i].contains(order), "{order:?} comes twice");
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..10));
        }
    }

    #[test]
    fn a_wrong_answer_is_told() {
        let mut right = crate::session::InProcess(|_| 7);
        assert!(checked(&mut right, 3, 0, 7).is_ok());
        assert!(checked(&mut right, 3, 0, 8).is_err());
    }
}
