//! Workers: how many there are, and how fast that changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use taskgraph::{DC, all, delayed};
use taskgraph_tests::inside::{Inside, spin};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{runtime, size};

/// This many tasks, which are inside until they are let out.
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
                assert!(inside.max() <= 16);
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
            // Tasks queued from now on run on two workers, once the running tasks have ended.
            let second = runtime.spawn(all((0..200).map(|_| {
                let later = Arc::clone(&later);
                DC::new(move || later.during(|| spin(Duration::from_micros(200))), ())
            })));
            assert_eq!(inside.now(), 8, "nothing is stopped");
            assert_eq!(later.now(), 0, "all places are taken");
            out.signal(1);
            first.join().unwrap();
            second.join().unwrap();
            assert!(later.max() <= 2, "{} ran at once", later.max());
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

    /// Steps that check how many are taken at once.
    struct Load {
        inside: Mutex<Steps>,
        begun: AtomicUsize,
        ran: Vec<AtomicUsize>,
    }

    /// How many take a step, by the number of the change that started their threads.
    ///
    /// A thread may be interrupted in its step while others change the number of workers many times, so it is not
    /// enough to compare with the last change. But a worker begins on the threads of a change only while, on those
    /// threads and on older ones, no more take steps than that change allows.
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

    /// Threads are numbered in the order of their start; only their text shows that.
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
                    // Nothing runs now, so only the last change matters.
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
