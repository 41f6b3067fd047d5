//! Retries: how often, with what, after how long, and how they are reported.

use std::error::Error as _;
use std::io;
use std::num::ParseIntError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskgraph::testing::run_seeded;
use taskgraph::{DC, Error, attempt, delayed};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::{run, runtime, wait};
use tokio::time::{self, Instant};

/// What each try saw.
type Seen = Arc<Mutex<Vec<u32>>>;

fn see(seen: &Seen) -> u32 {
    seen.lock().unwrap().push(attempt());
    attempt()
}

#[delayed]
fn part(seen: Seen, enough: u32) -> Result<u32, String> {
    let attempt = see(&seen);
    if attempt < enough { Err(format!("not yet, {attempt}")) } else { Ok(attempt) }
}

#[delayed]
async fn async_part(seen: Seen, enough: u32) -> Result<u32, Error> {
    part(seen, enough).await
}

#[delayed(retries = 3, backoff = "1ms..2ms")]
fn plain(seen: Seen, enough: u32) -> Result<u32, String> {
    let attempt = see(&seen);
    if attempt < enough { Err(format!("not yet, {attempt}")) } else { Ok(attempt) }
}

#[delayed(retries = 3, backoff = "1ms..2ms")]
fn returning(seen: Seen, enough: u32) -> DC<u32> {
    part(seen, enough).map(|x| x)
}

#[delayed(retries = 3, backoff = "1ms..2ms", limit = 1)]
async fn awaiting(seen: Seen, enough: u32) -> Result<u32, Error> {
    time::sleep(Duration::from_millis(1)).await;
    part(seen, enough).await
}

#[delayed(retries = 3, backoff = "1ms..2ms", timeout = "1h")]
fn yielding(seen: Seen, enough: u32) -> Vec<u32> {
    yield_!(part(seen, enough));
}

#[delayed(retries = 3, backoff = "1ms..2ms", priority = 2)]
fn returning_async(seen: Seen, enough: u32) -> Result<DC<u32>, String> {
    Ok(async_part(seen, enough))
}

#[delayed(timeout = "1h")]
fn timed_part(seen: Seen, enough: u32) -> DC<u32> {
    part(seen, enough)
}

#[delayed(retries = 3, backoff = "1ms..2ms")]
fn returning_timed(seen: Seen, enough: u32) -> DC<u32> {
    timed_part(seen, enough)
}

fn all(seen: &Seen, enough: u32) -> [DC<u32>; 6] {
    let seen = || Arc::clone(seen);
    [
        plain(seen(), enough),
        returning(seen(), enough),
        awaiting(seen(), enough),
        yielding(seen(), enough).map(|all| all[0]),
        returning_async(seen(), enough),
        returning_timed(seen(), enough),
    ]
}

#[test]
fn each_body_knows_which_try_it_belongs_to() {
    for enough in 1..=4 {
        for which in 0..6 {
            for max_workers in [1, 2] {
                let seen = Seen::default();
                let one = all(&seen, enough).into_iter().nth(which).unwrap();
                assert_eq!(wait::ends(move || run(one, max_workers)).unwrap(), enough, "number {which}");
                assert_eq!(*seen.lock().unwrap(), (1..=enough).collect::<Vec<_>>(), "number {which}");
            }
        }
    }
    assert_eq!(attempt(), 1);
    // A shared result belongs to no try: all use it.
    #[delayed(retries = 2, backoff = "1ms..2ms")]
    fn uses(x: u32) -> Result<u32, String> {
        if attempt() < 3 { Err("no".into()) } else { Ok(attempt() * 10 + x) }
    }
    assert_eq!(run(uses(part(Seen::default(), 1).shared()), 1).unwrap(), 31);
}

#[test]
fn an_error_tells_of_every_try() {
    for which in 0..6 {
        let seen = Seen::default();
        let one = all(&seen, 9).into_iter().nth(which).unwrap().map(|x| x + 1);
        let error = run(one, 2).unwrap_err();
        assert_eq!(seen.lock().unwrap().len(), 4);
        assert_eq!(error.attempts().len(), 4);
        for (i, attempt) in error.attempts().iter().enumerate() {
            assert!(attempt.to_string().ends_with(&format!("failed: not yet, {}", i + 1)), "{attempt}");
            assert!(attempt.attempts().is_empty());
        }
        assert!(error.to_string().ends_with("failed: not yet, 4 (the last of 4 tries)"), "{error}");
        let told = format!("{error:#}");
        let lines: Vec<_> = told.lines().collect();
        for (i, line) in lines.iter().enumerate().skip(1).take(4) {
            let (start, end) = (format!("  try {i}: task `"), format!("not yet, {i}"));
            assert!(line.starts_with(&start) && line.ends_with(&end), "{told}");
        }
        assert!(lines.last().unwrap().starts_with("  needed by `map` ("), "{told}");
    }
}

#[test]
fn tries_in_tries_tell_of_their_own() {
    #[delayed(retries = 1, backoff = "1ns..1ns")]
    fn inner(tries: Arc<AtomicU32>) -> Result<(), String> {
        Err(format!("number {}", tries.fetch_add(1, Ordering::SeqCst) + 1))
    }
    #[delayed(timeout = "1h")]
    fn timed(tries: Arc<AtomicU32>) -> DC<()> {
        inner(tries)
    }
    #[delayed(retries = 2, backoff = "1ns..1ns")]
    fn outer(tries: Arc<AtomicU32>) -> DC<()> {
        timed(tries)
    }
    // A task without retries leaves the error as it is.
    let error = run(timed(Arc::default()), 1).unwrap_err();
    assert_eq!(error.attempts().len(), 2, "{error:#}");
    assert!(error.to_string().ends_with("number 2 (the last of 2 tries)"), "{error}");
    let error = run(outer(Arc::default()), 1).unwrap_err();
    assert_eq!(error.attempts().len(), 3, "{error:#}");
    assert!(error.attempts().iter().all(|error| error.attempts().len() == 2));
    assert!(error.to_string().ends_with("number 6 (the last of 3 tries)"), "{error}");
}

#[test]
fn a_name_is_that_of_the_last_who_gave_one() {
    #[delayed(retries = 1, backoff = "1ns..1ns", name = "from the attribute")]
    fn labelled() -> Result<(), String> {
        Err("no".into())
    }
    let error = run(labelled(), 1).unwrap_err();
    assert_eq!(error.task().unwrap().label(), Some("from the attribute"));
    let error = run(labelled().named("from the caller"), 1).unwrap_err();
    assert_eq!(error.task().unwrap().label(), Some("from the caller"), "{error:#}");
    assert_eq!(error.task().unwrap().line(), line!() - 2);
}

#[test]
fn arguments_are_cloned_for_each_try_and_borrowed_ones_are_not() {
    #[delayed(retries = 2, backoff = "1ns..1ns")]
    fn owns(x: Counted) -> Result<(), String> {
        x.check();
        Err("no".into())
    }
    #[delayed(retries = 2, backoff = "1ns..1ns")]
    async fn borrows(x: &Counted) -> Result<(), String> {
        x.check();
        Err("no".into())
    }
    for max_workers in [1, 2] {
        let (owned, borrowed, shared) = (Census::new(), Census::new(), Census::new());
        run(owns(owned.counted()), max_workers).unwrap_err();
        assert_eq!(owned.clones(), 3);
        run(borrows(borrowed.counted()), max_workers).unwrap_err();
        run(borrows(DC::value(shared.counted()).shared()), max_workers).unwrap_err();
        assert_eq!(borrowed.clones() + shared.clones(), 0);
        [owned, borrowed, shared].iter().for_each(|census| census.assert_balanced(1));
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

fn is_parse_error(error: &Error) -> bool {
    error.downcast_ref::<ParseIntError>().is_some()
}

#[test]
fn a_function_says_which_failures_are_worth_a_try() {
    #[delayed(retries = 3, backoff = "1ns..1ns", retry_if = is_busy)]
    fn by_cause(kinds: Vec<io::ErrorKind>) -> io::Result<()> {
        Err(kinds[attempt() as usize - 1].into())
    }
    #[delayed(retries = 3, backoff = "1ns..1ns", retry_if = is_parse_error)]
    fn by_error(texts: Vec<&'static str>) -> Result<u32, ParseIntError> {
        let text = texts[attempt() as usize - 1];
        assert_ne!(text, "panic");
        text.parse()
    }
    use io::ErrorKind::{NotFound, ResourceBusy};
    for (kinds, tries) in
        [(vec![ResourceBusy; 4], 4), (vec![NotFound], 0), (vec![ResourceBusy, ResourceBusy, NotFound], 3)]
    {
        let error = run(by_cause(kinds.clone()), 1).unwrap_err();
        assert_eq!(error.attempts().len(), tries);
        assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), *kinds.last().unwrap());
    }
    assert_eq!(run(by_error(vec!["x", "1"]), 1).unwrap(), 1);
    let error = run(by_error(vec!["x", "panic"]), 1).unwrap_err();
    assert!(error.is_panic() && error.attempts().len() == 2, "{error:#}");
}

#[test]
fn panics_and_timeouts_are_tried_again() {
    #[delayed(retries = 2, backoff = "1ns..1ns", timeout = "5ms")]
    async fn unlucky(census: Census) -> u32 {
        let _held = census.counted();
        match attempt() {
            1 => quiet_panic("first"),
            2 => std::future::pending().await,
            third => third,
        }
    }
    for max_workers in [1, 2] {
        let census = Census::new();
        let one = unlucky(census.clone());
        assert_eq!(wait::ends(move || run(one, max_workers)).unwrap(), 3);
        census.assert_balanced(3);
    }
}

#[delayed(retries = 6, backoff = "1s..10s")]
async fn at_times(times: Arc<Mutex<Vec<Instant>>>) -> Result<(), String> {
    times.lock().unwrap().push(Instant::now());
    Err("no".into())
}

#[test]
fn waits_are_drawn_from_a_bound_that_doubles_up_to_the_cap() {
    let mut longest = [Duration::ZERO; 6];
    let mut shortest = [Duration::MAX; 6];
    for seed in 0..300 {
        let waits = || {
            let times = Arc::new(Mutex::new(Vec::new()));
            run_seeded(at_times(Arc::clone(&times)), seed).unwrap_err();
            let times = times.lock().unwrap();
            times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
        };
        let drawn = waits();
        assert_eq!(drawn.len(), 6);
        assert_eq!(drawn, waits(), "a seed repeats");
        for (i, wait) in drawn.into_iter().enumerate() {
            longest[i] = longest[i].max(wait);
            shortest[i] = shortest[i].min(wait);
        }
    }
    for (i, bound) in [1.0, 2.0, 4.0, 8.0, 10.0, 10.0].into_iter().enumerate() {
        // A timer is a millisecond late at most.
        assert!(longest[i].as_secs_f64() <= bound + 0.002, "{longest:?}");
        assert!(
            bound * 0.95 < longest[i].as_secs_f64() && shortest[i].as_secs_f64() < bound * 0.05,
            "{longest:?} {shortest:?}"
        );
    }
}

#[test]
fn who_waits_for_a_further_try_holds_neither_worker_nor_turn() {
    #[delayed(retries = 1, backoff = "1h..1h", limit = 1)]
    fn fails_first(seen: Seen) -> Result<u32, String> {
        if see(&seen) == 1 { Err("no".into()) } else { Ok(7) }
    }
    for seed in 0..50 {
        let seen = Seen::default();
        let all = taskgraph::all((0..10).map(|_| fails_first(Arc::clone(&seen))));
        assert_eq!(run_seeded(all, seed).unwrap(), [7; 10]);
        // All fail before the first of them is tried again.
        assert_eq!(*seen.lock().unwrap(), [[1; 10], [2; 10]].concat());
    }
    // With one worker others run meanwhile, and the end of the run ends the waiting.
    wait::ends(|| {
        let runtime = runtime(1);
        let (census, seen) = (Census::new(), Seen::default());
        let held = census.counted();
        let waiting = runtime.spawn(fails_first(Arc::clone(&seen)).map(move |_| drop(held)));
        wait::until(|| !seen.lock().unwrap().is_empty());
        assert_eq!(runtime.run(DC::new(|x: u32| x, (1,))).unwrap(), 1);
        let canceller = waiting.canceller();
        canceller.cancel_because("enough");
        let error = waiting.join().unwrap_err();
        assert!(error.is_cancelled() && error.attempts().is_empty(), "{error:#}");
        census.assert_balanced(1);
        assert_eq!(*seen.lock().unwrap(), [1]);
    });
}

#[test]
fn shared_and_attempted_ones_are_tried_again_once_for_all() {
    for seed in 0..50 {
        let seen = Seen::default();
        let shared = plain(Arc::clone(&seen), 3).shared();
        let both = taskgraph::all([shared.dc(), shared.dc().map(|x| x)]);
        assert_eq!(run_seeded(both, seed).unwrap(), [3, 3]);
        assert_eq!(*seen.lock().unwrap(), [1, 2, 3]);
        let failed = plain(Seen::default(), 9).shared();
        let errors = taskgraph::all([failed.dc(), failed.dc()].map(DC::attempt));
        for error in run_seeded(errors, seed).unwrap() {
            assert_eq!(error.unwrap_err().attempts().len(), 4);
        }
    }
}

#[test]
fn of_very_many_tries_the_first_and_the_last_are_told() {
    #[delayed(retries = 99, backoff = "1ns..1ns")]
    fn hopeless() -> Result<(), String> {
        Err(format!("no. {}", attempt()))
    }
    let error = run(hopeless(), 1).unwrap_err();
    assert!(error.to_string().ends_with("failed: no. 100 (the last of 100 tries)"), "{error}");
    let causes: Vec<_> = error.attempts().iter().map(|error| error.source().unwrap().to_string()).collect();
    let expected: Vec<_> = (1..=32).chain(69..=100).map(|i| format!("no. {i}")).collect();
    assert_eq!(causes, expected);
    let told = format!("{error:#}");
    for (number, is_told) in [(1, true), (32, true), (33, false), (68, false), (69, true), (100, true)] {
        assert_eq!(told.contains(&format!("\n  try {number}: ")), is_told, "{number}: {told}");
    }
}
