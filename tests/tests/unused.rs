//! Computations that are dropped without having been run: this is logged, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use taskgraph::{DC, all, delayed, each};
use taskgraph_tests::census::Census;
use taskgraph_tests::wait::Stages;
use taskgraph_tests::{failing, log, process, run, runtime};

mod an_unused_computation {
    use super::*;

    #[delayed]
    fn forgotten() -> u32 {
        1
    }

    #[delayed]
    fn needs(x: u32) -> u32 {
        x
    }

    #[delayed]
    fn total(parts: Vec<u32>) -> u32 {
        parts.iter().sum()
    }

    #[test]
    fn is_told_once_with_the_name_of_its_task() {
        let told = log::told_by(|| drop(needs(needs(forgotten()))));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("WARN `needs` ("), "{told:?}");
        assert!(told[0].contains(file!()) && told[0].contains("was dropped without having been run"), "{told:?}");
    }

    #[test]
    fn is_told_by_its_name() {
        let told = log::told_by(|| drop(forgotten().named("precious")));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("\"precious\"") && !told[0].contains("``"), "{told:?}");
        let shown = format!("{:?}", forgotten().named("precious"));
        assert!(!shown.contains("``"), "{shown}");
    }

    #[test]
    fn is_told_wherever_it_is_dropped() {
        let told = log::told_by(|| drop(forgotten().shared()));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(vec![forgotten(), forgotten(), forgotten()]));
        assert_eq!(told.len(), 3, "{told:?}");
        let told = log::told_by(|| drop(forgotten().attempt()));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(all((0..100).map(|_| forgotten()))));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(needs(total(vec![forgotten(), forgotten()]))));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(total((0..100).map(|_| forgotten()).collect::<Vec<_>>())));
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn that_was_to_make_others_makes_none_and_is_told_once() {
        let (census, made) = (Census::new(), Arc::new(AtomicU32::new(0)));
        for len in [0, 1, 16, 100, 5000] {
            let (captured, count) = (census.counted(), Arc::clone(&made));
            let make = move |i: u32| {
                captured.check();
                count.fetch_add(1, Ordering::SeqCst);
                needs(i)
            };
            let told = log::told_by(|| drop(each(0..len, make)));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("WARN `each` (") && told[0].contains(file!()), "{told:?}");
        }
        assert_eq!(made.load(Ordering::SeqCst), 0);
        census.assert_balanced(5);
        // Nor are its items logged, which are part of it.
        let told = log::told_by(|| drop(needs(total(each(vec![forgotten(), forgotten()], needs)))));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("WARN `needs` ("), "{told:?}");
    }

    #[test]
    fn is_not_told_when_its_run_ended_early() {
        process::alone("an_unused_computation::is_not_told_when_its_run_ended_early", || {
            let told = log::told_by_all();
            #[delayed]
            fn generator() -> Vec<u32> {
                for _ in 0..100 {
                    yield_!(needs(forgotten()));
                    yield_!(failing::<u32>("early"));
                }
            }
            let graphs: [fn() -> DC<u32>; 7] = [
                || {
                    DC::new(
                        |_: u32, x: u32| x,
                        (failing::<u32>("early"), needs(forgotten().attempt().map(|x| x.unwrap()))),
                    )
                },
                || all((0..100).map(|i| if i == 3 { failing("early") } else { needs(forgotten()) })).map(|_| 1),
                || generator().map(|_| 1),
                || DC::new(|_: u32, x: u32| x, (failing::<u32>("early"), forgotten().shared())),
                || failing::<u32>("early").then(|_| forgotten()),
                || each(0..100, |i| if i == 3 { failing("early") } else { needs(forgotten()) }).map(|_| 1),
                || total((0..100).map(|i| if i == 3 { failing("early") } else { needs(i) }).collect::<Vec<_>>()),
            ];
            for (i, graph) in graphs.into_iter().enumerate() {
                for max_workers in [1, 2] {
                    assert!(run(graph(), max_workers).is_err());
                    let lines = std::mem::take(&mut *told.lock().unwrap());
                    assert_eq!(lines, [""; 0], "graph {i} with {max_workers} workers");
                }
            }
            let runtime = runtime(1);
            let stages = Arc::new(Stages::new());
            let waits = Arc::clone(&stages);
            let busy = runtime.spawn(DC::new(move || waits.wait_for(1), ()));
            let handle = runtime.spawn(needs(forgotten()));
            handle.cancel();
            stages.signal(1);
            busy.join().unwrap();
            assert!(handle.join().unwrap_err().is_cancelled());
            assert_eq!(*told.lock().unwrap(), [""; 0]);
            // The test does listen.
            drop(forgotten());
            assert_eq!(told.lock().unwrap().len(), 1);
        });
    }
}
