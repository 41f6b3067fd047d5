//! Workers: how many there are, how fast that changes, and what waiting costs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use taskgraph::{DC, Runtime, all, delayed};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{process, runtime, size};

/// Counts who is inside, and the most who were at once.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    max: AtomicUsize,
}

impl Inside {
    fn during<R>(&self, code: impl FnOnce() -> R) -> R {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.max.fetch_max(now, Ordering::SeqCst);
        let result = code();
        self.now.fetch_sub(1, Ordering::SeqCst);
        result
    }

    fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// So many tasks that are inside until they are let out.
fn waiting(tasks: usize, inside: &Arc<Inside>, out: &Arc<Stages>) -> DC<Vec<()>> {
    all((0..tasks).map(|_| {
        let (inside, out) = (Arc::clone(inside), Arc::clone(out));
        DC::new(move || inside.during(|| out.wait_for(1)), ())
    }))
}

mod growing {
    use super::*;

    #[test]
    fn starts_the_new_workers_at_once() {
        const FAST: Duration = Duration::from_millis(20);
        const TRIES: u32 = 20;
        wait::ends(|| {
            let mut fastest = Duration::MAX;
            for _ in 0..TRIES {
                let (inside, out) = (Arc::new(Inside::default()), Arc::new(Stages::new()));
                let runtime = runtime(1);
                let handle = runtime.spawn(waiting(64, &inside, &out));
                wait::until(|| inside.now() == 1);
                let start = Instant::now();
                runtime.set_max_workers(16).unwrap();
                while inside.now() < 16 {
                    assert!(start.elapsed() < Duration::from_secs(60), "only {} tasks run", inside.now());
                    thread::yield_now();
                }
                fastest = fastest.min(start.elapsed());
                out.signal(1);
                handle.join().unwrap();
                assert!(inside.max.load(Ordering::SeqCst) <= 16);
                if fastest < FAST / 4 {
                    break;
                }
            }
            println!("from 1 to 16 running tasks in {fastest:?}");
            assert!(fastest < FAST, "it took {fastest:?}");
        });
    }

    #[test]
    fn happens_while_a_long_task_runs() {
        // The only worker is busy all the time; the next task starts on a new one.
        wait::ends(|| {
            let runtime = runtime(1);
            let stages = Arc::new(Stages::new());
            let (first, second) = (Arc::clone(&stages), Arc::clone(&stages));
            let both = all([
                DC::new(
                    move || {
                        first.signal(1);
                        first.wait_for(2);
                    },
                    (),
                ),
                DC::new(move || second.signal(2), ()),
            ]);
            let handle = runtime.spawn(both);
            stages.wait_for(1);
            runtime.set_max_workers(2).unwrap();
            handle.join().unwrap();
        });
    }

    #[test]
    fn works_from_inside_a_task() {
        wait::ends(|| {
            let runtime = Arc::new(runtime(1));
            let inner = Arc::clone(&runtime);
            let stages = Arc::new(Stages::new());
            let (first, second) = (Arc::clone(&stages), stages);
            let both = all([
                DC::new(
                    move || {
                        inner.set_max_workers(2).unwrap();
                        first.wait_for(1);
                    },
                    (),
                ),
                DC::new(move || second.signal(1), ()),
            ]);
            runtime.run(both).unwrap();
            assert_eq!(runtime.max_workers(), 2);
        });
    }
}

mod shrinking {
    use super::*;

    #[test]
    fn holds_as_soon_as_the_running_steps_end() {
        wait::ends(|| {
            let runtime = runtime(8);
            let (inside, out) = (Arc::new(Inside::default()), Arc::new(Stages::new()));
            let later = Arc::new(Inside::default());
            let first = runtime.spawn(waiting(8, &inside, &out));
            wait::until(|| inside.now() == 8);
            runtime.set_max_workers(2).unwrap();
            // What is queued from now on runs on two workers, once the running tasks have ended.
            let second = runtime.spawn(all((0..200).map(|_| {
                let later = Arc::clone(&later);
                DC::new(move || later.during(|| spin(Duration::from_micros(200))), ())
            })));
            assert_eq!(inside.now(), 8, "nothing is stopped");
            assert_eq!(later.now(), 0, "all places are taken");
            out.signal(1);
            first.join().unwrap();
            second.join().unwrap();
            assert!(later.max.load(Ordering::SeqCst) <= 2, "{later:?} ran at once", later = later.max);
        });
    }

    #[test]
    fn to_one_while_all_are_busy_and_back_loses_nothing() {
        wait::ends(|| {
            for _ in 0..200 {
                let runtime = runtime(4);
                let handle = runtime.spawn(all((0..100u64).map(|i| DC::new(|i: u64| i, (i,)))));
                runtime.set_max_workers(1).unwrap();
                runtime.set_max_workers(3).unwrap();
                assert_eq!(handle.join().unwrap().iter().sum::<u64>(), 4950);
            }
        });
    }
}

mod under_load {
    use super::*;

    #[delayed]
    fn leaf(load: Arc<Load>, at: usize) -> usize {
        load.step(at)
    }

    #[delayed]
    fn add(a: usize, b: usize) -> usize {
        a + b
    }

    #[delayed]
    fn tree(load: Arc<Load>, depth: u32, at: usize) -> DC<usize> {
        if depth == 0 {
            leaf(load, at)
        } else {
            add(tree(Arc::clone(&load), depth - 1, 2 * at), tree(load, depth - 1, 2 * at + 1))
        }
    }

    #[delayed]
    fn yields(load: Arc<Load>, len: usize) -> Vec<usize> {
        for at in 0..len {
            yield_!(leaf(Arc::clone(&load), at));
        }
    }

    /// Steps that look at how many are taken at once.
    struct Load {
        inside: Mutex<Steps>,
        begun: AtomicUsize,
        ran: Vec<AtomicUsize>,
    }

    /// Who takes a step, by the number of the change since which their thread is there.
    ///
    /// A thread may be interrupted in its step while others change the number of workers many times, so it is not
    /// enough to compare with the last of them. But a worker only begins on the threads of a change while no more than
    /// that change allows take steps, on those threads and on older ones.
    struct Steps {
        /// The sizes so far, each with the age of a thread that is older than those it started.
        sizes: Vec<(u64, usize)>,
        inside: BTreeMap<usize, usize>,
    }

    impl Load {
        fn new(tasks: usize, size: usize) -> Arc<Self> {
            let inside = Steps { sizes: vec![(0, size)], inside: BTreeMap::new() };
            let ran = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            Arc::new(Self { inside: Mutex::new(inside), begun: AtomicUsize::new(0), ran })
        }

        fn step(&self, at: usize) -> usize {
            self.ran[at].fetch_add(1, Ordering::SeqCst);
            self.begun.fetch_add(1, Ordering::SeqCst);
            let change = self.inside.lock().unwrap().enter();
            spin(Duration::from_micros(20));
            self.inside.lock().unwrap().leave(change);
            1
        }
    }

    /// Threads are numbered in the order of their start, which is only shown.
    fn age(thread: &Thread) -> u64 {
        let shown = format!("{:?}", thread.id());
        let number = shown.trim_matches(|c: char| !c.is_ascii_digit());
        number.parse().expect("thread ids are shown with a number")
    }

    impl Steps {
        fn enter(&mut self) -> usize {
            let age = age(&thread::current());
            let change =
                self.sizes.iter().rposition(|(older, _)| *older < age).expect("all threads are older than none");
            *self.inside.entry(change).or_insert(0) += 1;
            let mut sum = 0;
            for (change, inside) in &self.inside {
                sum += inside;
                let (_, size) = self.sizes[*change];
                assert!(sum <= size, "{sum} steps at once: {:?} of {:?}", self.inside, self.sizes);
            }
            change
        }

        fn leave(&mut self, change: usize) {
            let inside = self.inside.get_mut(&change).expect("it has entered");
            *inside -= 1;
            if *inside == 0 {
                self.inside.remove(&change);
            }
        }
    }

    const CHANGES: usize = size::of(1_000, 1_000, 100) as usize;

    /// Runs `graph` while another thread changes the number of workers all the time.
    fn check(tasks: usize, changes_min: usize, graph: impl Fn(Arc<Load>) -> DC<usize> + Send + 'static) {
        wait::ends(move || {
            const SIZES: [usize; 10] = [1, 3, 2, 8, 1, 5, 4, 1, 16, 2];
            let runtime = Arc::new(runtime(1));
            let over = Arc::new(AtomicBool::new(false));
            let load = Arc::new(Mutex::new(Load::new(0, 1)));
            let changer = {
                let (runtime, over, load) = (Arc::clone(&runtime), Arc::clone(&over), Arc::clone(&load));
                thread::spawn(move || {
                    let mut changes = 0;
                    while changes < changes_min || !over.load(Ordering::SeqCst) {
                        let size = SIZES[changes % SIZES.len()];
                        let load = load.lock().unwrap();
                        let marker = thread::spawn(|| {});
                        load.inside.lock().unwrap().sizes.push((age(marker.thread()), size));
                        marker.join().unwrap();
                        runtime.set_max_workers(size).unwrap();
                        assert_eq!(runtime.max_workers(), size);
                        let (start, first) = (Instant::now(), load.begun.load(Ordering::SeqCst));
                        while load.begun.load(Ordering::SeqCst) < first + 5
                            && start.elapsed() < Duration::from_millis(2)
                        {
                            thread::yield_now();
                        }
                        drop(load);
                        changes += 1;
                        thread::yield_now();
                    }
                    changes
                })
            };
            let mut rounds = 0;
            while rounds < 3 || !changer.is_finished() {
                over.store(2 <= rounds, Ordering::SeqCst);
                rounds += 1;
                let now = {
                    let mut current = load.lock().unwrap();
                    // Nothing runs now, so of all changes only the last one matters.
                    *current = Load::new(tasks, runtime.max_workers());
                    Arc::clone(&current)
                };
                assert_eq!(runtime.run(graph(Arc::clone(&now))).unwrap(), tasks);
                assert!(now.ran.iter().all(|ran| ran.load(Ordering::SeqCst) == 1), "a task was lost or ran twice");
                assert!(now.inside.lock().unwrap().inside.is_empty());
            }
            let changes = changer.join().unwrap();
            println!("{rounds} rounds, {changes} changes");
        });
    }

    #[test]
    fn a_tree_keeps_to_the_limit_and_loses_nothing() {
        check(1 << 11, CHANGES, |load| tree(load, 11, 0));
    }

    #[test]
    fn a_list_keeps_to_the_limit_and_loses_nothing() {
        check(2000, CHANGES, |load| all((0..2000).map(|at| leaf(Arc::clone(&load), at))).map(|all| all.iter().sum()));
    }

    #[test]
    fn a_generator_keeps_to_the_limit_and_loses_nothing() {
        check(2000, CHANGES, |load| yields(load, 2000).map(|all| all.iter().sum()));
    }
}

mod two_ready_tasks {
    use super::*;

    /// Two tasks that can only end together.
    fn meeting(i: usize) -> [DC<()>; 2] {
        let stages = Arc::new(Stages::new());
        let other = Arc::clone(&stages);
        let meet = move |stages: Arc<Stages>| {
            if i.is_multiple_of(3) {
                spin(Duration::from_micros(i as u64 % 100));
            }
            stages.arrive();
            stages.wait_for(2);
        };
        [DC::new(move || meet(stages), ()), DC::new(move || meet(other), ())]
    }

    #[test]
    fn run_at_the_same_time() {
        wait::ends(|| {
            let runtime = runtime(2);
            for i in 0..2000 {
                let [a, b] = meeting(i);
                runtime.run(DC::new(|(): (), (): ()| (), (a, b))).unwrap();
            }
        });
    }

    #[test]
    fn run_at_the_same_time_again_and_again_in_one_run() {
        #[delayed]
        fn meet((): (), (): (), left: usize) -> DC<()> {
            if left == 0 {
                return DC::value(());
            }
            let [a, b] = meeting(left);
            meet(a, b, left - 1)
        }
        wait::ends(|| runtime(2).run(meet((), (), 5000)).unwrap());
    }

    #[test]
    fn of_a_generator_run_while_its_body_goes_on() {
        #[delayed]
        fn generator(rounds: usize) -> Vec<()> {
            for _ in 0..rounds {
                let stages = Arc::new(Stages::new());
                let other = Arc::clone(&stages);
                yield_!(DC::new(move || other.signal(1), ()));
                stages.wait_for(1);
            }
        }
        wait::ends(|| assert_eq!(runtime(2).run(generator(2000)).unwrap().len(), 2000));
    }

    #[test]
    fn from_two_runs_run_at_the_same_time() {
        wait::ends(|| {
            let runtime = runtime(2);
            for i in 0..2000 {
                let [a, b] = meeting(i);
                let (a, b) = (runtime.spawn(a), runtime.spawn(b));
                a.join().unwrap();
                b.join().unwrap();
            }
        });
    }
}

mod rayon_in_a_task {
    use super::*;

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
                assert!(inside.max.load(Ordering::SeqCst) <= max_workers);
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
        process::alone("rayon_in_a_task::may_wait_long_while_other_tasks_are_ready", || {
            let runtime = runtime(2);
            let before = process::mappings();
            let long = DC::new(
                || rayon::join(|| spin(Duration::from_millis(1)), || thread::sleep(Duration::from_secs(2))),
                (),
            );
            let long = runtime.spawn(long);
            let others = runtime.spawn(all((0..100).map(|_| DC::new(|| spin(Duration::from_micros(10)), ()))));
            long.join().unwrap();
            others.join().unwrap();
            let more = process::mappings().saturating_sub(before);
            println!("measured {more} more mappings");
            assert!(more < 100, "{more} mappings were left behind");
        });
    }
}

mod blocking {
    use super::*;

    /// A task that runs a task, and so on.
    fn nested(runtime: Arc<Runtime>, depth: u32) -> DC<u32> {
        DC::new(
            move || {
                if depth == 0 {
                    return 0;
                }
                let inner = nested(Arc::clone(&runtime), depth - 1);
                runtime.run(inner).unwrap() + 1
            },
            (),
        )
    }

    #[test]
    fn runs_nest_at_any_number_of_workers() {
        wait::ends(|| {
            for max_workers in [1, 2, 4] {
                let runtime = Arc::new(runtime(max_workers));
                assert_eq!(runtime.run(nested(Arc::clone(&runtime), 50)).unwrap(), 50);
            }
        });
    }

    #[test]
    fn a_join_in_a_task_gives_its_place_to_another() {
        wait::ends(|| {
            let runtime = Arc::new(runtime(1));
            let inner = Arc::clone(&runtime);
            let joins = DC::new(
                move || {
                    let handles: Vec<_> = (0..20u64).map(|i| inner.spawn(DC::new(|i: u64| i, (i,)))).collect();
                    handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>()
                },
                (),
            );
            assert_eq!(runtime.run(joins).unwrap(), 190);
        });
    }

    #[test]
    fn never_more_than_max_workers_run_while_tasks_block() {
        wait::ends(|| {
            let inside = Arc::new(Inside::default());
            let runtime = Arc::new(runtime(2));
            let tasks = (0..60).map(|_| {
                let (inside, runtime) = (Arc::clone(&inside), Arc::clone(&runtime));
                DC::new(
                    move || {
                        inside.during(|| spin(Duration::from_micros(100)));
                        let during = Arc::clone(&inside);
                        runtime.run(DC::new(move || during.during(|| spin(Duration::from_micros(100))), ())).unwrap();
                        inside.during(|| spin(Duration::from_micros(100)));
                    },
                    (),
                )
            });
            runtime.run(all(tasks)).unwrap();
            assert!(inside.max.load(Ordering::SeqCst) <= 2, "{} ran at once", inside.max.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn tasks_that_block_and_runs_from_outside_do_not_stop_each_other() {
        // A run from outside calls a worker just when a task is about to block the only thread there is.
        wait::ends(|| {
            let runtime = Arc::new(runtime(1));
            let over = Arc::new(AtomicBool::new(false));
            let outside: Vec<_> = (0..2)
                .map(|_| {
                    let (runtime, over) = (Arc::clone(&runtime), Arc::clone(&over));
                    thread::spawn(move || {
                        while !over.load(Ordering::SeqCst) {
                            assert_eq!(runtime.run(DC::value(1)).unwrap(), 1);
                        }
                    })
                })
                .collect();
            for _ in 0..500 {
                assert_eq!(runtime.run(nested(Arc::clone(&runtime), 2)).unwrap(), 2);
            }
            over.store(true, Ordering::SeqCst);
            outside.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn many_tasks_may_block_at_once() {
        wait::ends(|| {
            let runtime = Arc::new(runtime(2));
            let inner = Arc::clone(&runtime);
            let tasks = (0..200u64).map(|i| {
                let runtime = Arc::clone(&inner);
                DC::new(move || runtime.run(DC::value(i).map(|i| i + 1)).unwrap(), ())
            });
            assert_eq!(runtime.run(all(tasks)).unwrap().iter().sum::<u64>(), 20_100);
        });
    }

    #[test]
    fn changes_while_tasks_block_lose_nothing() {
        wait::ends(|| {
            let runtime = Arc::new(runtime(2));
            let handles: Vec<_> = (0..50).map(|_| runtime.spawn(nested(Arc::clone(&runtime), 3))).collect();
            let mut size = 0;
            while !handles.iter().all(taskgraph::Handle::is_finished) {
                size = (size + 3) % 7;
                runtime.set_max_workers(size + 1).unwrap();
                thread::sleep(Duration::from_micros(500));
            }
            for handle in handles {
                assert_eq!(handle.join().unwrap(), 3);
            }
        });
    }

    #[test]
    fn a_task_may_run_graphs_on_another_runtime() {
        wait::ends(|| {
            let (outer, inner) = (runtime(1), Arc::new(runtime(1)));
            let tasks = (0..50u64).map(|i| {
                let inner = Arc::clone(&inner);
                DC::new(move || inner.run(DC::value(i)).unwrap(), ())
            });
            assert_eq!(outer.run(all(tasks)).unwrap().iter().sum::<u64>(), 1225);
        });
    }
}

#[cfg(target_os = "linux")]
mod idle {
    use super::*;

    #[test]
    fn workers_use_no_processor_time() {
        process::alone("idle::workers_use_no_processor_time", || {
            let runtime = runtime(8);
            runtime.run(all((0..1000).map(|i| DC::new(|i: u64| i, (i,))))).unwrap();
            let used = (0..3)
                .map(|_| {
                    let stages = Arc::new(Stages::new());
                    let slept = Arc::clone(&stages);
                    let sleeping = runtime.spawn(DC::new(
                        move || {
                            slept.signal(1);
                            thread::sleep(Duration::from_secs(1));
                        },
                        (),
                    ));
                    stages.wait_for(1);
                    let before = process::processor_time();
                    sleeping.join().unwrap();
                    process::processor_time() - before
                })
                .min()
                .unwrap();
            println!("measured {used:?} in a second");
            assert!(used < Duration::from_millis(20), "{used:?} in a second");
        });
    }

    #[test]
    fn threads_are_gone_when_their_runtime_is() {
        process::alone("idle::threads_are_gone_when_their_runtime_is", || {
            let before = process::threads();
            for i in 0..20 {
                let runtime = Arc::new(runtime(4));
                let inner = Arc::clone(&runtime);
                let nested = DC::new(move || inner.run(DC::value(1)).unwrap(), ());
                runtime.set_max_workers(1 + i % 9).unwrap();
                assert_eq!(runtime.run(nested).unwrap(), 1);
                // The task's own handle on the runtime goes before its result comes.
                drop(Arc::into_inner(runtime).expect("the task has dropped its handle"));
                // A thread that was joined is still counted for a moment.
                wait::until(|| process::threads() <= before);
            }
        });
    }

    #[test]
    fn threads_of_old_sizes_end_while_the_runtime_lives() {
        process::alone("idle::threads_of_old_sizes_end_while_the_runtime_lives", || {
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
}
