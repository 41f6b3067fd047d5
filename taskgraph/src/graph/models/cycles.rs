//! What loom checks of cycles: that whoever closes one finds it, and that nobody looks for one where there cannot be any.

use std::ptr::NonNull;
use std::sync::OnceLock;

use loom::thread;

use super::super::scope::Scope;
use super::super::shared::cycle;
use super::super::shared::head::Head;
use super::super::{DC, Shared};
use super::{Ready, check, start, work_on_two_threads};

/// Two shared computations get hold of each other, and close the cycle together.
#[test]
fn a_cycle_is_found_by_whoever_closes_it() {
    check(
        |_| {
            let slots: [std::sync::Arc<OnceLock<Shared<u32>>>; 2] = Default::default();
            let needs = |other: usize| {
                let other = std::sync::Arc::clone(&slots[other]);
                DC::new(move || other.get().expect("both are there before they run").dc(), ()).shared()
            };
            let both = [needs(1), needs(0)];
            let [a, b] = both.clone();
            slots.iter().zip(both).for_each(|(slot, shared)| assert!(slot.set(shared).is_ok(), "they are set once"));
            DC::new(|a: u32, b: u32| a + b, (a, b))
        },
        Err("waits for itself"),
    );
}

/// The same, by two that are started at once, one of which knows the other from the beginning.
#[test]
fn two_that_start_at_once_and_want_each_other_do_not_miss_that() {
    check(
        |_| {
            let slot = std::sync::Arc::new(OnceLock::<Shared<u32>>::new());
            let other = std::sync::Arc::clone(&slot);
            let b = DC::new(move || other.get().expect("it is there before anything runs").dc(), ()).shared();
            let a = b.dc().map(|x| x).shared();
            assert!(slot.set(a.clone()).is_ok(), "it is set once");
            DC::new(|a: u32, b: u32| a + b, (a.dc().map(|x| x), b.dc().map(|x| x)))
        },
        Err("waits for itself"),
    );
}

/// Two need a result as parts of two others, all built before it runs: nobody has to look for a cycle.
#[test]
fn what_is_built_bottom_up_waits_without_a_lock() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let ready = std::sync::Arc::new(Ready::default());
        let below = DC::new(|| 1, ()).shared();
        let [left, right] = [below.clone(), below].map(|below| below.dc().map(|x| x + 1).shared());
        let outcome = start(DC::new(|a: u32, b: u32| a + b, (left, right)), &ready);
        // Whoever wants the lock waits for ever, and loom reports it.
        let search = cycle::lock_search();
        work_on_two_threads(&ready);
        drop(search);
        assert_eq!(outcome.result.lock().unwrap().take().expect("the run has settled").unwrap(), 4);
    });
}

/// The first to want something moves it behind its own computation, while that is moved: others have compared with the
/// number of what it wants before.
#[test]
fn what_has_not_started_moves_back_only() {
    loom::model(|| {
        let [wants, wanted] = [1, 2].map(|x| DC::new(move || x, ()).shared().into_head());
        let scope = Scope::of_shared(wants);
        // SAFETY: the handles are there, and nothing has started.
        let number_of = |head| unsafe { Head::number(head) };
        let before = number_of(wanted);
        assert!(before < number_of(wants), "what is made later comes before");
        let mover = {
            let wants = Held(wants);
            // SAFETY: as above.
            thread::spawn(move || unsafe { Head::set_number({ wants }.0, before / 2) })
        };
        // SAFETY: as above.
        unsafe { cycle::put_in_order(&scope, wanted) };
        mover.join().unwrap();
        assert!(before <= number_of(wanted) && number_of(wants) < number_of(wanted));
        // SAFETY: each is dropped once.
        [wants, wanted].into_iter().for_each(|head| drop(unsafe { Shared::<u32>::from_head(head) }));
    });
}

struct Held(NonNull<Head>);

// SAFETY: only its atomics are shared.
unsafe impl Send for Held {}
