//! What loom checks of the deque: that each node is taken once, whole, whoever takes it, and that buffers are freed
//! when nobody reads them.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::super::cx::Queued;
use super::super::deque::{Deque, Stealer};
use super::super::node::Ready;
use crate::barrier::in_model;

/// What is queued here: a cell that loom watches stands for a node.
type Cell = UnsafeCell<u32>;

/// The nodes of a model, each with how often it was taken.
struct Nodes {
    cells: Vec<Box<Cell>>,
    taken: Vec<AtomicU32>,
}

// SAFETY: loom checks who touches a cell when.
unsafe impl Sync for Nodes {}
// SAFETY: as above.
unsafe impl Send for Nodes {}

impl Nodes {
    fn new(n: u32) -> Arc<Self> {
        let nodes = (0..n).map(|_| (Box::new(Cell::new(u32::MAX)), AtomicU32::new(0)));
        let (cells, taken) = nodes.unzip();
        Arc::new(Self { cells, taken })
    }

    /// Writes the node, queues it, and goes on with something else.
    fn push(&self, deque: &Deque, i: u32) {
        let cell = &*self.cells[i as usize];
        // SAFETY: nobody has it yet; loom checks that.
        cell.with_mut(|value| unsafe { *value = i });
        // SAFETY: the deque looks at no node.
        deque.push(unsafe { Queued::again(Ready(NonNull::from(cell).cast())) });
        deque.show(0);
    }

    fn take(&self, node: Queued) {
        // SAFETY: it is one of our cells; loom checks that it was written before.
        let i = unsafe { node.into_node().cast::<Cell>().as_ref() }.with(|i| unsafe { *i });
        self.taken[i as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn steal(&self, stealer: &Stealer, times: u32) {
        for _ in 0..times {
            let node = if in_model::has_heavy() { stealer.insist() } else { stealer.steal() };
            node.into_iter().for_each(|node| self.take(node));
        }
    }

    fn pop_all(&self, deque: &Deque) {
        while let Some(node) = deque.pop() {
            self.take(node);
        }
    }

    fn are_taken_once(&self) {
        let times: Vec<_> = self.taken.iter().map(|taken| taken.load(Ordering::Relaxed)).collect();
        assert!(times.iter().all(|times| *times == 1), "each is taken once, not {times:?} times");
    }
}

/// Checks all ways in which a thread is interrupted up to three times (all there are would take minutes): with an open
/// deque, with one that has some public nodes, and with thieves that insist on the others, whether or not the system helps.
fn model(code: impl Fn(Deque) + Copy + Send + Sync + 'static) {
    let check = |is_open: bool| {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let deque = Deque::new();
            if !is_open {
                deque.close();
            }
            code(deque);
        });
    };
    check(true);
    check(false);
    in_model::with_heavy(false, || check(false));
    in_model::with_heavy(true, || check(false));
}

/// A thief comes at any time: to what was pushed before and after it came, and to what lay below what was popped.
#[test]
fn a_node_is_taken_by_its_owner_or_by_a_thief() {
    model(|deque| {
        let nodes = Nodes::new(3);
        let (stealer, its_nodes) = (deque.stealer(), Arc::clone(&nodes));
        let thief = thread::spawn(move || its_nodes.steal(&stealer, 2));
        nodes.push(&deque, 0);
        nodes.push(&deque, 1);
        deque.pop().into_iter().for_each(|node| nodes.take(node));
        nodes.push(&deque, 2);
        nodes.pop_all(&deque);
        thief.join().unwrap();
        nodes.are_taken_once();
    });
}

/// A thief reads a buffer while the next one takes its place.
#[test]
fn a_deque_grows_while_it_is_stolen_from() {
    model(|deque| {
        let nodes = Nodes::new(4);
        let (stealer, its_nodes) = (deque.stealer(), Arc::clone(&nodes));
        (0..2).for_each(|i| nodes.push(&deque, i));
        let thief = thread::spawn(move || its_nodes.steal(&stealer, 1));
        (2..4).for_each(|i| nodes.push(&deque, i));
        nodes.pop_all(&deque);
        deque.calm_down(u32::MAX);
        thief.join().unwrap();
        nodes.pop_all(&deque);
        nodes.are_taken_once();
    });
}

/// Two thieves and an owner want the last two.
#[test]
fn the_last_nodes_have_many_friends() {
    model(|deque| {
        let nodes = Nodes::new(2);
        (0..2).for_each(|i| nodes.push(&deque, i));
        let thieves = [(); 2].map(|()| {
            let (stealer, its_nodes) = (deque.stealer(), Arc::clone(&nodes));
            thread::spawn(move || its_nodes.steal(&stealer, 1))
        });
        nodes.pop_all(&deque);
        thieves.into_iter().for_each(|thief| thief.join().unwrap());
        nodes.pop_all(&deque);
        nodes.are_taken_once();
    });
}

/// What the owner took without a fence is nobody else's, and what it then put in the same place is only for whoever
/// finds it public.
#[test]
fn a_place_is_used_again_before_it_becomes_public() {
    model(|deque| {
        let nodes = Nodes::new(4);
        (0..2).for_each(|i| nodes.push(&deque, i));
        let (stealer, its_nodes) = (deque.stealer(), Arc::clone(&nodes));
        let thief = thread::spawn(move || its_nodes.steal(&stealer, 2));
        deque.pop().into_iter().for_each(|node| nodes.take(node));
        (2..4).for_each(|i| nodes.push(&deque, i));
        thief.join().unwrap();
        nodes.pop_all(&deque);
        nodes.are_taken_once();
    });
}

/// An owner leaves, and the next one comes, while a thief is at it.
#[test]
fn a_deque_changes_its_owner() {
    model(|deque| {
        let nodes = Nodes::new(2);
        (0..2).for_each(|i| nodes.push(&deque, i));
        let (stealer, its_nodes) = (deque.stealer(), Arc::clone(&nodes));
        let thief = thread::spawn(move || its_nodes.steal(&stealer, 2));
        deque.pop().into_iter().for_each(|node| nodes.take(node));
        deque.leave();
        nodes.pop_all(&deque);
        thief.join().unwrap();
        nodes.are_taken_once();
    });
}

/// What was public becomes private while a thief comes.
#[test]
fn an_open_deque_is_closed() {
    model(|deque| {
        let nodes = Nodes::new(4);
        (0..3).for_each(|i| nodes.push(&deque, i));
        let (stealer, its_nodes) = (deque.stealer(), Arc::clone(&nodes));
        let thief = thread::spawn(move || its_nodes.steal(&stealer, 2));
        deque.close();
        deque.pop().into_iter().for_each(|node| nodes.take(node));
        nodes.push(&deque, 3);
        nodes.pop_all(&deque);
        thief.join().unwrap();
        nodes.pop_all(&deque);
        nodes.are_taken_once();
    });
}
