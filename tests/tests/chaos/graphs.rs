//! Random graphs of everything there is. Each gives a value that carries its own seed, so that a value in the wrong place is
//! noticed, however the graph was made and whatever has failed in it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use taskgraph::{DC, Error, Shared, delayed, is_cancelled};
use taskgraph_tests::census::Counted;
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::give_way;

use crate::random::Random;
use crate::world::World;

/// A value that says which graph it is from.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) seed: u64,
    counted: Counted,
}

/// The text of every deliberate failure.
const PURPOSE: &str = "on purpose";

/// The longest time that a task itself takes.
const WORK_MAX: Duration = Duration::from_millis(10);

/// Makes graphs.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) world: Arc<World>,
    /// Graphs may use only results that were shared before them; otherwise one could wait for itself.
    pub(crate) before: u64,
    /// How much deeper it may get.
    pub(crate) depth: u32,
}

/// A graph as an argument of another one, hidden from the library.
struct Held(DC<Value>);

struct Many(Vec<DC<Value>>);

/// Now and then panics when it is dropped.
struct Grumpy(bool, #[expect(dead_code, reason = "it is dropped with the rest")] Counted);

impl Drop for Grumpy {
    fn drop(&mut self) {
        if self.0 && !thread::panicking() {
            quiet_panic::<()>(PURPOSE);
        }
    }
}

/// Whether this failure is an expected one.
pub(crate) fn is_expected(error: &Error) -> bool {
    let text = error.to_string();
    error.is_cancelled() || error.is_timeout() || text.contains(PURPOSE)
}

impl Maker {
    fn value(&self, seed: u64) -> Value {
        Value { seed, counted: self.world.census.counted() }
    }

    /// Checks that the value is the one of this seed.
    pub(crate) fn check(&self, value: &Value, seed: u64) {
        value.counted.check();
        if value.seed != seed {
            self.world.fault(format!("a value of {:x} came where that of {seed:x} was to come", value.seed));
        }
    }

    fn check_all(&self, values: &[Value], seeds: impl Iterator<Item = u64>) {
        let seeds: Vec<u64> = seeds.collect();
        if values.len() != seeds.len() {
            self.world.fault(format!("{} values instead of {}", values.len(), seeds.len()));
        }
        values.iter().zip(seeds).for_each(|(value, seed)| self.check(value, seed));
    }

    /// Checks the result of a part that may fail.
    fn check_result(&self, result: &Result<Value, Error>, seed: u64) {
        match result {
            Ok(value) => self.check(value, seed),
            Err(error) if is_expected(error) => {}
            Err(error) => self.world.fault(format!("{seed:x}: {error:#}")),
        }
    }

    fn deeper(&self) -> Self {
        Self { depth: self.depth - 1, ..self.clone() }
    }

    /// A graph of this seed.
    pub(crate) fn graph(&self, seed: u64) -> DC<Value> {
        let mut random = Random::new(seed);
        if self.depth == 0 || random.one_in(4) { self.leaf(seed, &mut random) } else { self.tree(seed, &mut random) }
    }

    fn leaf(&self, seed: u64, random: &mut Random) -> DC<Value> {
        let (maker, is_grumpy) = (self.clone(), random.one_in(20));
        match random.below(100) {
            0 => DC::<Value>::failed(PURPOSE),
            1 => DC::new(move || quiet_panic::<Value>(PURPOSE), ()),
            2..10 => DC::value(self.value(seed)),
            10..40 => work(maker, seed),
            40..52 => nap(maker, seed),
            52..56 => governed(maker, seed),
            56..60 => governed_async(maker, seed),
            60..64 => limited(maker, seed),
            64..67 => {
                let grumpy = Grumpy(is_grumpy, self.world.census.counted());
                // Before the value is made: one that is returned while this panics is lost (rust-lang/rust#47949).
                DC::new(move |grumpy: Grumpy| (drop(grumpy), maker.value(seed)).1, (grumpy,))
            }
            67..71 => taskgraph::map_chunks(0..random.below(5000), |x| x ^ 1)
                .map(move |all| maker.value(if all.iter().all(|x| *x < 5001) { seed } else { 0 })),
            71..74 => blocks(Maker { depth: self.depth.min(1), ..maker }, seed),
            _ => match self.world.shared_before(self.before, random.next()) {
                Some((of, shared)) if random.one_in(2) => lent(maker.clone(), of, seed, shared),
                Some((of, shared)) => shared.dc().map(move |value| (maker.check(&value, of), maker.value(seed)).1),
                None => nap(maker, seed),
            },
        }
    }

    fn tree(&self, seed: u64, random: &mut Random) -> DC<Value> {
        let (below, n) = (self.deeper(), random.below(6));
        let maker = below.clone();
        let child = |i: u64| below.graph(part(seed, i));
        let children = || (0..n).map(child).collect::<Vec<_>>();
        let seeds = move |n: u64| (0..n).map(move |i| part(seed, i));
        match random.below(27) {
            0 => all_of(maker, seed, children()),
            1 => DC::new(
                move |a: Value, b: Value| {
                    maker.check_all(&[a, b], seeds(2));
                    maker.value(seed)
                },
                (child(0), child(1)),
            ),
            2 => child(0).then(move |first| {
                maker.check(&first, part(seed, 0));
                maker.graph(part(seed, 1)).map(move |value| (maker.check(&value, part(seed, 1)), maker.value(seed)).1)
            }),
            3 => grows(maker, seed, Held(child(0)), n),
            4 => yields(maker.clone(), seed, n).map(move |all| (maker.check_all(&all, seeds(n)), maker.value(seed)).1),
            5 => yields_and_waits(maker.clone(), seed, n)
                .map(move |all| (maker.check_all(&all, seeds(n)), maker.value(seed)).1),
            6 => awaits(maker, seed, Many(children())),
            7 => joins(maker, seed, Held(child(0)), Held(child(1))),
            8 => {
                let start = (maker.value(seed), 0);
                let folded = yields(maker.clone(), seed, 4 * n).into_stream().fold(start, move |(kept, i), value| {
                    maker.check(&value, part(seed, i));
                    (kept, i + 1)
                });
                folded.map(|(kept, _)| kept)
            }
            9 => {
                let (kept, graphs) = (maker.value(seed), children());
                let stream = taskgraph::stream(graphs).as_completed();
                stream.fold(kept, move |kept, value| (value.counted.check(), kept).1)
            }
            10 => taskgraph::all(children()).map(move |all| (maker.check_all(&all, seeds(n)), maker.value(seed)).1),
            11 => {
                let (n, make) = (n * 8, Self { depth: self.depth.min(2) - 1, ..maker.clone() });
                taskgraph::each(0..n, move |i| make.graph(part(seed, i)))
                    .map(move |all| (maker.check_all(&all, seeds(n)), maker.value(seed)).1)
            }
            12 => {
                let parts = children().into_iter().chain([DC::value(maker.value(seed))]);
                taskgraph::reduce(parts, |a, b| (a.counted.check(), b).1).map(move |last| (last, maker.value(seed)).1)
            }
            13 | 14 => {
                let shared = child(0).shared();
                self.world.share(part(seed, 0), shared.clone());
                let users = (0..n).map(|_| lent(maker.clone(), part(seed, 0), seed, shared.clone()));
                let mut users: Vec<_> = users.collect();
                users.push(shared.dc().map(move |_| maker.value(seed)));
                taskgraph::all(users).map(|mut users| users.pop().expect("there is one"))
            }
            15..18 => child(0).attempt().map(move |result| {
                maker.check_result(&result, part(seed, 0));
                maker.value(seed)
            }),
            18 | 19 => child(0).timeout(random.up_to(4 * WORK_MAX)).attempt().map(move |result| {
                maker.check_result(&result, part(seed, 0));
                maker.value(seed)
            }),
            20 => taskgraph::first_of((0..n + 1).map(child).collect::<Vec<_>>()).map(move |(i, first)| {
                maker.check(&first, part(seed, i as u64));
                maker.value(seed)
            }),
            21 => taskgraph::select_ok((0..n + 1).map(child).collect::<Vec<_>>())
                .map(move |some| (some.counted.check(), maker.value(seed)).1),
            22 => child(0)
                .priority(random.below(7) as i32 - 3)
                .map(move |value| (maker.check(&value, part(seed, 0)), maker.value(seed)).1),
            23 => blocks(Self { depth: self.depth.min(2) - 1, ..maker }, seed),
            24 => drops(maker, seed, Many(children()), random.below(3)),
            25 => child(0)
                .zip(child(1))
                .map(move |(a, b)| (maker.check_all(&[a, b], seeds(2)), maker.value(seed)).1)
                .named(format!("pair {seed:x}")),
            _ => {
                drop(children());
                work(maker, seed)
            }
        }
    }
}

/// The seed of a part.
fn part(seed: u64, i: u64) -> u64 {
    Random::new(seed ^ (i + 1).rotate_left(32)).next()
}

/// How long to take: mostly no time, rarely all of `WORK_MAX`.
fn time(random: &mut Random) -> Duration {
    match random.below(20) {
        0 => random.up_to(WORK_MAX),
        1..4 => random.up_to(WORK_MAX / 20),
        _ => Duration::ZERO,
    }
}

#[delayed]
fn work(maker: Maker, seed: u64) -> Value {
    let mut random = Random::new(!seed);
    let time = time(&mut random);
    if !time.is_zero() {
        thread::sleep(time);
    }
    if random.one_in(50) && is_cancelled() {
        quiet_panic::<()>(PURPOSE);
    }
    maker.value(seed)
}

#[delayed]
async fn nap(maker: Maker, seed: u64) -> Value {
    let held = maker.world.census.counted();
    tokio::time::sleep(time(&mut Random::new(!seed))).await;
    held.check();
    maker.value(seed)
}

#[delayed(timeout = "8ms", retries = 2, backoff = "100us..1ms", limit = "one", priority = 1)]
fn governed(maker: Maker, seed: u64) -> Result<Value, String> {
    let mut random = Random::new(seed ^ u64::from(taskgraph::attempt()));
    thread::sleep(time(&mut random));
    if random.one_in(4) { Err(PURPOSE.to_owned()) } else { Ok(maker.value(seed)) }
}

#[delayed(timeout = "8ms", retries = 3, backoff = "1us..1ms", limit = 3, priority = -1)]
async fn governed_async(maker: Maker, seed: u64) -> Result<Value, Error> {
    let mut random = Random::new(seed ^ u64::from(taskgraph::attempt()));
    tokio::time::sleep(time(&mut random)).await;
    let inner = Maker { depth: 0, ..maker.clone() }.graph(part(seed, 9)).await;
    maker.check_result(&inner, part(seed, 9));
    inner?;
    if random.one_in(4) { quiet_panic(PURPOSE) } else { Ok(maker.value(seed)) }
}

#[delayed(limit = "two")]
fn limited(maker: Maker, seed: u64) -> DC<Value> {
    if seed.is_multiple_of(3) { DC::value(maker.value(seed)) } else { nap(maker, seed) }
}

#[delayed]
fn lent(maker: Maker, of: u64, seed: u64, shared: &Value) -> Value {
    maker.check(shared, of);
    maker.value(seed)
}

#[delayed]
fn all_of(maker: Maker, seed: u64, values: Vec<Value>) -> Value {
    maker.check_all(&values, (0..values.len() as u64).map(|i| part(seed, i)));
    maker.value(seed)
}

#[delayed]
fn grows(maker: Maker, seed: u64, held: Held, left: u64) -> DC<Value> {
    match left {
        0 => held.0.map(move |value| (maker.check(&value, part(seed, 0)), maker.value(seed)).1),
        _ => grows(maker, seed, held, left - 1),
    }
}

#[delayed]
fn yields(maker: Maker, seed: u64, n: u64) -> Vec<Value> {
    let held = maker.world.census.counted();
    for i in 0..n {
        if i % 3 == 2 {
            yield_!(maker.value(part(seed, i)));
        } else {
            yield_!(maker.graph(part(seed, i)));
        }
        held.check();
    }
}

#[delayed]
async fn yields_and_waits(maker: Maker, seed: u64, n: u64) -> Result<Vec<Value>, Error> {
    let mut random = Random::new(!seed);
    for i in 0..n {
        let kept = yield_!(maker.graph(part(seed, i)));
        match random.below(4) {
            0 => maker.check(&kept.await?, part(seed, i)),
            1 => tokio::time::sleep(time(&mut random)).await,
            2 => give_way().await,
            _ => drop(kept),
        }
    }
    Ok(())
}

#[delayed]
async fn awaits(maker: Maker, seed: u64, parts: Many) -> Result<Value, Error> {
    let mut random = Random::new(!seed);
    for (held, i) in parts.0.into_iter().zip(0..) {
        let result = held.await;
        maker.check_result(&result, part(seed, i));
        result?;
        tokio::time::sleep(time(&mut random)).await;
    }
    Ok(maker.value(seed))
}

#[delayed]
async fn joins(maker: Maker, seed: u64, a: Held, b: Held) -> Value {
    let (a, b) = taskgraph::join!(a.0, b.0);
    maker.check_result(&a, part(seed, 0));
    maker.check_result(&b, part(seed, 1));
    maker.value(seed)
}

/// Starts all, waits for some of them, and leaves the others.
#[delayed]
async fn drops(maker: Maker, seed: u64, parts: Many, wanted: u64) -> Value {
    let mut stream = taskgraph::stream(parts.0).as_completed();
    for _ in 0..wanted {
        if let Some(Err(error)) = stream.next().await
            && !is_expected(&error)
        {
            maker.world.fault(format!("{seed:x}: {error:#}"));
        }
    }
    maker.value(seed)
}

/// Blocks its worker for another run, in its own runtime or in another one, and waits for its end or does not.
#[delayed]
fn blocks(maker: Maker, seed: u64) -> Value {
    let mut random = Random::new(!seed);
    let graph = maker.graph(part(seed, 0));
    // A run that has begun may be the last to hold its runtime.
    let Some(runtime) = maker.world.runtime(random.next()) else { return maker.value(seed) };
    match random.below(4) {
        0 => drop(runtime.spawn(graph)),
        1 => {
            let handle = runtime.spawn(graph);
            drop(runtime);
            thread::sleep(time(&mut random));
            handle.cancel();
            maker.check_result(&handle.join(), part(seed, 0));
        }
        _ => maker.check_result(&runtime.run(graph), part(seed, 0)),
    }
    maker.value(seed)
}

/// A result that others may use, too.
pub(crate) type SharedValue = Shared<Value>;
