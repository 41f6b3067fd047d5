//! Every value that goes into a graph, or is made there, is dropped once, however the graph ends.

#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use taskgraph::{DC, Shared, all, delayed, each};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::ends::{ENDS, End, end};
use taskgraph_tests::run;
use taskgraph_tests::wait;

#[delayed]
fn look(value: &Counted) -> u32 {
    value.check();
    1
}

#[delayed]
fn keep(value: Counted) -> Counted {
    value.check();
    value
}

#[delayed]
fn first(values: Vec<Counted>) -> Counted {
    values.into_iter().next().expect("there are some")
}

#[delayed]
fn of_array([a, b]: [Counted; 2], (c, _): (Counted, Counted)) -> (Counted, Counted, Counted) {
    (a, b, c)
}

#[delayed]
fn generator(census: Census, sources: Sources, shared: Leaf<Shared<Counted>>) -> Vec<Counted> {
    let local = census.counted();
    for source in sources.0 {
        let short_lived = census.counted();
        yield_!(keep(source));
        short_lived.check();
        yield_!(census.counted());
        yield_!(shared.0.clone());
    }
    local.check();
    yield_!(local);
}

#[delayed]
fn growing(source: Leaf<DC<Counted>>, depth: u32) -> DC<Counted> {
    if depth == 0 { source.0 } else { growing(source, depth - 1) }
}

/// Takes a shared result, borrows another, and waits for a third.
#[delayed]
fn mixed(owned: Counted, lent: &Counted, fresh: Counted, there: u64) -> Counted {
    [&owned, lent, &fresh].into_iter().for_each(Counted::check);
    assert_eq!(there, 3);
    fresh
}

#[delayed]
fn mixed_with_lists(lent: &Counted, short: Vec<Counted>, owned: Counted, long: &[Counted]) -> usize {
    short.iter().chain(long).chain([lent, &owned]).for_each(Counted::check);
    short.len() + long.len()
}

struct Sources(Vec<DC<Counted>>);
struct Leaf<T>(T);

/// How many leaves [`every_kind`] has.
const LEAVES: usize = 24;

/// A graph with every kind of node, whose leaf number `at` is `leaf`.
fn every_kind(census: &Census, at: usize, leaf: DC<Counted>) -> DC<u32> {
    let (mut leaf, mut next) = (Some(leaf), 0);
    let mut source = || {
        next += 1;
        if next - 1 == at {
            return leaf.take().expect("every leaf has another number");
        }
        let (captured, made) = (census.counted(), census.clone());
        DC::new(
            move |argument: Counted| {
                argument.check();
                captured.check();
                made.counted()
            },
            (census.counted(),),
        )
    };
    let captured = census.counted();
    let mapped = source().map(move |value| (captured, value).1).named("mapped");
    let then = source().then(keep);
    let shared = source().map(|value| value).shared();
    let twice = DC::new(|a: Counted, b: Counted| (a, b), (shared.clone(), shared.clone()));
    let attempt = source().attempt().map(Result::ok);
    let short = all([source(), keep(source())]);
    let long: DC<Vec<Counted>> = (0..50).map(|i| if i == 25 { source() } else { keep(census.counted()) }).collect();
    let listed = first(vec![source(), source(), DC::value(census.counted())]);
    let array = of_array([source(), DC::value(census.counted())], (census.counted(), source()));
    let inner_shared = source().shared();
    let generated = generator(census.clone(), Sources(vec![source(), source()]), Leaf(inner_shared.clone()));
    let grown = growing(Leaf(source()), 3);
    let (mut in_each, captured, made) = (Some(source()), census.counted(), census.clone());
    let for_each = each(0..60, move |i| {
        captured.check();
        match i {
            30 => in_each.take().expect("every item comes once"),
            _ if i % 2 == 0 => DC::value(made.counted()),
            _ => keep(made.counted()),
        }
    });
    let for_items = each(vec![source(), DC::value(census.counted()), source()], keep);
    let long_listed =
        first((0..40).map(|i| if i == 20 { source() } else { keep(census.counted()) }).collect::<Vec<_>>());
    let (there, to_come) = (DC::value(census.counted()).shared(), source().shared());
    let mixture = mixed(to_come.clone(), there.clone(), source(), DC::value(3));
    let mixture_of_same = mixed(there.clone(), to_come.clone(), keep(census.counted()), 3);
    let short_list = vec![source(), DC::value(census.counted())];
    let long_list: Vec<_> = (0..18).map(|i| if i == 17 { source() } else { DC::value(census.counted()) }).collect();
    let mixture_of_lists = mixed_with_lists(to_come, short_list, source().shared(), long_list);
    drop(there);
    let newer = DC::new(
        |_: Vec<Counted>, _: Vec<Counted>, _: Counted, _: [Counted; 2], lens: usize| assert_eq!(lens, 20),
        (for_each, for_items, long_listed, [mixture, mixture_of_same], mixture_of_lists),
    );
    let parts =
        DC::new(|_: Counted, _: Counted, _: (Counted, Counted), _: Option<Counted>| (), (mapped, then, twice, attempt));
    let more = DC::new(|_: Vec<Counted>, _: Vec<Counted>, _: Counted, _: u32| (), (short, long, listed, look(shared)));
    let rest = DC::new(
        |_: (Counted, Counted, Counted), values: Vec<Counted>, _: Counted, _: u32| values.len() as u32,
        (array, generated, grown, look(inner_shared)),
    );
    let graph = DC::new(|(): (), (): (), (): (), values: u32| values, (parts, more, newer, rest));
    assert_eq!(next, LEAVES, "the number of leaves is written down");
    graph
}

#[test]
fn however_and_wherever_a_run_ends() {
    wait::ends(|| {
        for how in ENDS {
            for (at, max_workers) in (0..LEAVES).flat_map(|at| [1, 2, 4].map(|max_workers| (at, max_workers))) {
                let census = Census::new();
                let made = census.clone();
                let result = end(how, max_workers, move || made.counted(), |leaf| every_kind(&census, at, leaf));
                let in_attempt = at == 3;
                match (how, result) {
                    (End::Unrun, result) => assert!(result.is_none()),
                    (End::Success, result) => assert_eq!(result.unwrap().unwrap(), 7),
                    (End::Cancelled, result) => assert!(result.unwrap().unwrap_err().is_cancelled()),
                    (End::Error | End::Panic, result) => {
                        let result = result.unwrap();
                        assert_eq!(result.is_ok(), in_attempt, "{how:?} at {at}");
                        assert!(result.is_ok_and(|values| values == 7) || !in_attempt);
                    }
                }
                println!("{how:?} at {at} with {max_workers} workers");
                census.assert_balanced(20);
            }
        }
    });
}

/// The content of a value whose size matters.
trait Payload: Copy + PartialEq + Send + Sync + 'static {
    /// The content of value `i`.
    fn number(i: u8) -> Self;
    /// How many values were made of it, and how many of them are dropped.
    fn counts() -> &'static [AtomicI64; 2];
}

macro_rules! payloads {
    ($($type:ty = $number:expr),* $(,)?) => {
        $(impl Payload for $type {
            fn number(i: u8) -> Self {
                $number(i)
            }
            fn counts() -> &'static [AtomicI64; 2] {
                static COUNTS: [AtomicI64; 2] = [const { AtomicI64::new(0) }; 2];
                &COUNTS
            }
        })*
    };
}

#[derive(Clone, Copy, PartialEq)]
#[repr(align(16))]
struct Wide([u64; 2]);

payloads! {
    u8 = |i| i,
    [u8; 3] = |i: u8| [i, !i, i],
    u64 = |i| 0x0101_0101_0101_0101 * u64::from(i),
    [u8; 8] = |i| [i; 8],
    [u32; 3] = |i| [u32::from(i), 0xffff_ff00 | u32::from(i), 7],
    [u64; 2] = |i| [u64::from(i), !u64::from(i)],
    [u64; 3] = |i| [u64::from(i), !u64::from(i), 7],
    Wide = |i| Wide([u64::from(i), !u64::from(i)]),
    [Wide; 2] = |i| [Wide([u64::from(i), 1]), Wide([2, !u64::from(i)])],
}

/// A counted value with the size and the alignment of its payload.
struct OfSize<P: Payload>(P);

impl<P: Payload> OfSize<P> {
    fn new(i: usize) -> Self {
        P::counts()[0].fetch_add(1, Ordering::SeqCst);
        Self(P::number((i % 251) as u8))
    }

    #[track_caller]
    fn check(&self, i: usize) {
        assert_eq!(std::ptr::from_ref(self).addr() % align_of::<P>(), 0, "the place is not aligned");
        assert!(self.0 == P::number((i % 251) as u8), "this is another value than that for {i}");
    }
}

impl<P: Payload> Drop for OfSize<P> {
    fn drop(&mut self) {
        P::counts()[1].fetch_add(1, Ordering::SeqCst);
    }
}

/// Computations of values in every state, in which number `len / 2` is `leaf`.
fn of_every_state<P: Payload>(len: usize, leaf: DC<OfSize<P>>) -> Vec<DC<OfSize<P>>> {
    let mut leaf = Some(leaf);
    // With more room than there are computations: the results may use it.
    let mut list = Vec::with_capacity(len + 3);
    list.extend((0..len).map(|i| match i % 3 {
        _ if i == len / 2 => leaf.take().expect("it is one of them"),
        0 => DC::value(OfSize::new(i)),
        1 => DC::new(OfSize::new, (i,)),
        _ => DC::value(OfSize::new(i)).map(|value| value),
    }));
    list
}

fn all_in_order<P: Payload>(values: &[OfSize<P>]) -> usize {
    values.iter().enumerate().for_each(|(i, value)| value.check(i));
    values.len()
}

type Build<P> = fn(usize, DC<OfSize<P>>) -> DC<usize>;

#[track_caller]
fn check_lists_of<P: Payload>() {
    for how in ENDS {
        for (len, max_workers) in [(1, 1), (2, 2), (16, 1), (16, 4), (17, 1), (17, 4), (100, 2), (1000, 4)] {
            let lists: [Build<P>; 5] = [
                |len, leaf| all(of_every_state(len, leaf)).map(|values| all_in_order(&values)),
                |len, leaf| DC::new(|values: Vec<OfSize<P>>| all_in_order(&values), (of_every_state(len, leaf),)),
                |len, leaf| {
                    let other = DC::value(0).shared();
                    let call = |values: Vec<OfSize<P>>, other: usize| all_in_order(&values) + other;
                    DC::new(call, (of_every_state(len, leaf), other))
                },
                |len, leaf| each(of_every_state(len, leaf), |item| item).map(|values| all_in_order(&values)),
                |len, leaf| {
                    let mut leaf = Some(leaf);
                    let make = move |i| match i % 2 {
                        _ if i == len / 2 => leaf.take().expect("every item comes once"),
                        0 => DC::value(OfSize::new(i)),
                        _ => DC::new(OfSize::new, (i,)),
                    };
                    each(0..len, make).map(|values| all_in_order(&values))
                },
            ];
            for (i, list) in lists.into_iter().enumerate() {
                let result = end(how, max_workers, move || OfSize::<P>::new(len / 2), move |leaf| list(len, leaf));
                let case = format!("{how:?} of list {i} of {len} of {} bytes", size_of::<P>());
                match (how, result) {
                    (End::Success, result) => assert_eq!(result.unwrap().unwrap(), len, "{case}"),
                    (_, result) => assert!(result.is_none_or(|result| result.is_err()), "{case}"),
                }
                let [made, dropped] = P::counts().each_ref().map(|count| count.load(Ordering::SeqCst));
                assert_eq!(made, dropped, "{case} with {max_workers} workers");
            }
        }
    }
    assert!(1000 < P::counts()[0].load(Ordering::SeqCst));
}

#[test]
fn whatever_its_size_is_in_a_list() {
    wait::ends(|| {
        check_lists_of::<u8>();
        check_lists_of::<[u8; 3]>();
        check_lists_of::<u64>();
        check_lists_of::<[u8; 8]>();
        check_lists_of::<[u32; 3]>();
        check_lists_of::<[u64; 2]>();
        check_lists_of::<[u64; 3]>();
        check_lists_of::<Wide>();
        check_lists_of::<[Wide; 2]>();
    });
}

#[test]
fn even_if_its_list_is_empty() {
    for max_workers in [1, 2] {
        let roomy: Vec<DC<OfSize<[u64; 2]>>> = Vec::with_capacity(50);
        let len = DC::new(|values: Vec<OfSize<[u64; 2]>>| values.len(), (roomy,));
        assert_eq!(run(len, max_workers).unwrap(), 0);
    }
}

static ZERO_SIZED_MADE: AtomicUsize = AtomicUsize::new(0);
static ZERO_SIZED_DROPPED: AtomicUsize = AtomicUsize::new(0);

struct ZeroSized;

impl ZeroSized {
    fn new() -> Self {
        ZERO_SIZED_MADE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Clone for ZeroSized {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for ZeroSized {
    fn drop(&mut self) {
        ZERO_SIZED_DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn even_if_it_has_no_size() {
    #[delayed]
    fn generator(leaf: Leaf<DC<ZeroSized>>, n: usize) -> Vec<ZeroSized> {
        for _ in 0..n {
            yield_!(DC::new(ZeroSized::new, ()));
            yield_!(ZeroSized::new());
        }
        yield_!(leaf.0);
    }
    let build = |n: usize| {
        move |leaf: DC<ZeroSized>| {
            let shared = leaf.shared();
            let mut lists = vec![
                all((0..n).map(|_| DC::new(ZeroSized::new, ()))),
                generator(Leaf(shared.dc()), n),
                all([shared.dc(), shared.dc()]),
                each(0..n, |i| if i % 2 == 0 { DC::new(ZeroSized::new, ()) } else { DC::value(ZeroSized::new()) }),
                DC::new(
                    |values: Vec<ZeroSized>| values,
                    ((0..n).map(|_| DC::value(ZeroSized::new())).collect::<Vec<_>>(),),
                ),
            ];
            lists.push(DC::new(
                |a: ZeroSized, b: [ZeroSized; 2]| b.into_iter().chain([a]).collect::<Vec<_>>(),
                (shared.clone(), [shared.dc(), DC::value(ZeroSized::new())]),
            ));
            drop(shared);
            all(lists).map(|lists| lists.iter().map(Vec::len).sum::<usize>())
        }
    };
    for how in ENDS {
        for (n, max_workers) in [(0, 1), (3, 2), (300, 1), (300, 4)] {
            let result = end(how, max_workers, ZeroSized::new, build(n));
            if how == End::Success {
                assert_eq!(result.unwrap().unwrap(), n + (2 * n + 1) + 2 + n + n + 3);
            }
            let made = ZERO_SIZED_MADE.load(Ordering::SeqCst);
            assert_eq!(made, ZERO_SIZED_DROPPED.load(Ordering::SeqCst), "{how:?} of {n} with {max_workers} workers");
            assert!(0 < made);
        }
    }
}

/// Larger than a chunk of nodes.
#[derive(Clone)]
struct Huge {
    bytes: [u8; 80 << 10],
    counted: Counted,
}

/// Stricter than a node.
#[derive(Clone)]
#[repr(align(128))]
struct Aligned {
    counted: Counted,
}

impl Aligned {
    fn check(&self) {
        self.counted.check();
        assert_eq!(std::ptr::from_ref(self).addr() % 128, 0, "the place is not aligned");
    }
}

#[test]
fn even_if_it_is_huge() {
    #[delayed]
    fn sum(huge: &Huge) -> u64 {
        huge.counted.check();
        huge.bytes.iter().map(|&byte| u64::from(byte)).sum()
    }
    #[delayed]
    fn generator(shared: Leaf<Shared<Huge>>) -> Vec<Huge> {
        for _ in 0..40 {
            yield_!(shared.0.clone());
        }
    }
    for how in ENDS {
        for max_workers in [1, 3] {
            let census = Census::new();
            let made = census.clone();
            let leaf = move || Huge { bytes: [3; 80 << 10], counted: made.counted() };
            let result = end(how, max_workers, leaf, |leaf| {
                let shared = leaf.named("huge").shared();
                let all_of_them = all((0..30).map(|_| shared.dc()))
                    .map(|all| all.iter().map(|h| u64::from(h.bytes[79 << 10])).sum::<u64>());
                let generated = generator(Leaf(shared.clone())).map(|all| all.len() as u64);
                let kept = shared.dc().attempt().map(|huge| u64::from(huge.is_ok()));
                DC::new(|a: u64, b: u64, c: u64, d: u64| a + b + c + d, (sum(shared), all_of_them, generated, kept))
            });
            if how == End::Success {
                assert_eq!(result.unwrap().unwrap(), ((3 * 80) << 10) + 90 + 40 + 1);
            }
            census.assert_balanced(i64::from(how != End::Error && how != End::Panic && how != End::Unrun));
        }
    }
}

#[test]
fn even_if_it_is_strictly_aligned() {
    #[delayed]
    fn look(value: &Aligned, _small: u8) -> u32 {
        value.check();
        1
    }
    #[delayed]
    fn generator(leaf: Leaf<DC<Aligned>>, census: Census) -> Vec<Aligned> {
        let local = Aligned { counted: census.counted() };
        yield_!(leaf.0);
        local.check();
        yield_!(local);
    }
    for how in ENDS {
        for max_workers in [1, 3] {
            let census = Census::new();
            let made = census.clone();
            let leaf = move || Aligned { counted: made.counted() };
            let result = end(how, max_workers, leaf, |leaf| {
                let shared = leaf.shared();
                let captured = Aligned { counted: census.counted() };
                let mapped = shared.dc().map(move |value| {
                    captured.check();
                    value.check();
                    1
                });
                let list = all((0..20).map(|_| shared.dc())).map(|all| {
                    all.iter().for_each(Aligned::check);
                    1
                });
                let generated = generator(Leaf(shared.dc()), census.clone()).map(|all| {
                    all.iter().for_each(Aligned::check);
                    1
                });
                let kept = shared.dc().attempt().map(|value| {
                    value.iter().for_each(Aligned::check);
                    1
                });
                all([look(shared, 1), mapped, list, generated, kept]).map(|all| all.iter().sum::<u32>())
            });
            if how == End::Success {
                assert_eq!(result.unwrap().unwrap(), 5);
            }
            census.assert_balanced(1);
        }
    }
}
