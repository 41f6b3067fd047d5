//! Random graphs of every kind of node, run by random numbers of workers that change meanwhile, and compared with a
//! plain recursion over the same graph.
//!
//! `TASKGRAPH_CASES` sets how many graphs; run more after larger changes.

use std::collections::BTreeMap;
use std::env;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use taskgraph::{DC, Error, Runtime, Shared, all, delayed, each};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, give_way};

/// A graph, as data.
#[derive(Clone, Debug)]
enum Shape {
    Value(u8),
    Leaf(u8),
    /// A value that needs no node.
    Small(u8),
    Fails,
    Panics,
    Sum(Vec<Shape>),
    Pair(Box<Shape>, Box<Shape>),
    Map(Box<Shape>),
    Then(Box<Shape>, Box<Shape>),
    Named(Box<Shape>),
    Attempt(Box<Shape>),
    All(Vec<Shape>),
    Repeated(Box<Shape>, usize),
    /// A list as an argument: this many times the shape, and as many plain values.
    Listed(Box<Shape>, usize),
    /// For this many items: a shape, of all in turn, and a plain value, alternately.
    Each(Vec<Shape>, usize),
    /// The same, of unknown length.
    EachOfSome(Vec<Shape>, usize),
    Array([Box<Shape>; 3]),
    Yields(Vec<Shape>),
    YieldsAndFails(Vec<Shape>),
    /// A body that awaits the shapes, one after the other, or all at once.
    Awaits(Vec<Shape>),
    AwaitsAll(Vec<Shape>),
    /// A body that starts both, and goes on without the second.
    Drops(Box<Shape>, Box<Shape>),
    /// An async generator that awaits some of what it yields.
    YieldsAndAwaits(Vec<Shape>),
    Grows(Box<Shape>, u8),
    /// The shape is shared by this many users, which are summed up.
    Shares(Box<Shape>, u8),
    /// A task that takes the first shape's result by value and by reference, and waits for the second's, which may use
    /// the first's as well.
    Mixes(Box<Shape>, Box<Shape>),
    /// One of the results shared further up, if there is any.
    Uses(u8),
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        8 => any::<u8>().prop_map(Shape::Value),
        8 => any::<u8>().prop_map(Shape::Leaf),
        4 => any::<u8>().prop_map(Shape::Small),
        6 => any::<u8>().prop_map(Shape::Uses),
        1 => Just(Shape::Fails),
        1 => Just(Shape::Panics),
    ];
    leaf.prop_recursive(7, 120, 5, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let some = || prop::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            some().prop_map(Shape::Sum),
            (boxed(), boxed()).prop_map(|(a, b)| Shape::Pair(a, b)),
            boxed().prop_map(Shape::Map),
            (boxed(), boxed()).prop_map(|(a, b)| Shape::Then(a, b)),
            boxed().prop_map(Shape::Named),
            boxed().prop_map(Shape::Attempt),
            some().prop_map(Shape::All),
            (boxed(), 0..40usize).prop_map(|(a, n)| Shape::Repeated(a, n)),
            (boxed(), 0..25usize).prop_map(|(a, n)| Shape::Listed(a, n)),
            (some(), 0..60usize).prop_map(|(shapes, n)| Shape::Each(shapes, n)),
            (some(), 0..30usize).prop_map(|(shapes, n)| Shape::EachOfSome(shapes, n)),
            [boxed(), boxed(), boxed()].prop_map(Shape::Array),
            some().prop_map(Shape::Yields),
            some().prop_map(Shape::YieldsAndFails),
            some().prop_map(Shape::Awaits),
            some().prop_map(Shape::AwaitsAll),
            (boxed(), boxed()).prop_map(|(a, b)| Shape::Drops(a, b)),
            some().prop_map(Shape::YieldsAndAwaits),
            (boxed(), 0..4u8).prop_map(|(a, n)| Shape::Grows(a, n)),
            (boxed(), 0..4u8).prop_map(|(a, n)| Shape::Shares(a, n)),
            (boxed(), boxed()).prop_map(|(a, b)| Shape::Mixes(a, b)),
        ]
    })
}

/// The shape for an item of [`Shape::Each`]; none for a plain value.
fn shape_for(shapes: &[Shape], i: usize) -> Option<&Shape> {
    i.is_multiple_of(2).then(|| shapes.get((i / 2) % shapes.len().max(1))).flatten()
}

/// The expected result: the value, or none if it fails.
fn expected(shape: &Shape, shared: &[Option<u64>]) -> Option<u64> {
    let sum = |shapes: &[Shape]| shapes.iter().map(|shape| expected(shape, shared)).sum::<Option<u64>>();
    Some(match shape {
        Shape::Value(x) | Shape::Leaf(x) | Shape::Small(x) => u64::from(*x),
        Shape::Fails | Shape::Panics | Shape::YieldsAndFails(_) => return None,
        Shape::Sum(shapes) => sum(shapes)? + 1,
        Shape::All(shapes) | Shape::Awaits(shapes) | Shape::AwaitsAll(shapes) => sum(shapes)?,
        Shape::Drops(a, _) => expected(a, shared)? + 1,
        Shape::Yields(shapes) | Shape::YieldsAndAwaits(shapes) => sum(shapes)? + shapes.len() as u64,
        Shape::Pair(a, b) => expected(a, shared)?.wrapping_mul(3).wrapping_add(expected(b, shared)?),
        Shape::Map(a) => expected(a, shared)? ^ 5,
        Shape::Then(a, b) => expected(a, shared)?.wrapping_add(expected(b, shared)?),
        Shape::Named(a) => expected(a, shared)?,
        Shape::Grows(a, _) => expected(a, shared)?,
        Shape::Attempt(a) => expected(a, shared).unwrap_or(1000),
        Shape::Repeated(a, n) => (0..*n).map(|_| expected(a, shared)).sum::<Option<u64>>()?,
        Shape::Listed(a, n) => (0..*n).map(|_| expected(a, shared)).sum::<Option<u64>>()? + *n as u64,
        Shape::Each(shapes, n) | Shape::EachOfSome(shapes, n) => (0..*n)
            .map(|i| shape_for(shapes, i).map_or(Some(1), |shape| expected(shape, shared)))
            .sum::<Option<u64>>()?,
        Shape::Array([a, b, c]) => expected(a, shared)? + expected(b, shared)? + expected(c, shared)?,
        Shape::Shares(a, users) => {
            let inner = expected(a, shared);
            let mut shared = shared.to_vec();
            shared.push(inner);
            // All users but the first need it as an argument, the first as the shape that uses it.
            (0..=*users).map(|_| inner).sum::<Option<u64>>()?
        }
        Shape::Mixes(a, b) => {
            let inner = expected(a, shared);
            let shared: Vec<_> = shared.iter().copied().chain([inner]).collect();
            2 * inner? + expected(b, &shared)? + 3
        }
        Shape::Uses(at) => match shared.len() {
            0 => 2,
            len => shared[usize::from(*at) % len]?,
        },
    })
}

/// A counted value of the graph.
#[derive(Clone)]
struct Value(u64, Counted);

/// The notes of the tasks of a graph.
#[derive(Clone)]
struct Notes {
    census: Census,
    /// How often each task ran.
    ran: Arc<Vec<AtomicU32>>,
    next: Arc<AtomicU32>,
}

const TASKS_MAX: usize = 1 << 17;

impl Notes {
    fn new(tasks: usize) -> Self {
        let ran = (0..tasks).map(|_| AtomicU32::new(0)).collect();
        Self { census: Census::new(), ran: Arc::new(ran), next: Arc::new(AtomicU32::new(0)) }
    }

    /// A mark for one task, to be made when it runs.
    fn task(&self) -> impl FnOnce() + Send + 'static {
        let at = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        let (ran, held) = (Arc::clone(&self.ran), self.census.counted());
        move || {
            held.check();
            ran[at].fetch_add(1, Ordering::SeqCst);
        }
    }

    fn value(&self, x: u64) -> Value {
        Value(x, self.census.counted())
    }

    #[track_caller]
    fn assert_nothing_ran_twice(&self, all_of_them: bool) {
        let tasks = self.next.load(Ordering::SeqCst) as usize;
        for (at, ran) in self.ran[..tasks].iter().enumerate() {
            let ran = ran.load(Ordering::SeqCst);
            assert!(ran <= 1, "task {at} ran {ran} times");
            assert!(ran == 1 || !all_of_them, "task {at} never ran");
        }
    }
}

#[delayed]
fn look(value: &Value) -> u64 {
    value.1.check();
    value.0
}

/// Not larger than a pointer.
type Small = Box<Value>;

fn small_sum(values: &[Small]) -> u64 {
    values.iter().map(|value| (value.1.check(), value.0).1).sum()
}

#[delayed]
fn mixes(copied: Value, lent: &Value, waited: Value, lent_small: &Small, there: u64) -> u64 {
    [&copied, lent, &waited, lent_small].into_iter().for_each(|value| value.1.check());
    copied.0 + lent.0 + waited.0 + lent_small.0 + there
}

#[delayed]
fn yields(items: Items, notes: Notes, fails: bool) -> Result<Vec<Value>, String> {
    let local = notes.census.counted();
    for item in items.0 {
        yield_!(item);
        yield_!(notes.value(1));
        local.check();
    }
    if fails { Err("the generator".to_owned()) } else { Ok(()) }
}

#[delayed]
async fn awaits(items: Items, held: Counted, at_once: bool) -> Result<Vec<Value>, Error> {
    if at_once {
        let all = join_all(items.0.into_iter().map(DC::into_future)).await;
        held.check();
        return all.into_iter().collect();
    }
    let mut values = Vec::new();
    for item in items.0 {
        values.push(item.await?);
        give_way().await;
        held.check();
    }
    Ok(values)
}

#[delayed]
async fn drops(needed: Items, lost: Items, held: Counted) -> Result<Value, Error> {
    let mut lost = join_all(lost.0.into_iter().map(DC::into_future));
    poll_fn(|context| Poll::Ready(Pin::new(&mut lost).poll(context).is_ready())).await;
    give_way().await;
    let needed = needed.0.into_iter().next().expect("there is one").await;
    held.check();
    drop(lost);
    needed
}

#[delayed]
async fn yields_and_awaits(items: Items, notes: Notes) -> Result<Vec<Value>, Error> {
    let local = notes.census.counted();
    for (i, item) in items.0.into_iter().enumerate() {
        if i % 2 == 0 {
            yield_!(item);
            give_way().await;
        } else {
            let kept = yield_!(item);
            kept.clone().await?.1.check();
            drop(kept);
        }
        yield_!(notes.value(1));
        local.check();
    }
    Ok(())
}

#[delayed]
fn grows(item: Items, left: u8, mark: Mark) -> DC<Value> {
    if left == 0 {
        (mark.0)();
        item.0.into_iter().next().expect("there is one")
    } else {
        grows(item, left - 1, mark)
    }
}

struct Items(Vec<DC<Value>>);
struct Mark(Box<dyn FnOnce() + Send>);

fn sum(values: &[Value]) -> u64 {
    values.iter().map(|value| (value.1.check(), value.0).1).sum()
}

/// The graph of a shape.
fn build(shape: &Shape, notes: &Notes, shared: &[Shared<Value>]) -> DC<Value> {
    let (mark, made) = (notes.task(), notes.clone());
    let one = |shape: &Shape| build(shape, notes, shared);
    let many = |shapes: &[Shape]| shapes.iter().map(one).collect::<Vec<_>>();
    let done = move |x: u64| {
        mark();
        made.value(x)
    };
    match shape {
        Shape::Value(x) => {
            let value = notes.value(u64::from(*x));
            DC::value(value).map(move |value| done(value.0))
        }
        Shape::Leaf(x) => DC::new(move |x: u8| done(u64::from(x)), (*x,)),
        Shape::Small(x) => {
            let small = DC::value(Small::new(notes.value(u64::from(*x))));
            DC::new(move |small: Small| (small.1.check(), done(small.0)).1, (small,))
        }
        Shape::Fails => DC::<Value>::new(move |_: Value| (done(0), Err::<Value, _>("on purpose")).1, (notes.value(0),)),
        Shape::Panics => {
            let panics = move |_: Value| -> Value {
                done(0);
                std::panic::resume_unwind(Box::new("on purpose"))
            };
            DC::new(panics, (notes.value(0),))
        }
        Shape::Sum(shapes) => DC::new(move |values: Vec<Value>| done(sum(&values) + 1), (many(shapes),)),
        Shape::Pair(a, b) => {
            DC::new(move |a: Value, b: u64| done(a.0.wrapping_mul(3).wrapping_add(b)), (one(a), look(one(b))))
        }
        Shape::Map(a) => one(a).map(move |value| done(value.0 ^ 5)),
        Shape::Then(a, b) => {
            let (shape, notes, shared) = (b.clone(), notes.clone(), shared.to_vec());
            one(a).then(move |a| {
                let next = build(&shape, &notes, &shared);
                next.map(move |b| done(a.0.wrapping_add(b.0)))
            })
        }
        Shape::Named(a) => one(a).map(move |value| done(value.0)).named("named"),
        Shape::Attempt(a) => one(a).attempt().map(move |kept| done(kept.map_or(1000, |value| value.0))),
        Shape::All(shapes) => all(many(shapes)).map(move |values| done(sum(&values))),
        Shape::Repeated(a, n) => {
            (0..*n).map(|_| one(a)).collect::<DC<Vec<Value>>>().map(move |values| done(sum(&values)))
        }
        Shape::Listed(a, n) => {
            let there = || DC::value(Small::new(notes.value(1)));
            let list: Vec<_> = (0..*n).flat_map(|_| [one(a).map(Small::new), there()]).collect();
            DC::new(move |values: Vec<Small>| done(small_sum(&values)), (list,))
        }
        Shape::Each(shapes, n) | Shape::EachOfSome(shapes, n) => {
            let (shapes, notes, shared, n) = (shapes.clone(), notes.clone(), shared.to_vec(), *n);
            let make = move |i: usize| match shape_for(&shapes, i) {
                Some(shape) => build(shape, &notes, &shared).map(Small::new),
                None => DC::value(Small::new(notes.value(1))),
            };
            let some = matches!(shape, Shape::EachOfSome(..));
            let made = if some { each((0..2 * n).filter(move |i| *i < n), make) } else { each(0..n, make) };
            made.map(move |values| done(small_sum(&values)))
        }
        Shape::Array([a, b, c]) => DC::new(move |values: [Value; 3]| done(sum(&values)), ([one(a), one(b), one(c)],)),
        Shape::Yields(shapes) | Shape::YieldsAndFails(shapes) => {
            let fails = matches!(shape, Shape::YieldsAndFails(_));
            yields(Items(many(shapes)), notes.clone(), fails).map(move |values| done(sum(&values)))
        }
        Shape::Awaits(shapes) | Shape::AwaitsAll(shapes) => {
            let at_once = matches!(shape, Shape::AwaitsAll(_));
            awaits(Items(many(shapes)), notes.census.counted(), at_once).map(move |values| done(sum(&values)))
        }
        Shape::Drops(a, b) => {
            let (needed, lost) = (Items(vec![one(a)]), Items(vec![one(b)]));
            drops(needed, lost, notes.census.counted()).map(move |value| done(value.0 + 1))
        }
        Shape::YieldsAndAwaits(shapes) => {
            yields_and_awaits(Items(many(shapes)), notes.clone()).map(move |values| done(sum(&values)))
        }
        Shape::Grows(a, n) => {
            let grown = Mark(Box::new(notes.task()));
            grows(Items(vec![one(a)]), *n, grown).map(move |value| done(value.0))
        }
        Shape::Shares(a, users) => {
            let result = one(a).shared();
            let shared: Vec<_> = shared.iter().cloned().chain([result.clone()]).collect();
            let first = build(&Shape::Uses(shared.len() as u8 - 1), notes, &shared);
            drop(shared);
            let users: Vec<_> = (0..*users)
                .map(|i| if i % 2 == 0 { look(result.clone()) } else { result.dc().map(|value| value.0) })
                .collect();
            drop(result);
            DC::new(move |first: Value, users: Vec<u64>| done(first.0 + users.iter().sum::<u64>()), (first, users))
        }
        Shape::Mixes(a, b) => {
            let result = one(a).shared();
            let shared: Vec<_> = shared.iter().cloned().chain([result.clone()]).collect();
            let waited = build(b, notes, &shared);
            drop(shared);
            let small = DC::value(Small::new(notes.value(1))).shared();
            mixes(result.clone(), result, waited, small, DC::value(2)).map(done)
        }
        Shape::Uses(at) => match shared.len() {
            0 => DC::new(move || done(2), ()),
            len => DC::new(move |value: Value| done(value.0), (shared[usize::from(*at) % len].clone(),)),
        },
    }
}

/// The number of tasks in the graph of a shape, including those in attempts and later ones.
fn tasks(shape: &Shape) -> usize {
    1 + match shape {
        Shape::Value(_) | Shape::Leaf(_) | Shape::Small(_) | Shape::Fails | Shape::Panics | Shape::Uses(_) => 0,
        Shape::Sum(shapes)
        | Shape::All(shapes)
        | Shape::Yields(shapes)
        | Shape::YieldsAndFails(shapes)
        | Shape::Awaits(shapes)
        | Shape::AwaitsAll(shapes)
        | Shape::YieldsAndAwaits(shapes) => shapes.iter().map(tasks).sum(),
        Shape::Pair(a, b) | Shape::Then(a, b) | Shape::Mixes(a, b) | Shape::Drops(a, b) => tasks(a) + tasks(b),
        Shape::Map(a) | Shape::Named(a) | Shape::Attempt(a) => tasks(a),
        Shape::Grows(a, _) | Shape::Shares(a, _) => tasks(a) + 1,
        Shape::Repeated(a, n) | Shape::Listed(a, n) => n * tasks(a),
        Shape::Each(shapes, n) | Shape::EachOfSome(shapes, n) => {
            (0..*n).filter_map(|i| shape_for(shapes, i)).map(tasks).sum()
        }
        Shape::Array(shapes) => shapes.iter().map(|shape| tasks(shape)).sum(),
    }
}

/// How a graph is run.
#[derive(Clone, Debug)]
struct Way {
    max_workers: usize,
    changes: Vec<usize>,
    cancel: bool,
}

fn way() -> impl Strategy<Value = Way> {
    let changes = prop_oneof![Just(Vec::new()), prop::collection::vec(1..=8usize, 1..6)];
    (1..=8usize, changes, prop::bool::weighted(0.1)).prop_map(|(max_workers, changes, cancel)| Way {
        max_workers,
        changes,
        cancel,
    })
}

fn check(runtime: &Arc<Runtime>, shape: &Shape, way: &Way) {
    let tasks = tasks(shape);
    if TASKS_MAX < tasks {
        return;
    }
    runtime.set_max_workers(way.max_workers).unwrap();
    let notes = Notes::new(tasks);
    let expected = expected(shape, &[]);
    let over = Arc::new(AtomicBool::new(false));
    let changer = (!way.changes.is_empty()).then(|| {
        let (runtime, changes, over) = (Arc::clone(runtime), way.changes.clone(), Arc::clone(&over));
        thread::spawn(move || {
            for size in changes.into_iter().cycle() {
                runtime.set_max_workers(size).unwrap();
                if over.load(Ordering::SeqCst) {
                    break;
                }
                thread::sleep(Duration::from_micros(50));
            }
        })
    });
    let handle = runtime.spawn(build(shape, &notes, &[]));
    if way.cancel {
        handle.cancel();
    }
    let result = handle.join();
    over.store(true, Ordering::SeqCst);
    if let Some(changer) = changer {
        changer.join().unwrap();
    }
    match (&result, expected) {
        (Ok(value), Some(expected)) => {
            value.1.check();
            assert_eq!(value.0, expected);
        }
        (Err(error), None) if !error.is_cancelled() || way.cancel => {}
        (Err(error), Some(_)) if error.is_cancelled() && way.cancel => {}
        (Ok(value), None) => panic!("it should have failed, and gave {}", value.0),
        (Err(error), expected) => panic!("{error:#} instead of {expected:?}"),
    }
    let succeeded = result.is_ok();
    drop(result);
    notes.assert_nothing_ran_twice(succeeded && !has_failures(shape));
    notes.census.assert_balanced(0);
}

fn has_failures(shape: &Shape) -> bool {
    match shape {
        // A dropped computation may not have run, like one beside a failure.
        Shape::Fails | Shape::Panics | Shape::YieldsAndFails(_) | Shape::Drops(..) => true,
        Shape::Value(_) | Shape::Leaf(_) | Shape::Small(_) | Shape::Uses(_) => false,
        Shape::Sum(shapes) | Shape::All(shapes) | Shape::Yields(shapes) => shapes.iter().any(has_failures),
        Shape::Each(shapes, _) | Shape::EachOfSome(shapes, _) => shapes.iter().any(has_failures),
        Shape::Awaits(shapes) | Shape::AwaitsAll(shapes) | Shape::YieldsAndAwaits(shapes) => {
            shapes.iter().any(has_failures)
        }
        Shape::Pair(a, b) | Shape::Then(a, b) | Shape::Mixes(a, b) => has_failures(a) || has_failures(b),
        Shape::Map(a) | Shape::Named(a) | Shape::Attempt(a) => has_failures(a),
        Shape::Grows(a, _) | Shape::Shares(a, _) | Shape::Repeated(a, _) | Shape::Listed(a, _) => has_failures(a),
        Shape::Array(shapes) => shapes.iter().any(|shape| has_failures(shape)),
    }
}

fn cases(by_default: u32) -> u32 {
    env::var("TASKGRAPH_CASES").map_or(by_default, |cases| cases.parse().expect("a number of cases"))
}

fn run_cases<S: Strategy<Value: 'static> + 'static>(strategy: S, by_default: u32, check: impl Fn(&S::Value)) {
    let config =
        Config { cases: cases(by_default), failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    TestRunner::new(config)
        .run(&strategy, |value| {
            check(&value);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn come_to_what_a_plain_recursion_comes_to() {
    let runtime = Arc::new(taskgraph_tests::runtime(1));
    run_cases((shape(), way()), 4000, move |(shape, way)| {
        let (runtime, shape, way) = (Arc::clone(&runtime), shape.clone(), way.clone());
        wait::ends(move || check(&runtime, &shape, &way));
    });
}

#[test]
fn do_not_disturb_each_other() {
    let runtime = Arc::new(taskgraph_tests::runtime(2));
    run_cases(prop::collection::vec(shape(), 2..6), 300, move |shapes| {
        let (runtime, shapes) = (Arc::clone(&runtime), shapes.clone());
        wait::ends(move || {
            let runs: Vec<_> = shapes
                .into_iter()
                .filter(|shape| tasks(shape) <= TASKS_MAX)
                .map(|shape| {
                    let notes = Notes::new(tasks(&shape));
                    let handle = runtime.spawn(build(&shape, &notes, &[]));
                    (shape, notes, handle)
                })
                .collect();
            for (shape, notes, handle) in runs {
                assert_eq!(handle.join().ok().map(|value| value.0), expected(&shape, &[]));
                notes.assert_nothing_ran_twice(!has_failures(&shape));
                notes.census.assert_balanced(0);
            }
        });
    });
}

#[test]
fn leave_nothing_behind_when_they_never_run() {
    run_cases(shape(), 500, |shape| {
        if tasks(shape) <= TASKS_MAX {
            let notes = Notes::new(tasks(shape));
            drop(build(shape, &notes, &[]));
            notes.census.assert_balanced(0);
        }
    });
}

#[test]
fn share_results_with_several_runtimes() {
    let runtimes: Vec<_> = (1..4).map(taskgraph_tests::runtime).collect();
    run_cases(shape(), 300, move |shape| {
        if 2000 < tasks(shape) {
            return;
        }
        let notes = Notes::new(tasks(shape));
        let shared = build(shape, &notes, &[]).shared();
        let handles: Vec<_> = runtimes.iter().map(|runtime| runtime.spawn(look(shared.clone()))).collect();
        drop(shared);
        let results: Vec<_> = handles.into_iter().map(|handle| handle.join().ok()).collect();
        let mut seen = BTreeMap::new();
        results.iter().for_each(|result| *seen.entry(*result).or_insert(0) += 1);
        assert_eq!(seen, BTreeMap::from([(expected(shape, &[]), 3)]));
        notes.assert_nothing_ran_twice(!has_failures(shape));
        notes.census.assert_balanced(0);
    });
}
