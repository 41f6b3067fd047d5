//! Stalls: that every worker is in one body for long is reported, with names; nothing else is.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::{Builder, DC, Runtime, all, delayed, each};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{log, process};

/// Long enough for a short body on a busy machine, and short enough to wait for.
const STALL_AFTER: Duration = Duration::from_millis(200);

/// All lines that this process has logged.
fn told() -> &'static Arc<Mutex<Vec<String>>> {
    static TOLD: OnceLock<Arc<Mutex<Vec<String>>>> = OnceLock::new();
    TOLD.get_or_init(log::told_by_all)
}

/// The lines so far that name this task.
fn told_of(name: &str) -> Vec<String> {
    told().lock().unwrap().iter().filter(|line| line.contains(name)).cloned().collect()
}

fn watched(max_workers: usize) -> Builder {
    told();
    Runtime::builder().max_workers(max_workers).stall_after(STALL_AFTER).no_control()
}

#[test]
fn a_stall_is_told_with_names_and_again_after_twice_the_time() {
    #[delayed]
    fn stuck_first(stages: Arc<Stages>) {
        stages.arrive();
        stages.wait_for(3);
    }
    #[delayed(name = "the second")]
    fn stuck_second(stages: Arc<Stages>) {
        stages.arrive();
        stages.wait_for(3);
    }
    wait::ends(|| {
        let runtime = watched(2).build().unwrap();
        let stages = Arc::new(Stages::new());
        let start = Instant::now();
        let first = runtime.spawn(stuck_first(Arc::clone(&stages)));
        let second = runtime.spawn(stuck_second(Arc::clone(&stages)));
        stages.wait_for(2);
        let waiting = runtime.spawn(all((0..10).map(|x| DC::new(move || x, ()))));
        // More looks than there are pings to tell apart.
        wait::until(|| 4 <= told_of("stuck_first").len());
        assert!(8 * STALL_AFTER <= start.elapsed());
        stages.arrive();
        [first, second].into_iter().for_each(|stuck| stuck.join().unwrap());
        waiting.join().unwrap();
        for (line, lasted) in told_of("stuck_first").iter().zip([0.2, 0.4, 0.8, 1.6]) {
            let told = line.strip_prefix("WARN every worker has been in one body for ").expect(line);
            let told: f64 = told.split(' ').next().unwrap().parse().unwrap();
            assert!(lasted <= told, "{told} s where it is {lasted} s: {line}");
            assert!(line.contains("`stuck_second` \"the second\" (tests/tests/stalls.rs:"), "{line}");
            assert!(line.contains("workers=2") && line.contains("waiting=1"), "{line}");
        }
    });
}

#[test]
fn bodies_that_are_polled_and_resumed_are_named_too() {
    #[delayed]
    async fn stuck_polled(stages: Arc<Stages>) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        stages.wait_for(1);
    }
    #[delayed]
    fn stuck_resumed(stages: Arc<Stages>) -> Vec<u32> {
        yield_!(1);
        stages.wait_for(1);
        yield_!(2);
    }
    wait::ends(|| {
        let runtime = watched(2).build().unwrap();
        let stages = Arc::new(Stages::new());
        let polled = runtime.spawn(stuck_polled(Arc::clone(&stages)));
        let resumed = runtime.spawn(stuck_resumed(Arc::clone(&stages)));
        wait::until(|| !told_of("stuck_polled").is_empty());
        assert!(told_of("stuck_polled")[0].contains("`stuck_resumed` (tests"));
        stages.signal(1);
        polled.join().unwrap();
        assert_eq!(resumed.join().unwrap(), [1, 2]);
    });
}

#[test]
fn nothing_is_told_while_a_worker_is_free_or_bodies_are_short() {
    #[delayed]
    fn stuck_alone(stages: Arc<Stages>) {
        stages.signal(1);
        stages.wait_for(2);
    }
    #[delayed]
    fn short_body(x: u64) -> u64 {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(200) {
            std::hint::spin_loop();
        }
        x
    }
    wait::ends(|| {
        // On a busy machine, a worker may be kept from going on for longer than in other tests.
        let stall_after = 5 * STALL_AFTER;
        let runtime = watched(2).stall_after(stall_after).build().unwrap();
        let stages = Arc::new(Stages::new());
        let alone = runtime.spawn(stuck_alone(Arc::clone(&stages)));
        stages.wait_for(1);
        let start = Instant::now();
        while start.elapsed() < 2 * stall_after {
            assert_eq!(runtime.run(each(0..500, short_body)).unwrap().len(), 500);
        }
        // A worker that rests is free, too.
        thread::sleep(2 * stall_after);
        stages.signal(2);
        alone.join().unwrap();
        assert_eq!(told_of("stuck_alone"), [""; 0]);
        assert_eq!(told_of("short_body"), [""; 0]);
    });
}

#[test]
fn a_body_that_waits_for_a_run_holds_no_worker() {
    #[delayed]
    fn waits_for_a_run(runtime: Arc<Runtime>) {
        runtime.run(sleeps()).unwrap();
    }
    #[delayed]
    async fn sleeps() {
        tokio::time::sleep(4 * STALL_AFTER).await;
    }
    wait::ends(|| {
        let runtime = Arc::new(watched(1).build().unwrap());
        runtime.run(waits_for_a_run(Arc::clone(&runtime))).unwrap();
        assert_eq!(told_of("waits_for_a_run"), [""; 0]);
    });
}

#[test]
fn the_port_lists_what_runs_and_for_how_long() {
    #[delayed]
    fn listed_body(stages: Arc<Stages>) {
        stages.signal(1);
        stages.wait_for(2);
    }
    wait::ends(|| {
        let runtime = watched(2).control("127.0.0.1:0".parse().unwrap()).build().unwrap();
        let mut stream = TcpStream::connect(runtime.control_addr().unwrap()).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let mut ask = || {
            stream.write_all(b"running\r\n").unwrap();
            lines.next().unwrap()
        };
        assert_eq!(ask(), "nothing is running");
        let stages = Arc::new(Stages::new());
        let (handle, line) = (runtime.spawn(listed_body(Arc::clone(&stages))), line!());
        stages.wait_for(1);
        let start = format!("1  listed_body (tests/tests/stalls.rs:{line})  ");
        let first = ask();
        assert!(first.starts_with(&start), "{first}");
        let mut last = first;
        while last.ends_with('-') || last.ends_with(" 0.0 s") {
            last = ask();
        }
        assert!(last.starts_with(&start) && last.ends_with(" s"), "{last}");
        stages.signal(2);
        handle.join().unwrap();
        while ask() != "nothing is running" {}
    });
}

/// The threads of this process with that name.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("the system is Linux");
    tasks
        .filter(|task| {
            fs::read_to_string(task.as_ref().unwrap().path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        })
        .count()
}

#[test]
fn the_watch_starts_with_the_first_run_and_ends_with_the_runtime() {
    process::alone("the_watch_starts_with_the_first_run_and_ends_with_the_runtime", || {
        let runtime = Runtime::builder().max_workers(1).no_control().build().unwrap();
        // A thread has its name a moment after it has started.
        assert_eq!(threads("taskgraph-watch"), 0);
        for _ in 0..3 {
            runtime.run(DC::new(|| (), ())).unwrap();
            wait::until(|| threads("taskgraph-watch") == 1);
        }
        drop(runtime);
        // A thread that was joined is still listed for a moment.
        wait::until(|| threads("taskgraph-watch") == 0);
        let unwatched = Runtime::builder().max_workers(1).stall_after(Duration::MAX).no_control().build().unwrap();
        unwatched.run(DC::new(|| thread::sleep(Duration::from_millis(20)), ())).unwrap();
        assert_eq!(threads("taskgraph-watch"), 0);
    });
}

#[test]
fn watching_costs_no_processor_time() {
    process::alone("watching_costs_no_processor_time", || {
        let runtime = Runtime::builder().max_workers(2).no_control().build().unwrap();
        let idle = runtime.spawn(slept_for_ever());
        runtime.run(DC::new(|| (), ())).unwrap();
        let used = process::processor_time_of(|| thread::sleep(Duration::from_secs(1)));
        assert!(used <= Duration::from_millis(10), "{used:?}");
        idle.cancel();
    });
    #[delayed]
    async fn slept_for_ever() {
        std::future::pending().await
    }
}

#[test]
fn a_watch_that_has_gone_to_sleep_wakes_up_for_the_next_run() {
    #[delayed]
    fn stuck_later(stages: Arc<Stages>) {
        stages.wait_for(1);
    }
    wait::ends(|| {
        let runtime = watched(1).build().unwrap();
        runtime.run(DC::new(|| (), ())).unwrap();
        // By then it has found that no run lives.
        thread::sleep(2 * STALL_AFTER);
        let stages = Arc::new(Stages::new());
        let handle = runtime.spawn(stuck_later(Arc::clone(&stages)));
        wait::until(|| !told_of("stuck_later").is_empty());
        stages.signal(1);
        handle.join().unwrap();
    });
}
