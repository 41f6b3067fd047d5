//! What comes from outside, or is woken up, has its turn before long, however long the bodies are that are ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use taskgraph::{DC, Error, Runtime, Stream, all, delayed, race, select_ok, stream};
use taskgraph_tests::inside::spin;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{blocks_in, runtime};

const BODY: Duration = Duration::from_millis(2);
/// Bodies that a worker may run before the others have their turn.
const TURNS_MAX: u64 = 20;

/// A run of many bodies, of which each takes its time, and how many of them have ended.
struct Batch {
    ended: Arc<AtomicU64>,
    run: taskgraph::Handle<Vec<()>>,
}

impl Batch {
    /// All workers are at it.
    fn start(runtime: &Runtime) -> Self {
        let ended = Arc::new(AtomicU64::new(0));
        let body = |_| {
            let ended = Arc::clone(&ended);
            let body = move || {
                spin(BODY);
                ended.fetch_add(1, Relaxed);
            };
            DC::new(body, ())
        };
        let run = runtime.spawn(all((0..4_000).map(body)));
        wait::until(|| 10 < ended.load(Relaxed));
        Self { ended, run }
    }

    /// How many of its bodies end before `f` does, which needs so many turns. The thread of the test has to wait for a
    /// processor, too, so the best of some times counts.
    #[track_caller]
    fn check(&self, what: &str, turns: usize, f: impl Fn()) {
        let measure = |_| {
            let before = self.ended.load(Relaxed);
            f();
            self.ended.load(Relaxed) - before
        };
        let is_soon = |&ended: &u64| ended <= TURNS_MAX * turns as u64;
        let bodies: Vec<_> = (0..5).map(measure).collect();
        assert!(!self.run.is_finished() && bodies.iter().any(is_soon), "{what} comes after {bodies:?} bodies");
    }
}

#[delayed]
async fn naps(times: u32) {
    for _ in 0..times {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

#[delayed]
async fn sleeps() {
    std::future::pending().await
}

#[test]
fn beside_long_bodies_others_have_their_turns() {
    wait::ends(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let batch = Batch::start(&runtime);
            batch.check("a run", workers, || assert_eq!(runtime.run(DC::new(|| 7, ())).unwrap(), 7));
            batch.check("a timer", workers, || runtime.run(naps(1)).unwrap());
            batch.check("the third timer of a body", workers, || runtime.run(naps(3)).unwrap());
            batch.check("a timeout", workers, || {
                let error = runtime.run(sleeps().timeout(Duration::from_millis(1))).unwrap_err();
                assert!(error.is_timeout());
            });
            batch.check("a deadline", workers, || {
                let error = runtime.spawn(sleeps()).deadline(Instant::now()).join().unwrap_err();
                assert!(error.is_timeout());
            });
            batch.check("the end of many that sleep", workers, || {
                let many = runtime.spawn(all((0..500).map(|_| sleeps())));
                many.cancel();
                assert!(many.join().unwrap_err().is_cancelled());
            });
            batch.check("a body that gives way", workers, || {
                #[delayed]
                async fn gives_way() {
                    tokio::task::yield_now().await;
                }
                runtime.run(gives_way()).unwrap();
            });
        }
    });
}

#[test]
fn in_one_run_a_timer_rings_beside_long_bodies() {
    #[delayed]
    async fn first_of_both(batch: DC<Vec<()>>, ended: Arc<AtomicU64>) -> Result<u64, Error> {
        let mut batch = std::pin::pin!(batch.into_future());
        let nap = std::pin::pin!(async { naps(3).await.map(|()| ended.load(Relaxed)) });
        std::future::poll_fn(|context| {
            let _ = std::future::Future::poll(batch.as_mut(), context);
            std::task::Poll::Ready(())
        })
        .await;
        nap.await
    }
    wait::ends(|| {
        let ended = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&ended);
        let body = move |_| {
            let counts = Arc::clone(&counts);
            DC::new(
                move || {
                    spin(BODY);
                    counts.fetch_add(1, Relaxed);
                },
                (),
            )
        };
        let batch = DC::value(all((0..1_000).map(body)));
        let before = runtime(2).run(first_of_both(batch, ended)).unwrap();
        assert!(before <= 2 * TURNS_MAX, "after {before} bodies");
    });
}

#[delayed]
fn for_ever(n: u64) -> DC<u64> {
    for_ever(n + 1)
}

/// The same, and counts its steps.
#[delayed]
fn counts(steps: Arc<AtomicU64>) -> DC<u64> {
    steps.fetch_add(1, Relaxed);
    counts(steps)
}

/// Only the last one ever has a result.
#[delayed]
async fn contender(i: u32, of: u32) -> u32 {
    if i + 1 < of {
        std::future::pending::<()>().await;
    }
    i
}

#[test]
fn beside_an_endless_chain_all_that_were_asked_for_are_in_flight() {
    #[delayed]
    async fn first(mut stream: Stream<u32>) -> Result<u32, Error> {
        stream.next().await.expect("there is one")
    }
    wait::ends(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let _busy: Vec<_> = (0..workers).map(|_| runtime.spawn(for_ever(0))).collect();
            let contenders = || (0..200).map(|i| contender(i, 200));
            assert_eq!(runtime.run(race(contenders())).unwrap(), 199);
            assert_eq!(runtime.run(select_ok(contenders())).unwrap(), 199);
            let stream = stream(contenders()).as_completed().in_flight(1_000);
            assert_eq!(runtime.run(first(DC::value(stream))).unwrap(), 199);
        }
    });
}

#[delayed]
fn squares(n: u64) -> Vec<u64> {
    for x in 0..n {
        yield_!(DC::new(move || x * x, ()));
    }
}

#[test]
fn beside_long_bodies_a_generator_goes_on() {
    wait::ends(|| {
        let runtime = runtime(1);
        let batch = Batch::start(&runtime);
        batch.check("a generator", 5, || assert_eq!(runtime.run(squares(100)).unwrap().len(), 100));
    });
}

#[test]
fn beside_much_from_outside_a_generator_goes_on() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(1));
        let is_over = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (runtime, is_over) = (Arc::clone(&runtime), Arc::clone(&is_over));
                std::thread::spawn(move || {
                    while !is_over.load(Relaxed) {
                        runtime.run(DC::new(|| 1, ())).unwrap();
                    }
                })
            })
            .collect();
        assert_eq!(runtime.run(squares(20_000)).unwrap().len(), 20_000);
        is_over.store(true, Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn beside_an_endless_chain_what_comes_last_ends_when_it_is_stopped() {
    wait::ends(|| {
        let runtime = runtime(1);
        let _busy = runtime.spawn(for_ever(0));
        let patient = || DC::new(|| 1, ()).priority(-1);
        let cancelled = runtime.spawn(patient());
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        let ranked = runtime.spawn(patient());
        std::thread::sleep(Duration::from_millis(5));
        ranked.cancel();
        assert!(ranked.join().unwrap_err().is_cancelled());
        let late = runtime.spawn(patient()).deadline(Instant::now() + Duration::from_millis(5));
        assert!(late.join().unwrap_err().is_timeout());
        let part = all([patient(), DC::new(|| 2, ())]).timeout(Duration::from_millis(5)).attempt();
        assert!(runtime.run(part).unwrap().unwrap_err().is_timeout());
        let failed = patient().zip(DC::<u32>::failed("no"));
        assert!(runtime.run(failed).unwrap_err().to_string().ends_with("failed: no"));
    });
}

#[test]
fn what_many_blocked_tasks_held_up_goes_on_after_them() {
    wait::ends(|| {
        let (runtime, other) = (Arc::new(runtime(2)), Arc::new(runtime(1)));
        let stages = Arc::new(Stages::new());
        let blocked = runtime.spawn(all((0..40).map(|_| blocks_in(&other, &stages, 41))));
        stages.wait_for(40);
        // Each needs the last, and they are made by a generator that is held back while so many block.
        #[delayed]
        async fn meets(meeting: Arc<tokio::sync::Barrier>) {
            meeting.wait().await;
        }
        #[delayed]
        fn all_meet(n: usize) -> Vec<()> {
            let meeting = Arc::new(tokio::sync::Barrier::new(n));
            for _ in 0..n {
                yield_!(meets(Arc::clone(&meeting)));
            }
        }
        let meeting = runtime.spawn(all_meet(200));
        let race = runtime.spawn(race((0..200).map(|i| contender(i, 200))));
        assert_eq!(race.join().unwrap(), 199);
        stages.arrive();
        blocked.join().unwrap();
        assert_eq!(meeting.join().unwrap().len(), 200);
    });
}

/// A run of `n` bodies that take a millisecond each.
fn long(n: usize) -> DC<Vec<()>> {
    all((0..n).map(|_| DC::new(|| spin(Duration::from_millis(1)), ())))
}

/// Keeps a worker busy for ever, in one of several ways.
fn keep_busy(runtime: &Runtime, way: usize) {
    #[delayed]
    async fn yields_for_ever() {
        loop {
            tokio::task::yield_now().await;
        }
    }
    #[delayed]
    fn numbers() -> Vec<u64> {
        for i in 0.. {
            yield_!(DC::new(move || i, ()));
        }
    }
    match way {
        0 => runtime.spawn(for_ever(0)).detach(),
        1 => runtime.spawn(yields_for_ever()).detach(),
        _ => runtime.spawn(numbers().into_stream().fold(0, |a, b| a ^ b)).detach(),
    }
    std::thread::sleep(Duration::from_millis(5)); // so that it is under way
}

#[test]
fn an_older_run_goes_on_and_can_be_stopped_beside_a_newer_one() {
    wait::ends(|| {
        for way in 0..3 {
            let runtime = runtime(1);
            let started = |run: DC<Vec<()>>| {
                let run = runtime.spawn(run);
                std::thread::sleep(Duration::from_millis(5)); // so that it is under way
                run
            };
            let (older, cancelled) = (started(long(100)), started(long(100_000)));
            let late = started(long(100_000)).deadline(Instant::now() + Duration::from_millis(50));
            keep_busy(&runtime, way);
            assert_eq!(older.join().unwrap().len(), 100);
            cancelled.cancel();
            assert!(cancelled.join().unwrap_err().is_cancelled());
            assert!(late.join().unwrap_err().is_timeout());
        }
    });
}

#[test]
fn what_a_worker_has_left_goes_on_when_there_are_fewer() {
    wait::ends(|| {
        for way in 0..3 {
            let runtime = runtime(2);
            keep_busy(&runtime, way);
            let run = runtime.spawn(long(100));
            std::thread::sleep(Duration::from_millis(5)); // so that it is under way
            runtime.set_max_workers(1).unwrap();
            assert_eq!(run.join().unwrap().len(), 100);
        }
    });
}

#[test]
fn a_body_that_waits_for_what_it_has_yielded_gets_it_beside_busy_workers() {
    #[delayed]
    fn waits() -> Vec<u64> {
        let (send, receive) = std::sync::mpsc::channel();
        let child = move || {
            send.send(1).unwrap();
            1
        };
        yield_!(DC::new(child, ()));
        receive.recv().unwrap();
    }
    wait::ends(|| {
        for way in 0..3 {
            let runtime = runtime(2);
            keep_busy(&runtime, way);
            assert_eq!(runtime.run(waits()).unwrap(), [1]);
        }
    });
}

#[test]
fn equal_runs_get_equal_shares() {
    wait::ends(|| {
        let runtime = runtime(1);
        let steps: Vec<_> = (0..3).map(|_| Arc::new(AtomicU64::new(0))).collect();
        steps.iter().for_each(|steps| runtime.spawn(counts(Arc::clone(steps))).detach());
        wait::until(|| steps.iter().all(|steps| 0 < steps.load(Relaxed)));
        let before: Vec<_> = steps.iter().map(|steps| steps.load(Relaxed)).collect();
        let since = |i: usize| steps[i].load(Relaxed) - before[i];
        wait::until(|| (0..3).all(|i| 1_000_000 < since(i)));
        let steps: Vec<_> = (0..3).map(since).collect();
        let (least, most) = (steps.iter().min().unwrap(), steps.iter().max().unwrap());
        assert!(most / least < 5, "{steps:?}");
    });
}

#[test]
fn what_is_urgent_is_soon_through_beside_a_run_that_is_not() {
    wait::ends(|| {
        let runtime = runtime(1);
        let urgent = runtime.spawn(long(100).priority(1));
        std::thread::sleep(Duration::from_millis(5)); // so that it is under way
        keep_busy(&runtime, 0);
        let ordinary = runtime.spawn(long(10_000));
        assert_eq!(urgent.join().unwrap().len(), 100);
        assert!(!ordinary.is_finished(), "it has a small part of the time");
    });
}

/// As runs that are urgent end one after the other, so do their handles, and others have their part of the time.
#[test]
fn urgent_runs_that_follow_each_other_end_at_once_and_leave_others_their_part() {
    wait::ends(|| {
        let runtime = runtime(1);
        let (steps, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        runtime.spawn(counts(Arc::clone(&steps))).detach();
        let urgent = || {
            let ended = Arc::clone(&ended);
            let body = move || {
                spin(BODY);
                ended.fetch_add(1, Relaxed);
            };
            runtime.spawn(DC::new(body, ()).priority(1))
        };
        let mut handles = Vec::from_iter((0..4).map(|_| urgent()));
        while handles.len() < 200 {
            wait::until(|| handles.len() as u64 <= ended.load(Relaxed) + 3);
            handles.push(urgent());
        }
        let bodies = ended.load(Relaxed);
        let finished = handles.iter().filter(|handle| handle.is_finished()).count() as u64;
        assert!(bodies <= finished + 20, "{bodies} bodies have ended, and {finished} runs");
        let before = steps.load(Relaxed);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert!(1_000 < before, "{before} steps beside what is urgent");
    });
}

#[test]
fn beside_what_is_urgent_others_have_a_part_of_the_time() {
    wait::ends(|| {
        let runtime = runtime(1);
        let steps = Arc::new(AtomicU64::new(0));
        runtime.spawn(counts(Arc::clone(&steps))).detach();
        wait::until(|| 0 < steps.load(Relaxed));
        // The first is under way, another one waits.
        (0..2).for_each(|_| runtime.spawn(for_ever(0).priority(5)).detach());
        std::thread::sleep(Duration::from_millis(5)); // so that it is under way
        let before = steps.load(Relaxed);
        assert_eq!(runtime.run(DC::new(|| 7, ())).unwrap(), 7);
        wait::until(|| before + 100_000 < steps.load(Relaxed));
    });
}

#[test]
fn what_is_urgent_knows_its_own_run_after_others_had_their_part() {
    /// Asks for the limits of its run.
    #[delayed(limit = 8)]
    async fn countdown(n: u64) -> DC<u64> {
        if n == 0 { DC::value(0) } else { countdown(n - 1) }
    }
    wait::ends(|| {
        let runtime = runtime(1);
        keep_busy(&runtime, 0);
        assert_eq!(runtime.run(countdown(200_000).priority(1)).unwrap(), 0);
    });
}

#[test]
fn beside_many_that_are_urgent_others_have_a_part_of_the_time() {
    wait::ends(|| {
        let runtime = runtime(1);
        let urgent = (0..10_000).map(|_| DC::new(|| spin(Duration::from_millis(1)), ()).priority(5));
        let urgent = runtime.spawn(all(urgent));
        std::thread::sleep(Duration::from_millis(20)); // so that they are under way
        assert_eq!(runtime.run(DC::new(|| 7, ())).unwrap(), 7);
        assert!(!urgent.is_finished());
    });
}

#[test]
fn of_many_runs_none_starves() {
    wait::ends(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let steps: Vec<_> = (0..100).map(|_| Arc::new(AtomicU64::new(0))).collect();
            let runs: Vec<_> = steps.iter().map(|steps| runtime.spawn(counts(Arc::clone(steps)))).collect();
            for _ in 0..3 {
                let before: Vec<_> = steps.iter().map(|steps| steps.load(Relaxed)).collect();
                wait::until(|| steps.iter().zip(&before).all(|(steps, before)| before + 1_000 < steps.load(Relaxed)));
                assert_eq!(runtime.run(DC::new(|| 7, ())).unwrap(), 7);
            }
            for run in runs {
                run.cancel();
                assert!(run.join().unwrap_err().is_cancelled());
            }
        }
    });
}

#[test]
fn children_that_wait_are_made_beside_busy_workers() {
    #[delayed]
    fn many_naps(n: usize) -> Vec<()> {
        for _ in 0..n {
            yield_!(naps(10));
        }
    }
    wait::ends(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let batch = Batch::start(&runtime);
            batch.check("a generator of many that wait", 20, || {
                assert_eq!(runtime.run(many_naps(500)).unwrap().len(), 500);
            });
        }
    });
}

#[test]
fn a_generator_that_is_held_back_by_many_that_block_can_be_stopped() {
    #[delayed]
    fn many_sleep(n: usize) -> Vec<()> {
        for _ in 0..n {
            yield_!(sleeps());
        }
    }
    wait::ends(|| {
        let (runtime, other) = (Arc::new(runtime(2)), Arc::new(runtime(1)));
        let stages = Arc::new(Stages::new());
        let blocked = runtime.spawn(all((0..40).map(|_| blocks_in(&other, &stages, 41))));
        stages.wait_for(40);
        let cancelled = runtime.spawn(many_sleep(1_000));
        let late = many_sleep(1_000).timeout(Duration::from_millis(50)).attempt();
        assert!(runtime.run(late).unwrap().unwrap_err().is_timeout());
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        stages.arrive();
        blocked.join().unwrap();
    });
}

/// The other way round: what comes from outside without end does not keep a run from going on.
#[test]
fn beside_much_from_outside_a_run_goes_on() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(1));
        let batch = Batch::start(&runtime);
        let before = batch.ended.load(Relaxed);
        let spins = || DC::new(|| spin(BODY), ());
        let many: Vec<_> = (0..200).map(|_| runtime.spawn(spins())).collect();
        many.into_iter().for_each(|run| run.join().unwrap());
        let ended = batch.ended.load(Relaxed) - before;
        assert!((100..400).contains(&ended), "{ended} bodies beside 200");
    });
}
