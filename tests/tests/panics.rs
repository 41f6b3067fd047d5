//! Panics: of bodies, and of all other user code, when values are cloned or dropped, or closures are called.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};

use taskgraph::{DC, Error, Shared, all, delayed, each};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::check_fails;
use taskgraph_tests::tasks::{double, panicking, quiet_panic};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{failing, run, runtime};

mod panics {
    use super::*;

    #[test]
    fn of_a_body_are_the_failure_of_its_task() {
        let error = check_fails(double(panicking("out of luck")), 1, "panicked: out of luck");
        assert!(error.is_panic() && !error.is_cancelled() && !error.is_timeout() && error.source().is_none());
        let formatted = DC::new(|| -> () { std::panic::resume_unwind(Box::new(String::from("owned text"))) }, ());
        check_fails(formatted, 1, "panicked: owned text");
        let other = DC::new(|| -> () { std::panic::resume_unwind(Box::new(7)) }, ());
        assert!(check_fails(other, 1, "").is_panic());
    }

    #[test]
    fn of_a_payload_that_panics_when_dropped_stay_inside_the_run() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                quiet_panic::<()>("dropped");
            }
        }
        let task = DC::new(|| -> () { std::panic::resume_unwind(Box::new(Bomb)) }, ());
        assert!(run(task, 1).unwrap_err().is_panic());
    }

    #[test]
    fn of_a_generator_fail_it_and_drop_what_it_holds() {
        #[delayed]
        fn generator(census: Census, after: u32) -> Vec<Counted> {
            let _local = census.counted();
            for i in 0.. {
                if i == after {
                    quiet_panic::<()>("in the generator");
                }
                let census = census.clone();
                yield_!(DC::new(move || census.counted(), ()));
            }
        }
        for after in [0, 1, 5, 300] {
            for max_workers in [1, 3] {
                let census = Census::new();
                let error = run(generator(census.clone(), after), max_workers).map(|_| ()).unwrap_err();
                assert!(error.to_string().ends_with("panicked: in the generator"), "{error}");
                assert_eq!(error.task().unwrap().name(), "generator");
                census.assert_balanced(1);
            }
        }
    }

    #[test]
    fn of_a_collection_fail_the_generator() {
        struct Picky;
        impl FromIterator<Counted> for Picky {
            fn from_iter<I: IntoIterator<Item = Counted>>(iter: I) -> Self {
                let mut iter = iter.into_iter();
                let _first = iter.next();
                quiet_panic("in the collection")
            }
        }
        impl IntoIterator for Picky {
            type Item = Counted;
            type IntoIter = std::iter::Empty<Counted>;
            fn into_iter(self) -> Self::IntoIter {
                std::iter::empty()
            }
        }
        #[delayed]
        fn picky(census: Census, len: usize) -> Picky {
            for _ in 0..len {
                yield_!(census.counted());
            }
        }
        for len in [0, 1, 20, 5000] {
            let census = Census::new();
            let error = run(picky(census.clone(), len), 2).map(|_| ()).unwrap_err();
            assert!(error.is_panic() && error.to_string().ends_with("in the collection"), "{error}");
            assert_eq!(error.task().unwrap().name(), "picky");
            census.assert_balanced(len as i64);
        }
    }

    #[test]
    fn of_a_clone_fail_the_task_that_wanted_it() {
        struct Unclonable(Counted);
        impl Clone for Unclonable {
            fn clone(&self) -> Self {
                self.0.check();
                quiet_panic("in clone")
            }
        }
        let census = Census::new();
        let made = census.clone();
        let shared = DC::new(move || Unclonable(made.counted()), ()).shared();
        let wants =
            |shared: &Shared<Unclonable>| DC::new(|_: Unclonable, _: Counted| (), (shared.clone(), census.counted()));
        let both = DC::new(|_: (), _: Result<(), Error>| (), (wants(&shared), wants(&shared).attempt()));
        check_fails(both, 2, "panicked: in clone");
        drop(shared);
        census.assert_balanced(3);
    }

    /// Panics when it is dropped, unless that happens while another panic unwinds.
    struct Bomb(#[allow(dead_code)] Counted);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                quiet_panic::<()>("in drop");
            }
        }
    }

    #[test]
    fn of_a_dropped_argument_are_the_failure_of_the_task_that_drops_it() {
        let census = Census::new();
        let task = DC::new(|_: Bomb, _: Counted| (), (Bomb(census.counted()), census.counted()));
        check_fails(task, 1, "panicked: in drop");
        census.assert_balanced(2);
    }

    #[delayed]
    fn bombs(census: Census, failure: Failure, len: usize) -> Vec<Bomb> {
        let _local = Bomb(census.counted());
        for i in 0..len {
            let census = census.clone();
            yield_!(DC::new(move || Bomb(census.counted()), ()));
            if i == len / 2 {
                break;
            }
        }
        yield_!(failure.0);
    }

    struct Failure(DC<Bomb>);

    #[test]
    fn of_what_a_failed_run_drops_lose_nothing_else() {
        // A panic while one value is dropped must not keep the others alive.
        wait::ends(|| {
            let bomb = |census: &Census| DC::value(Bomb(census.counted()));
            type Build = fn(&Census, &dyn Fn(&Census) -> DC<Bomb>) -> DC<()>;
            let graphs: [(&str, Build); 10] = [
                ("arguments", |census, bomb| {
                    let captured = (Bomb(census.counted()), Bomb(census.counted()));
                    let (a, b) = (census.counted(), census.counted());
                    DC::new(
                        move |_: Bomb, _: Counted, _: Bomb, _: Counted, (): ()| drop(captured),
                        (Bomb(a), census.counted(), bomb(census), b, failing("on purpose")),
                    )
                }),
                ("array", |census, bomb| {
                    DC::new(
                        |_: [Bomb; 3], (): ()| (),
                        ([bomb(census), bomb(census), bomb(census)], failing("on purpose")),
                    )
                }),
                ("tuple", |census, bomb| {
                    DC::new(
                        |_: (Bomb, Counted, Bomb), (): ()| (),
                        ((Bomb(census.counted()), DC::value(census.counted()), bomb(census)), failing("on purpose")),
                    )
                }),
                ("short list", |census, bomb| {
                    all((0..9).map(|i| if i == 7 { failing("on purpose") } else { bomb(census) })).map(drop)
                }),
                ("long list", |census, bomb| {
                    all((0..90).map(|i| if i == 70 { failing("on purpose") } else { bomb(census) })).map(drop)
                }),
                ("short list of an argument", |census, bomb| {
                    let list: Vec<_> =
                        (0..9).map(|i| if i == 7 { failing("on purpose") } else { bomb(census) }).collect();
                    DC::new(|_: Vec<Bomb>, _: Counted| (), (list, census.counted()))
                }),
                ("long list of an argument", |census, bomb| {
                    let list: Vec<_> =
                        (0..90).map(|i| if i == 70 { failing("on purpose") } else { bomb(census) }).collect();
                    DC::new(|_: Vec<Bomb>, _: Counted| (), (list, census.counted()))
                }),
                ("each", |census, bomb| {
                    let items: Vec<_> =
                        (0..300).map(|i| if i == 70 { failing("on purpose") } else { bomb(census) }).collect();
                    let captured = Bomb(census.counted());
                    each(items, move |item| {
                        let Bomb(counted) = &captured;
                        counted.check();
                        item
                    })
                    .map(drop)
                }),
                ("shared", |census, bomb| {
                    let shared = all([bomb(census), bomb(census)]).map(Arc::new).shared();
                    DC::new(|_: Arc<Vec<Bomb>>, (): ()| (), (shared, failing("on purpose")))
                }),
                ("attempt", |census, bomb| {
                    let kept = all([bomb(census), bomb(census)]).attempt();
                    DC::new(|_: Result<Vec<Bomb>, Error>, (): ()| (), (kept, failing("on purpose")))
                }),
            ];
            for (name, graph) in graphs {
                for max_workers in [1, 2] {
                    let census = Census::new();
                    let error = run(graph(&census, &bomb), max_workers).unwrap_err();
                    // If a task drops the values, that task may have been first.
                    assert!(error.to_string().ends_with("failed: on purpose") || error.is_panic(), "{name}: {error}");
                    println!("{name}, {max_workers} workers");
                    census.assert_balanced(2);

                    let census = Census::new();
                    drop(graph(&census, &bomb));
                    println!("{name}, unrun");
                    census.assert_balanced(0);
                }
            }
            for (len, max_workers) in [(1, 1), (10, 1), (500, 2)] {
                let census = Census::new();
                let error = run(bombs(census.clone(), Failure(failing("on purpose")), len), max_workers);
                let error = error.map(drop).unwrap_err();
                assert!(error.to_string().ends_with("failed: on purpose") || error.is_panic(), "{error}");
                census.assert_balanced(1);
            }
        });
    }

    #[test]
    fn of_a_result_that_nobody_waits_for_stay_inside_the_run() {
        wait::ends(|| {
            let census = Census::new();
            let runtime = runtime(1);
            runtime.spawn(DC::value(Bomb(census.counted()))).detach();
            assert_eq!(runtime.run(DC::value(7)).unwrap(), 7, "the worker lives on");
            drop(runtime);
            census.assert_balanced(1);
        });
    }

    #[test]
    fn of_an_item_that_nobody_consumes_stay_inside_the_run() {
        wait::ends(|| {
            let runtime = runtime(1);
            let (census, stages) = (Census::new(), Arc::new(Stages::new()));
            let (bombs, waits) = (census.clone(), Arc::clone(&stages));
            // The consumer goes after the first item and before the second.
            let many = DC::new(
                move || {
                    let bombs = (0..100).map(move |i| {
                        if i == 1 {
                            stages.signal(1);
                            stages.wait_for(2);
                        }
                        Bomb(bombs.counted())
                    });
                    Box::new(bombs) as Box<dyn Iterator<Item = Bomb> + Send>
                },
                (),
            );
            let items = runtime.stream(many.into_stream());
            waits.wait_for(1);
            drop(items);
            waits.signal(2);
            assert_eq!(runtime.run(DC::value(7)).unwrap(), 7, "the worker lives on");
            drop(runtime);
            census.assert_balanced(1);
        });
    }

    #[test]
    fn of_a_waker_stay_inside_the_run() {
        struct Broken;
        impl Wake for Broken {
            fn wake(self: Arc<Self>) {
                quiet_panic::<()>("in wake");
            }
        }
        wait::ends(|| {
            let runtime = runtime(1);
            let stages = Arc::new(Stages::new());
            let waits = Arc::clone(&stages);
            let mut handle = Box::pin(runtime.spawn(DC::new(move || waits.wait_for(1), ())));
            let waker = Waker::from(Arc::new(Broken));
            assert!(handle.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            stages.signal(1);
            wait::until(|| handle.is_finished());
            assert_eq!(runtime.run(DC::value(7)).unwrap(), 7, "the worker lives on");
        });
    }

    #[derive(Debug)]
    struct BrokenError;

    impl From<BrokenError> for Box<dyn std::error::Error + Send + Sync> {
        fn from(_: BrokenError) -> Self {
            quiet_panic("in from")
        }
    }

    #[test]
    fn of_an_error_on_its_way_out_are_the_failure_of_the_task() {
        #[delayed]
        fn plain() -> Result<u32, BrokenError> {
            Err(BrokenError)
        }
        #[delayed]
        fn generator() -> Result<Vec<u32>, BrokenError> {
            yield_!(1);
            Err(BrokenError)?;
            Ok(())
        }
        check_fails(plain(), 1, "panicked: in from");
        check_fails(generator(), 1, "panicked: in from");
    }

    #[test]
    fn of_an_error_that_is_dropped_stay_inside_the_run() {
        struct Bomb;
        impl fmt::Debug for Bomb {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("Bomb")
            }
        }
        impl fmt::Display for Bomb {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bomb")
            }
        }
        impl std::error::Error for Bomb {}
        static DROPPED: AtomicU32 = AtomicU32::new(0);
        impl Drop for Bomb {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::SeqCst);
                quiet_panic::<()>("in drop");
            }
        }
        wait::ends(|| {
            // Two failures of one run: the second is not kept.
            let stages = Arc::new(Stages::new());
            let first = |stages: Arc<Stages>| {
                move || {
                    stages.arrive();
                    stages.wait_for(2);
                    Err::<(), Bomb>(Bomb)
                }
            };
            let a = DC::<()>::new(first(Arc::clone(&stages)), ());
            let b = DC::<()>::new(first(stages), ());
            let runtime = runtime(2);
            let error = runtime.run(DC::new(|(): (), (): ()| (), (a, b))).unwrap_err();
            assert_eq!(error.downcast_ref::<Bomb>().map(ToString::to_string).as_deref(), Some("bomb"));
            // Its drop panics, here or where the run is dropped, whichever is later.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(error)));
            wait::until(|| DROPPED.load(Ordering::SeqCst) == 2);
            assert_eq!(runtime.run(DC::value(7)).unwrap(), 7, "the workers live on");
        });
    }

    #[test]
    fn do_not_poison_a_runtime() {
        let runtime = runtime(2);
        for _ in 0..200 {
            assert!(runtime.run(panicking::<u32>("again")).unwrap_err().is_panic());
            assert_eq!(runtime.run(double(4)).unwrap(), 8);
        }
    }
}
