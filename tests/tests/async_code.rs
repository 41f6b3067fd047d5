//! Runs awaited by async code.

use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use futures_util::future::{Either, join, join_all, select};
use taskgraph::{DC, Error, delayed};
use taskgraph_tests::bodies::{Event, add, at_any_width, later, through};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait;
use taskgraph_tests::{failing, process, runtime};

mod async_code {
    use super::*;
    use tokio::runtime::Builder;

    /// In both kinds of tokio runtimes, and in another executor.
    #[track_caller]
    fn everywhere<F: Future<Output = ()> + Send + 'static>(code: impl Fn(usize) -> F + Clone + Send + 'static) {
        at_any_width(move |max_workers| {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(code(max_workers));
            let multi = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            multi.block_on(code(max_workers));
            multi.block_on(async { tokio::spawn(code(max_workers)).await.unwrap() });
            drop(multi);
            let code = code.clone();
            let thread = thread::spawn(move || wait::block_on(code(max_workers)));
            thread.join().unwrap();
        });
    }

    #[delayed]
    async fn naps() -> Result<u64, Error> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        add(1, later(2)).await
    }

    #[test]
    fn awaits_a_run() {
        everywhere(|max_workers| async move {
            let runtime = runtime(max_workers);
            assert_eq!(runtime.run_async(naps()).await.unwrap(), 3);
            assert_eq!(runtime.spawn(naps()).await.unwrap(), 3);
            let (a, b) = join(runtime.run_async(naps()), runtime.spawn(naps())).await;
            assert_eq!(a.unwrap() + b.unwrap(), 6);
            assert_eq!(taskgraph::run_async(naps(), max_workers).await.unwrap(), 3);
            let error = runtime.run_async(failing::<u64>("no luck")).await.unwrap_err();
            assert!(error.to_string().ends_with("failed: no luck"));
            let error = taskgraph::run_async(naps(), 0).await.unwrap_err();
            assert!(error.to_string().contains("max_workers must be from 1 to 1024, not 0"));
        });
    }

    #[test]
    fn finds_its_own_runtime_in_the_tasks_of_a_run() {
        at_any_width(|max_workers| {
            let tokio = Builder::new_current_thread().enable_all().build().unwrap();
            tokio.block_on(async move {
                let here = tokio::runtime::Handle::current().id();
                #[delayed]
                async fn id() -> tokio::runtime::Id {
                    tokio::task::yield_now().await;
                    tokio::runtime::Handle::current().id()
                }
                let runtime = runtime(max_workers);
                assert_eq!(runtime.run_async(id()).await.unwrap(), here);
                assert_ne!(runtime.spawn(id()).await.unwrap(), here);
            });
        });
    }

    #[test]
    fn cancels_a_run_by_dropping_the_future() {
        #[delayed]
        async fn forever(event: Event, held: Counted) -> u64 {
            event.happen().into_iter().for_each(Waker::wake);
            future::pending::<()>().await;
            held.check();
            0
        }
        everywhere(|max_workers| async move {
            let (census, started) = (Census::new(), Event::default());
            let runtime = runtime(max_workers);
            // It starts at the first poll.
            drop(runtime.run_async(forever(started.clone(), census.counted())));
            census.assert_balanced(1);
            for own in [false, true] {
                let started = Event::default();
                let body = forever(started.clone(), census.counted());
                let run: Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>> = if own {
                    Box::pin(taskgraph::run_async(body, max_workers))
                } else {
                    Box::pin(runtime.run_async(body))
                };
                match select(run, std::pin::pin!(started.wait())).await {
                    Either::Left(_) => panic!("it waits for ever"),
                    Either::Right(((), run)) => drop(run),
                }
                // It ends in the background, since nobody waits for it here.
                wait::until(|| census.live() == 0);
            }
            runtime.spawn(later(1)).detach();
            assert_eq!(runtime.spawn(later(1)).await.unwrap(), 1);
        });
    }

    #[test]
    fn may_drop_a_runtime_that_is_at_work() {
        everywhere(|max_workers| async move {
            let runtime = runtime(max_workers);
            let handle = runtime.spawn(DC::new(|_: u64| (), (through::<u64>(never()),)));
            drop(runtime);
            assert!(handle.await.unwrap_err().is_cancelled());
        });
        #[delayed]
        async fn never() -> u64 {
            future::pending().await
        }
    }

    #[test]
    fn runs_many_at_once() {
        everywhere(|max_workers| async move {
            let runtime = Arc::new(runtime(max_workers));
            let runs = (0..200).map(|_| runtime.run_async(naps()));
            let sum: u64 = join_all(runs).await.into_iter().map(Result::unwrap).sum();
            assert_eq!(sum, 600);
        });
    }

    #[test]
    fn that_polls_a_run_first_when_its_runtime_is_gone_hears_of_that() {
        wait::ends(|| {
            let runtime = runtime(1);
            let run = runtime.run_async(later(1));
            drop(runtime);
            let tokio = Builder::new_current_thread().build().unwrap();
            let error = tokio.block_on(run).unwrap_err();
            assert_eq!(error.to_string(), "the run was cancelled: its runtime was dropped");
        });
    }

    #[test]
    fn leaves_no_thread_behind() {
        process::alone("async_code::leaves_no_thread_behind", || {
            wait::ends(|| {
                // The one that waits, the one that runs the test, and this one.
                let before = process::threads();
                for max_workers in [1, 2, 4] {
                    let runtime = runtime(max_workers);
                    runtime.run(add(1, 2)).unwrap();
                    // And the watch for stalls, from the first run on.
                    let workers = max_workers as u64 + 1;
                    assert_eq!(process::threads(), before + workers, "nobody has polled anything");
                    runtime.run(naps()).unwrap();
                    assert_eq!(process::threads(), before + workers + 1);
                    runtime.spawn(DC::new(|_: u64| (), (naps(),))).detach();
                    drop(runtime);
                    // A thread that was joined is still counted for a moment.
                    wait::until(|| process::threads() == before);
                    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
                    tokio.block_on(taskgraph::run_async(naps(), max_workers)).unwrap();
                    drop(tokio);
                    wait::until(|| process::threads() == before);
                }
            });
        });
    }
}
