//! rayon inside tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rayon::prelude::*;
use taskgraph::{DC, Runtime, all};
use taskgraph_tests::inside::{Inside, spin};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{process, runtime, size};

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

#[test]
fn gets_no_task_on_top_of_what_waits() {
    if size::IS_CHECKED {
        // A memory checker hides how deep a stack is.
        return;
    }
    // The second waits for the first. A piece of that waits for another piece, on a thread that looks for jobs meanwhile.
    wait::ends(|| {
        let runtime = Arc::new(runtime(2));
        for _ in 0..5 {
            let started = Arc::new(Stages::new());
            let pieces = Arc::clone(&started);
            let sleep = |ms| thread::sleep(Duration::from_millis(ms));
            let first = runtime.spawn(DC::new(
                move || {
                    let waits = || {
                        let says_so = || {
                            sleep(10);
                            pieces.signal(1);
                            sleep(10);
                        };
                        rayon::join(says_so, || sleep(100)) // taken by the thread that is through below
                    };
                    rayon::join(|| sleep(5), waits);
                    1
                },
                (),
            ));
            started.wait_for(1);
            let second = runtime.spawn(DC::new(move || first.join().unwrap() + 1, ()));
            assert_eq!(second.join().unwrap(), 2);
        }
    });
}

#[test]
fn that_blocks_in_many_pieces_is_made_up_for_by_one_worker() {
    wait::ends(|| {
        let (runtime, inside) = (Arc::new(runtime(3)), Arc::new(Inside::default()));
        let (runs, counts) = (Arc::clone(&runtime), Arc::clone(&inside));
        let piece = move |_| {
            let tasks = (0..10).map(|_| {
                let counts = Arc::clone(&counts);
                DC::new(move || counts.during(|| thread::sleep(Duration::from_millis(1))), ())
            });
            runs.run(all(tasks)).unwrap().len()
        };
        let sum = runtime.run(DC::new(move || (0..30).into_par_iter().with_max_len(1).map(piece).sum::<usize>(), ()));
        assert_eq!(sum.unwrap(), 300);
        assert!(inside.max() <= 3 + 1, "{} ran at once", inside.max());
    });
}

#[test]
fn that_blocks_in_many_pieces_needs_few_threads() {
    process::alone("that_blocks_in_many_pieces_needs_few_threads", || {
        const PIECES: u32 = 16;
        let (runtime, other) = (runtime(PIECES as usize), runtime(PIECES as usize));
        let (stages, threads_max) = (Arc::new(Stages::new()), Arc::new(AtomicU64::new(0)));
        let (gate, peak) = (Arc::clone(&stages), Arc::clone(&threads_max));
        let blocks = move |_| {
            let gate = Arc::clone(&gate);
            let all_are_here = move || {
                gate.arrive();
                gate.wait_for(PIECES);
            };
            other.run(DC::new(all_are_here, ())).unwrap();
            for _ in 0..20 {
                other.run(DC::new(|| (), ())).unwrap(); // sometimes one blocks, sometimes none
                peak.fetch_max(process::threads(), Relaxed);
            }
        };
        let before = process::threads();
        runtime.run(DC::new(move || (0..PIECES).into_par_iter().with_max_len(1).for_each(blocks), ())).unwrap();
        let threads = threads_max.load(Relaxed) - before;
        assert!(threads < 3 * u64::from(PIECES), "{threads} for {PIECES} pieces that block");
    });
}

#[test]
fn may_nest_runs_at_any_number_of_workers() {
    fn nested(runtime: &Arc<Runtime>, depth: u32) -> u32 {
        if depth == 0 {
            return 0;
        }
        let inner = Arc::clone(runtime);
        let piece = move || rayon::join(|| thread::sleep(Duration::from_millis(5)), || nested(&inner, depth - 1)).1;
        runtime.run(DC::new(move || piece() + 1, ())).unwrap()
    }
    wait::ends(|| {
        for max_workers in [1, 2, 4] {
            let runtime = Arc::new(runtime(max_workers));
            let depth = 3 * max_workers as u32;
            assert_eq!(nested(&runtime, depth), depth);
            assert_eq!(runtime.max_workers(), max_workers);
            // There are no more places than before.
            let inside = Arc::new(Inside::default());
            let tasks = (0..100).map(|_| {
                let inside = Arc::clone(&inside);
                DC::new(move || inside.during(|| spin(Duration::from_micros(100))), ())
            });
            runtime.run(all(tasks)).unwrap();
            assert!(inside.max() <= max_workers, "{} ran at once", inside.max());
        }
    });
}
