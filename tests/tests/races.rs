//! Several computations at once: races that choose one of them, and joins that wait for all of them.

use std::future::IntoFuture;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use taskgraph::{DC, Error, delayed};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::{failing, run};
use tokio::time::sleep;

const WORKERS: [usize; 3] = [1, 2, 4];

#[delayed]
async fn nap(ms: u64) -> u64 {
    sleep(Duration::from_millis(ms)).await;
    ms
}

mod chosen {
    use super::*;

    #[test]
    fn the_first_is_chosen_and_the_others_do_not_hold_it_up() {
        for workers in WORKERS {
            let runners = || [nap(3_600_000), nap(10), nap(3_600_001)];
            assert_eq!(run(taskgraph::race(runners()), workers).unwrap(), 10);
            assert_eq!(run(taskgraph::first_of(runners()), workers).unwrap(), (1, 10));
            assert_eq!(run(taskgraph::select_ok(runners()), workers).unwrap(), 10);
        }
    }

    #[test]
    fn a_race_may_be_won_by_a_failure_and_a_selection_not() {
        let runners = || [nap(20), failing("fell"), nap(3_600_000)];
        for workers in WORKERS {
            let error = run(taskgraph::race(runners()), workers).unwrap_err();
            assert!(error.to_string().ends_with("fell"), "{error}");
            assert_eq!(run(taskgraph::select_ok(runners()), workers).unwrap(), 20);
        }
    }

    #[test]
    fn where_all_fail_the_last_failure_is_told() {
        let error = run(taskgraph::select_ok([failing::<u64>("a"), failing("b")]), 1).unwrap_err();
        assert!(["a", "b"].iter().any(|cause| error.to_string().ends_with(cause)), "{error}");
        assert!(error.trace().iter().any(|task| task.name() == "select_ok"), "{error:#}");
    }

    /// Nobody owns the losers' values and errors, whatever they do when they are dropped.
    #[test]
    fn what_loses_may_panic_when_it_is_dropped() {
        #[derive(Debug)]
        struct Evil;
        impl std::fmt::Display for Evil {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("evil")
            }
        }
        impl std::error::Error for Evil {}
        impl Drop for Evil {
            fn drop(&mut self) {
                if !thread::panicking() {
                    quiet_panic::<()>("evil");
                }
            }
        }
        for workers in WORKERS {
            let runners = || [DC::<u64>::failed(Evil), DC::<u64>::failed(Evil), DC::new(|| 7, ())];
            assert_eq!(run(taskgraph::select_ok(runners()), workers).unwrap(), 7);
            let values = || [DC::new(|| (7, None), ()), nap(5).map(|_| (8, Some(Evil))), DC::new(|| (7, None), ())];
            assert_eq!(run(taskgraph::race(values()).map(|(x, _)| x), workers).unwrap(), 7);
            let census = Census::new();
            let items = taskgraph::stream((0..1_000).map(|_| DC::new(|| Evil, ())));
            let first = items.try_fold(census.counted(), |_, evil| {
                std::mem::forget(evil);
                Err::<Counted, _>("enough")
            });
            let error = run(first.map(drop), workers).unwrap_err();
            assert!(error.to_string().ends_with("failed: enough"), "{error}");
            census.assert_balanced(1);
        }
    }

    #[test]
    fn there_is_no_first_of_nothing() {
        let none = || Vec::<DC<u64>>::new();
        for chosen in [taskgraph::race(none()), taskgraph::select_ok(none())] {
            let error = run(chosen, 1).unwrap_err();
            assert!(error.to_string().ends_with("give it at least one computation"), "{error}");
            assert_eq!(error.task().unwrap().file(), file!());
        }
    }

    /// Hundreds more than are in flight if they are busy, and all of them have to start.
    #[test]
    fn all_that_sleep_run_at_once() {
        let naps = (0..500).map(|x| nap(if x == 499 { 10 } else { 3_600_000 }));
        assert_eq!(run(taskgraph::race(naps.collect::<Vec<_>>()), 1).unwrap(), 10);
    }

    #[test]
    fn what_the_losers_hold_is_dropped() {
        #[delayed]
        async fn holds(census: Census, ms: u64) -> Counted {
            let held = census.counted();
            sleep(Duration::from_millis(ms)).await;
            held
        }
        for workers in WORKERS {
            let census = Census::new();
            let runners: Vec<_> = (0..10).map(|x| holds(census.clone(), if x == 7 { 5 } else { 3_600_000 })).collect();
            run(taskgraph::race(runners), workers).unwrap().check();
            census.assert_balanced(1);
        }
    }
}

mod joined {
    use taskgraph::join;

    use super::*;

    #[test]
    fn what_is_joined_runs_at_once() {
        #[delayed]
        async fn meet(here: mpsc::Sender<()>, there: mpsc::Receiver<()>) -> bool {
            here.send(()).unwrap();
            loop {
                match there.try_recv() {
                    Ok(()) => return true,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        }
        #[delayed]
        async fn both() -> Result<bool, Error> {
            let ((a, at_b), (b, at_a)) = (mpsc::channel(), mpsc::channel());
            let (a, b) = join!(meet(a, at_a), meet(b, at_b));
            Ok(a? && b?)
        }
        for workers in WORKERS {
            assert!(run(both(), workers).unwrap());
        }
    }

    #[test]
    fn anything_that_becomes_a_future_is_joined() {
        #[delayed]
        async fn all() -> (u64, u64, bool) {
            let shared = DC::new(|| 9, ()).shared();
            let (a, b, c) = join!(DC::new(|| 4, ()), shared, async { true });
            (a.unwrap(), b.unwrap(), c)
        }
        assert_eq!(run(all(), 2).unwrap(), (4, 9, true));
    }

    #[test]
    fn the_failure_of_one_does_not_stop_the_others() {
        #[delayed]
        async fn both() -> (bool, u64) {
            let (a, b) = join!(failing::<u64>("no"), nap(5).into_future());
            (a.is_err(), b.unwrap())
        }
        assert_eq!(run(both(), 1).unwrap(), (true, 5));
    }
}
