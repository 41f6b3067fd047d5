//! Futures that async bodies drop, and shared computations that nobody needs any more.

use std::future::{self, Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use futures_util::future::{Either, join_all, select};
use taskgraph::{DC, Error, all, delayed};
use taskgraph_tests::bodies::{Event, add, at_any_width, check, later};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, give_way};
use taskgraph_tests::{run, runtime};
use tokio::sync::oneshot;

mod a_future_that_is_dropped {
    use super::*;

    /// Signals, then waits for ever.
    #[delayed]
    async fn forever(started: Event, held: Counted) -> u64 {
        started.happen().into_iter().for_each(Waker::wake);
        future::pending::<()>().await;
        held.check();
        0
    }

    /// The winner is ready when all losers have started.
    #[delayed]
    async fn races(losers: Vec<Lost>, started: Vec<Event>) -> u64 {
        let losers = losers.into_iter().map(|lost| lost.0.into_future());
        let winner = async {
            for started in &started {
                started.wait().await;
            }
        };
        match select(std::pin::pin!(winner), join_all(losers)).await {
            Either::Left(_) => 1,
            Either::Right(_) => panic!("it waits for ever"),
        }
    }

    struct Lost(DC<u64>);

    #[track_caller]
    fn check_race(lose: impl Fn(DC<u64>) -> DC<u64> + Clone + Send + 'static) {
        at_any_width(move |max_workers| {
            let census = Census::new();
            let started: Vec<_> = (0..10).map(|_| Event::default()).collect();
            let losers = started.iter().map(|started| Lost(lose(forever(started.clone(), census.counted()))));
            let race = races(losers.collect::<Vec<_>>(), started.clone());
            // The task that dropped them settles when nothing of them is left.
            let counted = census.clone();
            let after = race.map(move |won| (won, counted.live()));
            assert_eq!(run(after, max_workers).unwrap(), (1, 0));
            census.assert_balanced(10);
        });
    }

    #[test]
    fn stops_its_computation() {
        check_race(|forever| forever);
        check_race(|forever| add(1, forever).map(|x| x));
        check_race(|forever| all(vec![forever, later(1)]).map(|all| all[0]));
    }

    #[test]
    fn stops_what_that_awaits() {
        #[delayed]
        async fn awaits(lost: Lost) -> Result<u64, Error> {
            lost.0.await
        }
        check_race(|forever| awaits(Lost(awaits(Lost(forever)))));
    }

    #[test]
    fn stops_the_generators_in_it() {
        #[delayed]
        async fn yields(lost: Lost) -> Vec<u64> {
            yield_!(lost.0);
            future::pending::<()>().await;
        }
        #[delayed]
        fn yields_and_ends(lost: Lost) -> Vec<u64> {
            yield_!(lost.0);
        }
        check_race(|forever| yields(Lost(forever)).map(|_| 1));
        check_race(|forever| yields_and_ends(Lost(forever)).map(|_| 1));
    }

    #[test]
    fn stops_the_attempts_in_it() {
        check_race(|forever| forever.attempt().map(|_| 1));
        check_race(|forever| forever.attempt().map(|_| 1).attempt().map(|_| 1));
    }

    #[test]
    fn before_it_was_polled_runs_nothing() {
        #[delayed]
        async fn drops(held: Counted) -> u64 {
            let never: DC<u64> = DC::new(|_: Counted| -> u64 { panic!("this was not to run") }, (held,));
            drop(never.into_future());
            1
        }
        let census = Census::new();
        let counted = census.clone();
        check(move || drops(counted.counted()), 1);
        census.assert_balanced(3);
    }

    #[test]
    fn with_its_result_drops_that_once() {
        // The result is there when the future is dropped, or comes later, or never.
        #[delayed]
        async fn drops(census: Census, give_ways: usize) -> u64 {
            let made = census.clone();
            let mut value = DC::new(move || made.counted(), ()).into_future();
            let polled = future::poll_fn(|context| Poll::Ready(Pin::new(&mut value).poll(context).is_ready())).await;
            // Another worker may have been faster.
            for _ in 0..if polled { 0 } else { give_ways } {
                give_way().await;
            }
            drop(value);
            1
        }
        let census = Census::new();
        let counted = census.clone();
        at_any_width(move |max_workers| {
            let many = all((0..300).map(|i| drops(counted.clone(), i % 4)).collect::<Vec<_>>());
            assert_eq!(run(many, max_workers).unwrap().len(), 300);
            assert_eq!(counted.live(), 0);
        });
        census.assert_balanced(0);
    }

    /// Whoever holds the future then.
    #[test]
    fn ends_with_the_body_that_started_it() {
        type Sent = taskgraph::Awaited<Counted>;
        #[delayed]
        async fn makes(census: Census, event: Event) -> Counted {
            let counted = census.counted();
            event.wait().await;
            counted
        }
        #[delayed]
        async fn starts(census: Census, event: Event, send: oneshot::Sender<Sent>) -> u64 {
            let mut value = makes(census, event).into_future();
            let _ = future::poll_fn(|context| Poll::Ready(Pin::new(&mut value).poll(context).is_ready())).await;
            give_way().await;
            assert!(send.send(value).is_ok());
            1
        }
        #[delayed]
        async fn ends(receive: oneshot::Receiver<Sent>) -> u64 {
            let ended = receive.await.unwrap().await;
            assert!(ended.is_err_and(|error| error.is_cancelled()));
            1
        }
        at_any_width(|max_workers| {
            let census = Census::new();
            let (send, receive) = oneshot::channel();
            let never = Event::default();
            assert_eq!(run(add(starts(census.clone(), never.clone(), send), ends(receive)), max_workers).unwrap(), 2);
            let (send, mut receive) = oneshot::channel();
            assert_eq!(run(starts(census.clone(), never, send), max_workers).unwrap(), 1);
            drop(receive.try_recv().unwrap());
            census.assert_balanced(0);
        });
    }

    #[test]
    fn in_a_race_of_a_shared_computation_leaves_the_others_their_result() {
        #[delayed]
        async fn races(shared: taskgraph::Shared<u64>, event: Event, is_lost: Arc<AtomicBool>) -> u64 {
            match select(shared.into_future(), std::pin::pin!(event.wait())).await {
                Either::Left(_) => panic!("it is not there yet"),
                Either::Right(_) => is_lost.store(true, Ordering::SeqCst),
            }
            0
        }
        #[delayed]
        async fn waits(event: Event) -> u64 {
            event.wait().await;
            7
        }
        at_any_width(|max_workers| {
            let (event, lost) = (Event::default(), Event::default());
            let shared = waits(event.clone()).shared();
            let runtime = runtime(max_workers);
            let is_lost = Arc::new(AtomicBool::new(false));
            let racing = runtime.spawn(races(shared.clone(), lost.clone(), Arc::clone(&is_lost)));
            let other = runtime.spawn(shared.dc());
            wait::until(|| event.waits() != 0 && lost.waits() != 0);
            lost.happen().into_iter().for_each(Waker::wake);
            wait::until(|| is_lost.load(Ordering::SeqCst));
            event.happen().into_iter().for_each(Waker::wake);
            assert_eq!(racing.join().unwrap(), 0);
            assert_eq!(other.join().unwrap(), 7);
        });
    }
}

mod a_shared_computation {
    use super::*;

    #[delayed]
    async fn waits(event: Event, held: Counted) -> u64 {
        event.wait().await;
        held.check();
        7
    }

    #[test]
    fn goes_on_for_one_run_when_another_is_cancelled() {
        for (first_is_cancelled, same_runtime) in [(true, true), (true, false), (false, true), (false, false)] {
            at_any_width(move |max_workers| {
                let (census, event) = (Census::new(), Event::default());
                let shared = waits(event.clone(), census.counted()).map(|x| x).shared();
                let one = runtime(max_workers);
                let another = runtime(max_workers);
                let first = one.spawn(add(1, shared.clone()));
                wait::until(|| event.waits() != 0);
                let second = if same_runtime { &one } else { &another }.spawn(add(2, shared));
                // The second has asked when what is queued behind it has run.
                let (cancelled, kept, sum) = if first_is_cancelled { (first, second, 9) } else { (second, first, 8) };
                cancelled.cancel();
                event.happen().into_iter().for_each(Waker::wake);
                let result = kept.join();
                let needed = result.as_ref().is_ok_and(|x| *x == sum);
                // The second may come too late, when nobody needs the computation any more.
                let given_up = first_is_cancelled && result.as_ref().is_err_and(Error::is_cancelled);
                assert!(needed || given_up, "{result:?}");
                drop(cancelled.join());
                census.assert_balanced(1);
            });
        }
    }

    #[test]
    fn is_given_up_when_all_runs_are_cancelled() {
        at_any_width(|max_workers| {
            let (census, event) = (Census::new(), Event::default());
            let shared = waits(event.clone(), census.counted()).map(|x| x).shared();
            let runtimes = [runtime(max_workers), runtime(1), runtime(2)];
            let handles = runtimes.each_ref().map(|runtime| runtime.spawn(add(1, shared.clone())));
            drop(shared);
            wait::until(|| event.waits() != 0);
            handles.iter().for_each(taskgraph::Handle::cancel);
            handles.into_iter().for_each(|handle| assert!(handle.join().unwrap_err().is_cancelled()));
            census.assert_balanced(1);
        });
    }
}
