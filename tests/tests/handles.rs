//! A handle on a run: to join it, to await it, to let it go on, to cancel it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use taskgraph::{DC, Handle, Shared, delayed};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::tasks::plus;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{failing, runtime};

mod a_handle {
    use super::*;

    #[test]
    fn joins() {
        let runtime = runtime(2);
        let handles: Vec<Handle<u64>> = (0..100).map(|i| runtime.spawn(DC::new(plus, (i, 1)))).collect();
        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, 5050);
    }

    #[test]
    fn and_what_is_like_it_may_be_kept_in_any_struct() {
        /// Without bounds.
        #[derive(Debug)]
        struct Job<T> {
            input: Shared<T>,
            handle: Handle<T>,
        }
        let input = DC::value(7).shared();
        let job = Job { handle: runtime(1).spawn(input.dc()), input };
        assert!(format!("{job:?}").starts_with("Job { input: Shared(..), handle: Handle {"));
        let Job { input, handle } = job;
        drop(input);
        handle.cancel_because("there is a newer one");
    }

    #[test]
    fn is_a_future() {
        wait::ends(|| {
            let runtime = runtime(2);
            for i in 0..500 {
                assert_eq!(wait::block_on(runtime.spawn(DC::new(plus, (i, 1)))).unwrap(), i + 1);
            }
            let both =
                async { runtime.spawn(DC::value(1)).await.unwrap() + runtime.spawn(DC::value(2)).await.unwrap() };
            assert_eq!(wait::block_on(both), 3);
            assert!(wait::block_on(runtime.spawn(failing::<u32>("no"))).is_err());
        });
    }

    #[test]
    fn wakes_who_polled_it_last() {
        struct Count(AtomicU32);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        wait::ends(|| {
            let runtime = runtime(1);
            let stages = Arc::new(Stages::new());
            let waits = Arc::clone(&stages);
            let mut handle = pin!(runtime.spawn(DC::new(move || waits.wait_for(1), ())));
            let counts = [(); 2].map(|()| Arc::new(Count(AtomicU32::new(0))));
            for count in &counts {
                let waker = Waker::from(Arc::clone(count));
                assert!(handle.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
            stages.signal(1);
            wait::until(|| counts[1].0.load(Ordering::SeqCst) == 1);
            assert_eq!(counts[0].0.load(Ordering::SeqCst), 0);
            assert!(handle.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        });
    }

    #[test]
    fn that_is_detached_lets_the_run_go_on() {
        wait::ends(|| {
            let runtime = runtime(1);
            let ran = Arc::new(Stages::new());
            let signals = Arc::clone(&ran);
            runtime.spawn(DC::new(move || signals.signal(1), ())).detach();
            ran.wait_for(1);
        });
    }

    #[test]
    fn outlives_its_runtime() {
        let handle = {
            let runtime = runtime(1);
            let handle = runtime.spawn(DC::value(1));
            wait::until(|| handle.is_finished());
            handle
        };
        assert_eq!(handle.join().unwrap(), 1);
    }

    #[test]
    fn that_has_outlived_its_runtime_needs_no_deadline() {
        let runtime = runtime(1);
        let never_polled = runtime.run_async(DC::value(1));
        // This starts the thread that drives timers.
        let handle = runtime.spawn(DC::value(2)).deadline(Instant::now() + Duration::from_secs(100));
        wait::until(|| handle.is_finished());
        drop(runtime);
        assert_eq!(handle.deadline(Instant::now() + Duration::from_secs(1)).join().unwrap(), 2);
        drop(never_polled);
    }

    #[test]
    fn cancels() {
        wait::ends(|| {
            let runtime = runtime(2);
            let census = Census::new();
            #[delayed]
            fn endless(census: Census, stages: Arc<Stages>) -> Vec<Counted> {
                loop {
                    yield_!(census.counted());
                    yield_!(DC::value(census.counted()));
                    stages.signal(1);
                }
            }
            let stages = Arc::new(Stages::new());
            let handle = runtime.spawn(endless(census.clone(), Arc::clone(&stages)));
            stages.wait_for(1);
            handle.cancel();
            handle.cancel();
            assert!(handle.join().map(|_| ()).unwrap_err().is_cancelled());
            census.assert_balanced(2);
        });
    }
}
