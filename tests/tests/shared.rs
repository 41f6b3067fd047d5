//! Shared results: computed once, and there for everybody with a handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::{DC, Shared, all};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::check;
use taskgraph_tests::{WORKERS, failing, run, runtime, wait};

mod a_shared_result {
    use super::*;

    #[test]
    fn is_computed_once() {
        let ran = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&ran);
        let shared = DC::new(move || count.fetch_add(1, Ordering::SeqCst) + 10, ()).shared();
        check(all((0..500).map(|_| shared.dc())), vec![10; 500]);
        check(DC::from(shared), 10);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn goes_to_its_last_user_without_a_copy() {
        fn take(value: Counted) {
            value.check();
        }
        for users in 1..20 {
            let census = Census::new();
            let made = census.clone();
            let shared = DC::new(move || made.counted(), ()).shared();
            let tasks: Vec<_> = (0..users).map(|_| DC::new(take, (shared.clone(),))).collect();
            drop(shared);
            run(all(tasks), 1).unwrap();
            assert_eq!(census.clones(), users - 1);
            census.assert_balanced(users);
        }
    }

    #[test]
    fn is_borrowed_by_what_goes_on_with_it() {
        /// No `Clone`.
        struct Only(u32);
        for max_workers in WORKERS {
            let only = DC::new(|| Only(7), ()).shared();
            let both = only.map(|only| only.0) + only.map(|only| 10 * only.0);
            assert_eq!(run(both, max_workers).unwrap(), 77);
            assert_eq!(run(only.map(|only| only.0), max_workers).unwrap(), 7);
            let error = run(failing::<Only>("no luck").shared().map(|_| ()), max_workers).unwrap_err();
            assert_eq!(error.trace()[0].name(), "map");
        }
    }

    #[test]
    fn in_another_one_is_dropped_where_that_drops_it() {
        /// Ends its thread by dropping what the thread waits for.
        struct Ends(Option<Shared<Sender<()>>>, Option<thread::JoinHandle<()>>);
        impl Drop for Ends {
            fn drop(&mut self) {
                drop(self.0.take());
                self.1.take().unwrap().join().unwrap();
            }
        }
        let (sender, receiver) = channel();
        let sender = DC::value(sender).map(|sender| sender).shared();
        run(sender.map(|_| ()), 1).unwrap();
        let thread = thread::spawn(move || assert!(receiver.recv().is_err()));
        let ends = DC::new(|| Ends(Some(sender), Some(thread)), ()).shared();
        run(ends.map(|_| ()), 1).unwrap();
        wait::ends(|| drop(ends));
    }

    #[test]
    fn is_there_until_its_last_handle_goes() {
        let census = Census::new();
        let shared = DC::value(census.counted()).shared();
        let other = shared.clone();
        run(DC::new(|value: Counted| value.check(), (shared,)), 1).unwrap();
        assert_eq!(census.live(), 1);
        drop(other);
        census.assert_balanced(2);
    }

    #[test]
    fn serves_several_runtimes_at_once() {
        let shared = DC::new(|| 3, ()).shared();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || run(shared.dc().map(|x| x + 1), 2).unwrap())
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 4));
    }

    #[test]
    fn may_be_sent_and_shared_between_threads() {
        fn is_send_and_sync<T: Send + Sync + Clone>() {}
        is_send_and_sync::<Shared<Vec<u8>>>();
    }
}

mod handles_made_at_once {
    use super::*;

    fn counted(census: &Census, ran: &Arc<AtomicUsize>) -> DC<Counted> {
        let (census, ran) = (census.clone(), Arc::clone(ran));
        DC::new(
            move || {
                ran.fetch_add(1, Ordering::SeqCst);
                census.counted()
            },
            (),
        )
    }

    #[test]
    fn are_on_one_result_which_the_last_gets_itself() {
        for max_workers in WORKERS {
            let (census, ran) = (Census::new(), Arc::default());
            let [a, b, later] = counted(&census, &ran).tee();
            let both = DC::new(|(): (), (): ()| (), (a.dc().map(|a| a.check()), b.dc().map(|b| b.check())));
            drop((a, b));
            run(both, max_workers).unwrap();
            run(later.into(), max_workers).map(|last: Counted| last.check()).unwrap();
            assert_eq!((ran.load(Ordering::SeqCst), census.made(), census.clones()), (1, 3, 2));
            census.assert_balanced(3);
        }
    }

    #[test]
    fn may_be_cloned_and_dropped_like_others() {
        let (census, ran) = (Census::new(), Arc::default());
        let [unused, used] = counted(&census, &ran).tee();
        drop(unused);
        let again = used.clone();
        check(used.dc().map(|_| 1) + again.dc().map(|_| 1), 2);
        drop((used, again));
        let [_, _] = counted(&census, &ran).tee();
        assert_eq!(ran.load(Ordering::SeqCst), 1, "what nobody needs does not run");
        census.assert_balanced(2);
        let [x, y] = DC::value(4).tee();
        check(x.dc() * y.dc(), 16);
    }

    #[test]
    fn share_a_failure() {
        let [a, b] = failing::<u32>("no").tee();
        check(a.dc().attempt().map(|a| a.is_err()).zip(b.dc().attempt().map(|b| b.is_err())), (true, true));
    }
}

/// While the task still looks at its other arguments, the result it waited for may come, and the task may run and be
/// freed. An address sanitizer sees that at once; a debug build, which overwrites freed memory, now and then.
#[test]
fn a_task_that_asks_for_many_may_be_gone_before_it_has_asked_for_all() {
    const N: usize = 20;
    let runtime = runtime(3);
    let sum = |late: Shared<u64>, early: [Shared<u64>; N]| {
        DC::new(|late: u64, early: [u64; N]| late + early.iter().sum::<u64>(), (late, early))
    };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let early = DC::value(7).shared();
        assert_eq!(runtime.run(early.dc()).unwrap(), 7);
        let tasks = (0..64).map(|i| {
            let late = DC::new(
                move || {
                    (0..(i % 8) * 20).for_each(|_| std::hint::spin_loop());
                    1
                },
                (),
            );
            let (late, early) = (late.shared(), std::array::from_fn(|_| early.clone()));
            all([late.dc(), sum(late.clone(), early.clone()), sum(late, early)])
        });
        let sums = runtime.run(all(tasks)).unwrap();
        assert_eq!(sums, vec![[1, 1 + 7 * N as u64, 1 + 7 * N as u64]; 64]);
    }
}
