//! The cost of workers that have nothing to do.

#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use taskgraph::{DC, all};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{blocker, process, runtime};

#[test]
fn workers_use_no_processor_time() {
    process::alone("workers_use_no_processor_time", || {
        let runtime = runtime(8);
        runtime.run(all((0..1000).map(|i| DC::new(|i: u64| i, (i,))))).unwrap();
        let stages = Arc::new(Stages::new());
        let first = runtime.spawn(blocker(&stages));
        stages.wait_for(1);
        let used = process::processor_time_of(|| thread::sleep(Duration::from_secs(1)));
        stages.signal(2);
        first.join().unwrap();
        println!("measured {used:?} in a second");
        assert!(used < Duration::from_millis(20), "{used:?} in a second");
    });
}

#[test]
fn threads_are_gone_when_their_runtime_is() {
    process::alone("threads_are_gone_when_their_runtime_is", || {
        let before = process::threads();
        for i in 0..20 {
            let runtime = Arc::new(runtime(4));
            let inner = Arc::clone(&runtime);
            let nested = DC::new(move || inner.run(DC::value(1)).unwrap(), ());
            runtime.set_max_workers(1 + i % 9).unwrap();
            assert_eq!(runtime.run(nested).unwrap(), 1);
            // The task's own handle on the runtime is dropped before its result comes.
            drop(Arc::into_inner(runtime).expect("the task has dropped its handle"));
            // A thread that was joined is still counted for a moment.
            wait::until(|| process::threads() <= before);
        }
    });
}

#[test]
fn threads_of_old_sizes_end_while_the_runtime_lives() {
    process::alone("threads_of_old_sizes_end_while_the_runtime_lives", || {
        let runtime = runtime(2);
        runtime.run(DC::value(1)).unwrap();
        let before = process::threads();
        for i in 0..500 {
            runtime.set_max_workers(1 + i % 16).unwrap();
            runtime.run(all((0..10).map(DC::value))).unwrap();
        }
        runtime.set_max_workers(2).unwrap();
        wait::until(|| process::threads() <= before);
    });
}
