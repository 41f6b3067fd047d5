//! What loom checks of stopping: what nobody needs any more ends, and what somebody needs does not.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::Poll;

use loom::thread;

use super::super::call::{Fallible, Value};
use super::super::delayed::DC;
use super::super::future::{future, sent};
use super::super::scope::inside::is_cancelled;
use super::{Named, Outcome, Ready, start, take_steps, work, work_on_two_threads};
use crate::error::Error;

fn model(check: fn()) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(check);
}

fn result(run: &Outcome) -> Result<u32, Error> {
    run.result.lock().unwrap().take().expect("the run has settled")
}

/// Both runs wait for a computation that goes on for ever, and are cancelled while it does.
#[test]
fn what_two_cancelled_runs_need_is_given_up() {
    fn again() -> DC<u32> {
        DC::new(again, ())
    }
    model(|| {
        let ready = std::sync::Arc::new(Ready::default());
        let shared = again().shared();
        let runs = [shared.dc(), shared.into()].map(|graph| start(graph, &ready));
        // Both ask, and the computation starts.
        take_steps(&ready, 4);
        let canceller = {
            let runs = runs.clone();
            thread::spawn(move || runs.iter().for_each(|run| run.scope.stop()))
        };
        take_steps(&ready, 2);
        canceller.join().unwrap();
        // Far more than it takes to give up what is there, if it is given up.
        take_steps(&ready, 20);
        for run in runs {
            assert!(result(&run).unwrap_err().is_cancelled());
        }
    });
}

/// One of two runs is cancelled while what both need is computed.
#[test]
fn what_another_run_needs_goes_on() {
    model(|| {
        let ready = std::sync::Arc::new(Ready::default());
        let shared = DC::<u32>::new(|| DC::new(|| 5, ()), ()).shared();
        let runs = [shared.dc(), shared.into()].map(|graph| start(graph, &ready));
        take_steps(&ready, 2);
        let canceller = {
            let cancelled = std::sync::Arc::clone(&runs[0]);
            thread::spawn(move || cancelled.scope.stop())
        };
        work(&ready);
        canceller.join().unwrap();
        work(&ready);
        let [_, needing] = runs.map(|run| result(&run));
        assert_eq!(needing.unwrap(), 5);
    });
}

/// A body sleeps for ever inside a shared computation; the attempt that waits for it fails, then the last handle is dropped.
#[test]
fn a_body_is_woken_when_nobody_can_need_it_any_more() {
    model(|| {
        let ready = std::sync::Arc::new(Ready::default());
        let shared = future::<Named, Value, _, _>(sent(std::future::pending::<u32>())).shared();
        let failing = DC::<u32>::new(|| -> Result<u32, &str> { Err("no") }, ());
        // In this order: the body sleeps when the other one fails.
        let attempt = DC::new(|a: u32, b: u32| a + b, (shared.dc(), failing)).attempt();
        let run = start(attempt.map(|result: Result<u32, Error>| u32::from(result.is_err())), &ready);
        let dropper = thread::spawn(move || drop(shared));
        work(&ready);
        dropper.join().unwrap();
        work(&ready);
        assert_eq!(result(&run).unwrap(), 1);
    });
}

/// Two tasks of what a body awaits, one further inside than the other, check whether they are wanted while the body leaves.
#[test]
fn who_looks_outwards_and_who_leaves_meanwhile_do_not_wait_for_each_other() {
    fn looking() -> DC<u32> {
        DC::new(|| u32::from(is_cancelled()), ())
    }
    model(|| {
        let ready = std::sync::Arc::new(Ready::default());
        let inner = future::<Named, Fallible, _, _>(sent(async { looking().await }));
        let child = DC::new(|a: u32, b: u32| a + b, (looking(), inner));
        let run = start(
            future::<Named, Value, _, _>(sent(async move {
                let mut child = child.into_future();
                std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut child).poll(context).is_ready())).await;
                7
            })),
            &ready,
        );
        // Somebody looks only if something has been stopped.
        start(DC::new(|| 0, ()), &ready).scope.stop();
        work_on_two_threads(&ready);
        assert_eq!(result(&run).unwrap(), 7);
    });
}
