//! Pauses: what starts, what ends, and what waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use taskgraph::{DC, Runtime, Shared, all, delayed, each};
use taskgraph_tests::census::Census;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{blocker, failing, process, runtime};
use tokio::sync::oneshot;

/// Counts the bodies that have started.
type Started = Arc<AtomicUsize>;

fn started(counter: &Started) -> usize {
    counter.load(Ordering::SeqCst)
}

#[delayed]
fn start(counter: Started) -> usize {
    counter.fetch_add(1, Ordering::SeqCst)
}

/// Waits until workers have seen all that was queued before: they take nodes from outside in order.
fn let_workers_look(runtime: &Runtime) {
    let handle = runtime.spawn(DC::new(|| (), ()));
    handle.cancel();
    assert!(handle.join().unwrap_err().is_cancelled());
}

/// Waits until the steps that run now have ended.
fn let_steps_end(runtime: &Runtime) {
    let workers = runtime.max_workers();
    runtime.set_max_workers(1).unwrap();
    runtime.run(DC::new(|| (), ())).unwrap();
    runtime.set_max_workers(workers).unwrap();
}

#[test]
fn nothing_starts_while_it_is_paused_and_everything_after_it() {
    wait::ends(|| {
        for workers in [1, 3] {
            let runtime = runtime(workers);
            let counter = Started::default();
            runtime.pause();
            let handles: Vec<_> = (0..50).map(|_| runtime.spawn(start(Arc::clone(&counter)))).collect();
            let for_each = Arc::clone(&counter);
            let fan = runtime.spawn(each(0..1_000, move |_| start(Arc::clone(&for_each))));
            let_workers_look(&runtime);
            assert_eq!(started(&counter), 0);
            runtime.pause();
            runtime.resume();
            handles.into_iter().for_each(|handle| assert!(handle.join().unwrap() < 1_050));
            fan.join().unwrap();
            assert_eq!(started(&counter), 1_050);
            runtime.resume();
            assert_eq!(runtime.run(start(counter)).unwrap(), 1_050);
        }
    });
}

#[test]
fn the_running_body_ends_and_what_it_makes_waits() {
    wait::ends(|| {
        let runtime = runtime(1);
        let (stages, counter) = (Arc::new(Stages::new()), Started::default());
        let (held, after) = (Arc::clone(&stages), Arc::clone(&counter));
        let handle = runtime.spawn(DC::<Vec<usize>>::new(
            move || {
                held.signal(1);
                held.wait_for(2);
                all((0..10).map(move |_| start(Arc::clone(&after))))
            },
            (),
        ));
        stages.wait_for(1);
        runtime.pause();
        stages.signal(2);
        let_workers_look(&runtime);
        let_workers_look(&runtime);
        assert_eq!(started(&counter), 0);
        runtime.resume();
        assert_eq!(handle.join().unwrap().len(), 10);
    });
}

#[test]
fn a_cancelled_run_is_given_up_at_once_with_all_it_holds() {
    wait::ends(|| {
        for priority in [0, 5, -5] {
            let runtime = runtime(2);
            let census = Census::new();
            let (stages, counter) = (Arc::new(Stages::new()), Started::default());
            let held: Vec<_> = (0..10_000).map(|_| census.counted()).collect();
            let first = blocker(&stages);
            let many = held.into_iter().map(|held| DC::new(move || drop(held), ()).priority(priority));
            let handle = runtime.spawn(all([first, all(many).map(|_| ())]));
            let other = runtime.spawn(all((0..100).map(|_| start(Arc::clone(&counter)).priority(priority))));
            stages.wait_for(1);
            runtime.pause();
            stages.signal(2);
            let_workers_look(&runtime);
            let before = started(&counter);
            // Nodes that have been put aside by now are looked through again.
            handle.cancel();
            // It may have ended before the pause.
            let _ = handle.join();
            wait::until(|| census.live() == 0);
            assert_eq!(started(&counter), before);
            assert!(runtime.is_paused());
            runtime.resume();
            other.join().unwrap();
            assert_eq!(started(&counter), 100);
        }
    });
}

#[test]
fn a_run_that_fails_by_a_body_that_was_running_ends_while_paused() {
    wait::ends(|| {
        let runtime = runtime(1);
        let (stages, counter) = (Arc::new(Stages::new()), Started::default());
        let held = Arc::clone(&stages);
        let fails = DC::<usize>::new(
            move || -> Result<usize, &str> {
                held.signal(1);
                held.wait_for(2);
                Err("broken")
            },
            (),
        );
        let rest = (0..100).map(|_| start(Arc::clone(&counter)));
        let handle = runtime.spawn(all(std::iter::once(fails).chain(rest)));
        stages.wait_for(1);
        let before = started(&counter);
        runtime.pause();
        stages.signal(2);
        assert!(handle.join().unwrap_err().to_string().contains("broken"));
        assert_eq!(started(&counter), before);
    });
}

#[test]
fn a_shared_computation_goes_with_the_last_run_that_needs_it() {
    wait::ends(|| {
        let (paused, other) = (runtime(1), runtime(1));
        let counter = Started::default();
        let (stages, shared) = (Arc::new(Stages::new()), start(Arc::clone(&counter)));
        let shared: Shared<usize> = DC::new(|(), x: usize| x, (blocker(&stages), shared)).shared();
        let first = paused.spawn(shared.dc());
        stages.wait_for(1);
        let second = other.spawn(shared.dc());
        drop(shared);
        paused.pause();
        stages.signal(2);
        first.cancel();
        second.cancel();
        assert!(first.join().unwrap_err().is_cancelled());
        assert!(second.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_paused_runtime_can_be_dropped() {
    wait::ends(|| {
        let counter = Started::default();
        let runtime = runtime(2);
        runtime.pause();
        let handles: Vec<_> = (0..100).map(|_| runtime.spawn(start(Arc::clone(&counter)))).collect();
        drop(runtime);
        handles.into_iter().for_each(|handle| assert!(handle.join().unwrap_err().is_cancelled()));
        assert_eq!(started(&counter), 0);
    });
}

#[test]
fn a_task_that_blocks_returns_after_the_pause() {
    wait::ends(|| {
        let runtime = Arc::new(runtime(1));
        let (stages, counter) = (Arc::new(Stages::new()), Started::default());
        let (inner, inside, after) = (Arc::clone(&runtime), Arc::clone(&stages), Arc::clone(&counter));
        let outer = runtime.spawn(DC::new(
            move || {
                let handle = inner.spawn(blocker(&inside));
                handle.join().unwrap();
                after.fetch_add(1, Ordering::SeqCst);
            },
            (),
        ));
        stages.wait_for(1);
        runtime.pause();
        stages.signal(2);
        // There is a place for a worker that gives up nodes, though a task waits for one.
        let_workers_look(&runtime);
        runtime.set_max_workers(2).unwrap();
        let_workers_look(&runtime);
        assert_eq!(started(&counter), 0);
        runtime.resume();
        outer.join().unwrap();
        assert_eq!(started(&counter), 1);
    });
}

#[test]
fn a_runtime_is_dropped_while_a_task_in_it_blocks_and_it_is_paused() {
    wait::ends(|| {
        let (runtime, other) = (runtime(1), Arc::new(runtime(1)));
        let stages = Arc::new(Stages::new());
        let (inner, inside) = (Arc::clone(&other), Arc::clone(&stages));
        let handle = runtime.spawn(DC::new(move || inner.run(blocker(&inside)).unwrap(), ()));
        stages.wait_for(1);
        runtime.pause();
        stages.signal(2);
        drop(runtime);
        assert!(handle.is_finished());
    });
}

#[test]
fn what_is_woken_up_meanwhile_waits() {
    #[delayed]
    async fn listens(polled: Arc<Stages>, news: oneshot::Receiver<usize>, counter: Started) -> usize {
        polled.arrive();
        let news = news.await.expect("the sender is kept");
        counter.fetch_add(1, Ordering::SeqCst);
        news
    }
    wait::ends(|| {
        let runtime = runtime(2);
        let (polled, counter) = (Arc::new(Stages::new()), Started::default());
        let (senders, handles): (Vec<_>, Vec<_>) = (0..100)
            .map(|_| {
                let (sender, news) = oneshot::channel();
                (sender, runtime.spawn(listens(Arc::clone(&polled), news, Arc::clone(&counter))))
            })
            .unzip();
        polled.wait_for(100);
        let_steps_end(&runtime);
        runtime.pause();
        senders.into_iter().enumerate().for_each(|(i, sender)| sender.send(i).expect("somebody listens"));
        let_workers_look(&runtime);
        assert_eq!(started(&counter), 0);
        runtime.resume();
        let news: Vec<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
        assert_eq!(news, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn nothing_is_lost_or_run_twice_while_others_pause_resume_cancel_and_rescale() {
    wait::ends(|| {
        const TASKS: usize = 20_000;
        let runtime = Arc::new(runtime(2));
        let ran: Arc<Vec<AtomicUsize>> = Arc::new((0..TASKS).map(|_| AtomicUsize::new(0)).collect());
        let tasks = {
            let ran = Arc::clone(&ran);
            all((0..TASKS).map(move |i| {
                let ran = Arc::clone(&ran);
                DC::new(move || ran[i].fetch_add(1, Ordering::SeqCst), ()).priority([0, 0, 1, -1][i % 4])
            }))
        };
        let handle = runtime.spawn(tasks);
        let changes = {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || {
                for i in 0..200 {
                    runtime.pause();
                    let broken = runtime.spawn(all([failing::<u32>("broken"), DC::new(|| 1, ())]));
                    runtime.set_max_workers(1 + i % 4).unwrap();
                    let cancelled = runtime.spawn(each(0..100, |x| DC::new(move || x, ())));
                    cancelled.cancel();
                    assert!(cancelled.join().unwrap_err().is_cancelled());
                    runtime.resume();
                    assert!(broken.join().is_err());
                }
            })
        };
        changes.join().unwrap();
        handle.join().unwrap();
        assert!(ran.iter().all(|ran| ran.load(Ordering::SeqCst) == 1));
    });
}

#[delayed]
fn start_for_ever(counter: Started) -> DC<()> {
    counter.fetch_add(1, Ordering::SeqCst);
    start_for_ever(counter)
}

#[test]
fn what_is_urgent_does_not_go_on_in_a_pause_that_began_during_the_turn_of_something_else() {
    wait::ends(|| {
        let (runtime, counter, stages) = (runtime(1), Started::default(), Arc::new(Stages::new()));
        let urgent = runtime.spawn(start_for_ever(Arc::clone(&counter)).priority(5));
        wait::until(|| 0 < started(&counter));
        let other = runtime.spawn(blocker(&stages));
        stages.wait_for(1);
        runtime.pause();
        let before = started(&counter);
        stages.signal(2);
        let_workers_look(&runtime);
        assert_eq!(started(&counter), before);
        runtime.resume();
        other.join().unwrap();
        wait::until(|| before < started(&counter));
        urgent.cancel();
        assert!(urgent.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_pause_costs_no_processor_time() {
    process::alone("a_pause_costs_no_processor_time", || {
        let runtime = runtime(2);
        runtime.pause();
        let counter = Started::default();
        let handle = runtime.spawn(each(0..1_000, move |_| start(Arc::clone(&counter))));
        let_workers_look(&runtime);
        let used = process::processor_time_of(|| thread::sleep(std::time::Duration::from_millis(500)));
        assert!(used <= std::time::Duration::from_millis(20), "{used:?}");
        runtime.resume();
        assert_eq!(handle.join().unwrap().len(), 1_000);
    });
}
