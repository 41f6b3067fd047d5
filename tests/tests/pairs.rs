//! Pairs: two computations zipped into one, and one unzipped into two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use taskgraph::DC;
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::check;
use taskgraph_tests::tasks::{quiet_panic, task};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{WORKERS, failing, run, runtime};

mod a_zipped_pair {
    use super::*;

    #[test]
    fn is_of_both_results() {
        check(task(1).zip(task("b")), (1, "b"));
        check(DC::value(1).zip(DC::value(2)).zip(task(3)), ((1, 2), 3));
        check(task(2).zip(task(3)).map(|(a, b)| a * b), 6);
    }

    #[test]
    fn fails_if_one_of_the_two_does() {
        for max_workers in WORKERS {
            let census = Census::new();
            let counted = census.counted();
            let (line, pair) = (line!(), task(counted).zip(failing::<u32>("no second")));
            let error = run(pair, max_workers).map(|_| ()).unwrap_err();
            assert!(error.to_string().ends_with("failed: no second"), "{error}");
            let needed_by = &error.trace()[0];
            assert_eq!((needed_by.name(), needed_by.line()), ("zip", line));
            census.assert_balanced(1);
        }
    }
}

mod an_unzipped_pair {
    use super::*;

    fn pair(census: &Census, ran: &Arc<AtomicUsize>) -> DC<(Counted, Counted)> {
        let (census, ran) = (census.clone(), Arc::clone(ran));
        DC::new(
            move || {
                ran.fetch_add(1, Ordering::SeqCst);
                (census.counted(), census.counted())
            },
            (),
        )
    }

    #[test]
    fn is_computed_once_and_moved() {
        for max_workers in WORKERS {
            let (census, ran) = (Census::new(), Arc::default());
            let (a, b) = pair(&census, &ran).unzip();
            assert_eq!(ran.load(Ordering::SeqCst), 0, "nothing runs before it is needed");
            let (b, a) = run(b.zip(a), max_workers).unwrap();
            a.check();
            b.check();
            assert_eq!((ran.load(Ordering::SeqCst), census.made(), census.clones()), (1, 2, 0));
            drop((a, b));
            census.assert_balanced(2);
        }
    }

    #[test]
    fn keeps_which_half_is_which() {
        let (a, b) = task((1, "b")).unzip();
        check(a.zip(b), (1, "b"));
        let (a, b) = DC::value((1, 2)).unzip();
        check(a - b, -1);
    }

    #[test]
    fn may_be_of_what_is_neither_cloned_nor_shared() {
        use std::cell::Cell;
        let (a, b) = task((Cell::new(1), Box::new(Cell::new(2)))).unzip();
        check(a.map(|a| a.get()) + b.map(|b| b.get()), 3);
    }

    #[test]
    fn may_be_used_by_half() {
        wait::ends(|| {
            for max_workers in WORKERS {
                for keep_first in [true, false] {
                    for drop_after in [true, false] {
                        let (census, ran) = (Census::new(), Arc::default());
                        let (a, b) = pair(&census, &ran).unzip();
                        let (kept, dropped) = if keep_first { (a, b) } else { (b, a) };
                        let mut dropped = Some(dropped);
                        if !drop_after {
                            dropped = None;
                        }
                        run(kept, max_workers).unwrap().check();
                        drop(dropped);
                        assert_eq!(ran.load(Ordering::SeqCst), 1);
                        census.assert_balanced(2);
                    }
                }
            }
        });
    }

    #[test]
    fn is_not_computed_if_nobody_needs_it() {
        let (census, ran) = (Census::new(), Arc::default());
        let held = census.counted();
        let (a, b) = task(held)
            .then({
                let (census, ran) = (census.clone(), Arc::clone(&ran));
                move |_| pair(&census, &ran)
            })
            .unzip();
        drop(b);
        drop(a);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        census.assert_balanced(1);
    }

    #[test]
    fn may_be_used_in_two_runs() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let (census, ran) = (Census::new(), Arc::default());
                let (a, b) = pair(&census, &ran).unzip();
                let other = thread::spawn(move || run(b, max_workers).unwrap().check());
                run(a, max_workers).unwrap().check();
                other.join().unwrap();
                assert_eq!(ran.load(Ordering::SeqCst), 1);
                census.assert_balanced(2);
            }
        });
    }

    #[test]
    fn is_worked_on_by_two_workers() {
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let meets = |x: u32| {
                let stages = Arc::clone(&stages);
                move |half: u32| {
                    stages.arrive();
                    stages.wait_for(2);
                    half * x
                }
            };
            let (a, b) = task((1, 2)).unzip();
            check(a.map(meets(10)) + b.map(meets(100)), 210);
        });
    }

    #[test]
    fn fails_both_halves() {
        for max_workers in WORKERS {
            let (a, b) = failing::<(u32, u32)>("no pair").unzip();
            let (a, b) = run(a.attempt().zip(b.attempt()), max_workers).unwrap();
            for half in [a, b] {
                let error = half.unwrap_err();
                assert!(error.to_string().ends_with("failed: no pair"), "{error}");
                assert!(error.trace().iter().all(|task| task.name() == "unzip" && task.file() == file!()), "{error:#}");
            }
        }
    }

    #[test]
    fn loses_nothing_when_the_user_of_a_half_fails() {
        for max_workers in WORKERS {
            let (census, ran) = (Census::new(), Arc::default());
            let (a, b) = pair(&census, &ran).unzip();
            let a = a.map(|_| quiet_panic::<()>("half way"));
            let (a, b) = run(a.attempt().zip(b), max_workers).unwrap();
            assert!(a.unwrap_err().is_panic());
            b.check();
            drop(b);
            census.assert_balanced(2);
        }
    }

    #[test]
    fn is_cancelled_with_its_run() {
        wait::ends(|| {
            for max_workers in WORKERS {
                let (census, stages) = (Census::new(), Arc::new(Stages::new()));
                let (made, waits) = (census.clone(), Arc::clone(&stages));
                let pair = DC::new(
                    move || {
                        waits.signal(1);
                        waits.wait_for(2);
                        (made.counted(), made.counted())
                    },
                    (),
                );
                let (a, b) = pair.unzip();
                let runtime = runtime(max_workers);
                let handle = runtime.spawn(a.zip(b).map(|_| ()));
                stages.wait_for(1);
                handle.cancel();
                stages.signal(2);
                assert!(handle.join().unwrap_err().is_cancelled());
                census.assert_balanced(2);
            }
        });
    }
}
