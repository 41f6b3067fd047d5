//! What loom checks of the scheduler: the gate, going idle against a push, what is urgent against the bit for it, pauses, and
//! the sleep of the watch.

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::thread;

use super::CallDue;
use super::gate::Gate;
use super::nap::Nap;
use super::pause::Aside;
use super::ranks::Ranks;
use crate::barrier;

/// Counts who is inside, and checks that there are never too many.
struct Inside(AtomicUsize);

impl Inside {
    fn enter(&self, max: usize) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) < max, "more workers than the gate lets in");
        assert_ne!(self.0.fetch_sub(1, Ordering::SeqCst), 0);
    }
}

#[test]
fn no_two_workers_pass_a_gate_for_one() {
    loom::model(|| {
        let shared = Arc::new((Gate::new(1), Inside(AtomicUsize::new(0))));
        let other = Arc::clone(&shared);
        let work = |(gate, inside): &(Gate, Inside)| {
            if let Some(mut permit) = gate.try_enter() {
                inside.enter(1);
                permit.found_work();
                inside.enter(1);
            }
        };
        let thread = thread::spawn(move || work(&other));
        work(&shared);
        thread.join().unwrap();
        assert_eq!((shared.0.state().running(), shared.0.state().searching()), (0, 0));
    });
}

#[test]
fn a_gate_that_closes_under_its_workers_lets_the_surplus_go() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(2));
        let epoch = gate.state().epoch();
        let worker =
            move |gate: &Gate| gate.try_enter().and_then(|permit| permit.stay(epoch)).map(std::mem::forget).is_some();
        let other = Arc::clone(&gate);
        let thread = thread::spawn(move || worker(&other));
        gate.set_max(1);
        let stayed = thread.join().unwrap();
        assert_eq!(gate.state().running(), usize::from(stayed));
        if stayed {
            // It looks again after its next step.
            assert!(gate.receive(super::gate::SentPermit::forgotten()).stay(epoch).is_none());
        }
        assert_eq!(gate.state().running(), 0);
    });
}

#[test]
fn a_returning_task_gets_the_place_that_a_worker_leaves() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1));
        std::mem::forget(gate.try_enter().unwrap());
        gate.block();
        let other = Arc::clone(&gate);
        // A worker takes the place meanwhile, and leaves: because it is idle, or because the task returns.
        let worker = thread::spawn(move || drop(other.try_enter()));
        gate.unblock(|| {});
        worker.join().unwrap();
        assert_eq!(gate.state().running(), 1);
    });
}

/// A worker goes idle while another one queues a node: one of them notices the other.
#[test]
fn a_push_and_a_worker_that_goes_idle_do_not_miss_each_other() {
    going_idle(barrier::light);
}

/// The same for a node that comes from outside.
#[test]
fn an_injected_node_and_a_worker_that_goes_idle_do_not_miss_each_other() {
    going_idle(|| fence(Ordering::SeqCst));
}

fn going_idle(barrier: fn()) {
    loom::model(move || {
        let gate = Arc::new(Gate::new(2));
        let queued = Arc::new(AtomicUsize::new(0));
        let mut busy = gate.try_enter().unwrap();
        busy.found_work();
        let idle = gate.try_enter().unwrap().send();

        let idler = {
            let (gate, queued) = (Arc::clone(&gate), Arc::clone(&queued));
            thread::spawn(move || {
                drop(gate.receive(idle));
                barrier::patient();
                0 < queued.load(Ordering::Relaxed) && gate.try_enter().map(std::mem::forget).is_some()
            })
        };
        queued.store(1, Ordering::Relaxed);
        barrier();
        let called = gate.state().wants_worker() && gate.try_call().map(std::mem::forget).is_some();
        let came_back = idler.join().unwrap();
        assert!(called || came_back, "a node lies in a queue, and nobody comes");
        drop(busy);
    });
}

/// A worker takes the last node from outside while another one is injected: the gate tells of that.
#[test]
fn what_is_injected_while_others_are_taken_is_not_overlooked() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1));
        let queued = Arc::new(AtomicUsize::new(0));
        let mut busy = gate.try_enter().unwrap();
        busy.found_work();
        gate.set_outside(true);
        let injector = {
            let (gate, queued) = (Arc::clone(&gate), Arc::clone(&queued));
            thread::spawn(move || {
                queued.store(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if !gate.state().has_outside() {
                    gate.set_outside(true);
                }
            })
        };
        gate.set_outside(false);
        fence(Ordering::SeqCst);
        if 0 < queued.load(Ordering::Relaxed) {
            gate.set_outside(true);
        }
        injector.join().unwrap();
        assert!(gate.state().has_outside(), "a node lies in a queue, and nobody hears of it");
        drop(busy);
    });
}

/// The last that searches finds a node while another one is queued: one of the two sees to that.
#[test]
fn a_push_and_a_worker_that_has_found_work_do_not_miss_each_other() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(3));
        let queued = Arc::new(AtomicUsize::new(0));
        let mut busy = gate.try_enter().unwrap();
        busy.found_work();
        let searching = gate.try_enter().unwrap().send();

        let searcher = {
            let (gate, queued) = (Arc::clone(&gate), Arc::clone(&queued));
            thread::spawn(move || {
                let mut permit = gate.receive(searching);
                let is_last = permit.found_work();
                fence(Ordering::SeqCst);
                is_last && gate.state().wants_worker() && 0 < queued.load(Ordering::Relaxed)
            })
        };
        queued.store(1, Ordering::Relaxed);
        if gate.state().has_place() {
            fence(Ordering::SeqCst);
        }
        let called = gate.state().wants_worker();
        let is_seen = searcher.join().unwrap();
        assert!(called || is_seen, "a node lies in a queue, and nobody is called");
        drop(busy);
    });
}

/// One thread queues what is urgent while another takes it: the gate says so exactly while there is something urgent.
#[test]
fn the_gate_says_that_something_is_urgent_while_something_is() {
    loom::model(|| {
        let shared = Arc::new((Gate::new(1), Ranks::new()));
        assert!(shared.1.push(1, 1, &shared.0, |_| false).is_none());
        let other = Arc::clone(&shared);
        let pusher = thread::spawn(move || {
            let (gate, ranks) = &*other;
            assert!(ranks.push(2, 2, gate, |_| false).is_none());
            assert!(ranks.push(-3, -3, gate, |_| false).is_none());
        });
        let (gate, ranks) = &*shared;
        let mut taken = Vec::new();
        for _ in 0..2 {
            if gate.state().is_urgent() {
                taken.extend(ranks.take_urgent(0, gate).map(|(node, _)| node));
            }
        }
        pusher.join().unwrap();
        while gate.state().is_urgent() {
            taken.push(ranks.take_urgent(0, gate).expect("something is urgent").0);
        }
        assert!(ranks.take_urgent(0, gate).is_none(), "nothing is urgent");
        taken.sort_unstable();
        assert_eq!((taken, ranks.take_patient(), ranks.is_empty()), (vec![1, 2], Some((-3, -3)), true));
    });
}

/// A worker goes idle while something is queued by its priority: one side notices the other.
#[test]
fn a_ranked_node_and_a_worker_that_goes_idle_do_not_miss_each_other() {
    for priority in [1, -1] {
        loom::model(move || {
            let shared = Arc::new((Gate::new(1), Ranks::new()));
            let idle = shared.0.try_enter().unwrap().send();
            let other = Arc::clone(&shared);
            let idler = thread::spawn(move || {
                let (gate, ranks) = &*other;
                drop(gate.receive(idle));
                barrier::patient();
                !ranks.is_empty() && gate.try_enter().map(std::mem::forget).is_some()
            });
            let (gate, ranks) = &*shared;
            assert!(ranks.push(1, priority, gate, |_| false).is_none());
            fence(Ordering::SeqCst);
            let called = gate.state().wants_worker() && gate.try_call().map(std::mem::forget).is_some();
            let came_back = idler.join().unwrap();
            assert!(called || came_back, "a node waits, and nobody comes");
        });
    }
}

/// A call that could not be taken relies on the one that is made later: that finds what this was for.
#[test]
fn a_call_that_is_left_to_another_is_made_after_it() {
    loom::model(|| {
        let due = Arc::new(CallDue::default());
        let queued = Arc::new(AtomicUsize::new(0));
        assert!(due.announce(), "nobody else sees to it");
        let caller = {
            let (due, queued) = (Arc::clone(&due), Arc::clone(&queued));
            thread::spawn(move || {
                queued.store(1, Ordering::Relaxed);
                due.announce()
            })
        };
        due.begin();
        let called = 0 < queued.load(Ordering::Relaxed);
        let sees_to_it = caller.join().unwrap();
        assert!(called || sees_to_it, "a node lies in a queue, and nobody will look");
    });
}

/// A pause ends while somebody puts a node aside.
#[test]
fn nothing_lies_aside_after_a_pause() {
    loom::model(|| {
        let shared = Arc::new((Gate::new(1), Aside::new()));
        shared.1.begin(&shared.0);
        let other = Arc::clone(&shared);
        let worker = thread::spawn(move || other.1.put((), &other.0, |()| false).is_some());
        let resumed = shared.1.end(&shared.0).len();
        let came_back = worker.join().unwrap();
        assert_eq!(resumed + usize::from(came_back), 1, "the node goes on, and once");
    });
}

/// Two runs stop while a pause begins and a worker puts a node of one of them aside: whoever looks for more finds out.
#[test]
fn what_stops_while_it_is_put_aside_is_given_up() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = Arc::new((Gate::new(1), Aside::new(), AtomicUsize::new(0)));
        let permit = shared.0.try_enter().unwrap().send();
        let stop = |stopped: usize| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (gate, aside, stops) = &*shared;
                stops.fetch_add(stopped, Ordering::Relaxed);
                aside.change();
                gate.state().is_paused()
                    && gate.state().wants_worker()
                    && gate.try_call().map(std::mem::forget).is_some()
            })
        };
        let stoppers = [stop(1), stop(0)];
        let (gate, aside, stops) = &*shared;
        aside.begin(gate);
        let put = |node| aside.put(node, gate, |()| 0 < stops.load(Ordering::Relaxed)).is_some();
        let look_through = || aside.take_changed().is_some_and(|nodes| nodes.into_iter().any(put));
        let mut is_given_up = put(());
        drop(gate.receive(permit));
        barrier::patient();
        if !is_given_up && aside.has_changed() {
            is_given_up = look_through();
        }
        let called = stoppers.map(|stopper| stopper.join().unwrap()).contains(&true);
        assert!(is_given_up || called, "a node lies aside, and nobody looks again");
        assert!(is_given_up || look_through(), "who looked again did not see that it has stopped");
    });
}

/// A run ends and another one starts while the watch is about to sleep for long.
#[test]
fn the_watch_sleeps_through_no_run() {
    loom::model(|| {
        let nap = Arc::new(Nap::new(true));
        let watch = std::cell::Cell::new(None);
        let start = || {
            let nap = Arc::clone(&nap);
            // It looks at once, and the model fails if it never does.
            watch.set(Some(thread::spawn(move || assert!(nap.sleep(Duration::ZERO)))));
            true
        };
        assert!(nap.set_has_runs(true, start));
        assert!(nap.set_has_runs(false, || unreachable!("nothing starts when runs end")));
        assert!(nap.set_has_runs(true, || unreachable!("there is one watch")));
        watch.take().expect("the first run has started it").join().unwrap();
    });
}
