//! Rayon inside of tasks.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rayon::prelude::*;
use taskgraph::{DC, all};
use taskgraph_tests::inside::{Inside, spin};
use taskgraph_tests::wait;
use taskgraph_tests::{process, runtime};

#[test]
fn sees_as_many_threads_as_there_are_workers() {
    for max_workers in [1, 2, 5] {
        assert_eq!(runtime(max_workers).run(DC::new(rayon::current_num_threads, ())).unwrap(), max_workers);
    }
    let runtime = runtime(2);
    runtime.set_max_workers(3).unwrap();
    assert_eq!(runtime.run(DC::new(rayon::current_num_threads, ())).unwrap(), 3);
}

#[test]
fn uses_no_more_threads_than_there_are_workers() {
    wait::ends(|| {
        for max_workers in [1, 2, 3] {
            let inside = Arc::new(Inside::default());
            let counts = Arc::clone(&inside);
            let sum = DC::new(
                move || {
                    (0..300u64)
                        .into_par_iter()
                        .map(|i| counts.during(|| (spin(Duration::from_micros(50)), i).1))
                        .sum::<u64>()
                },
                (),
            );
            assert_eq!(runtime(max_workers).run(sum).unwrap(), 44850);
            assert!(inside.max() <= max_workers);
        }
    });
}

#[test]
fn goes_on_through_changes() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(2));
        let tasks = (0..100).map(|_| DC::new(|| (0..1000u64).into_par_iter().map(|i| i % 7).sum::<u64>(), ()));
        let handle = runtime.spawn(all(tasks));
        let mut size = 0;
        while !handle.is_finished() {
            size = (size + 1) % 5;
            runtime.set_max_workers(size + 1).unwrap();
        }
        let expected = (0..1000u64).map(|i| i % 7).sum::<u64>();
        assert!(handle.join().unwrap().into_iter().all(|sum| sum == expected));
    });
}

#[test]
fn may_run_graphs() {
    // One half runs a graph on a thread that is not inside a task, the other waits for it in rayon.
    wait::ends(|| {
        for max_workers in [1, 2, 3] {
            let runtime = Arc::new(runtime(max_workers));
            for _ in 0..20 {
                let inner = Arc::clone(&runtime);
                let sums = DC::new(
                    move || {
                        let run = |i: usize| inner.run(DC::new(|a: usize| a + 1, (i,))).unwrap();
                        (0..8usize).into_par_iter().with_max_len(1).map(run).sum::<usize>()
                    },
                    (),
                );
                assert_eq!(runtime.run(sums).unwrap(), 36);
            }
        }
    });
}

#[test]
fn may_wait_long_while_other_tasks_are_ready() {
    // One worker waits in rayon for the other, and is offered the ready tasks meanwhile.
    process::alone("may_wait_long_while_other_tasks_are_ready", || {
        let runtime = runtime(2);
        let before = process::mappings();
        let long =
            DC::new(|| rayon::join(|| spin(Duration::from_millis(1)), || thread::sleep(Duration::from_secs(2))), ());
        let long = runtime.spawn(long);
        let others = runtime.spawn(all((0..100).map(|_| DC::new(|| spin(Duration::from_micros(10)), ()))));
        long.join().unwrap();
        others.join().unwrap();
        let more = process::mappings().saturating_sub(before);
        println!("measured {more} more mappings");
        assert!(more < 100, "{more} mappings were left behind");
    });
}
