//! Everything at once, for a while: random graphs of everything there is, while other threads rescale, cancel, panic, time out,
//! drop runtimes, and talk to the port. In the end every value has been dropped, every run has ended once, and the process has
//! the memory, threads and files that it had before.
//!
//! `CHAOS_SECONDS` sets for how long, `CHAOS_SEED` how it begins: no seed repeats what threads do together, but it makes the
//! same graphs. `just chaos` runs it for minutes.

mod disturb;
mod graphs;
mod random;
mod world;

use std::env;
use std::fs;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use taskgraph::{DC, Error, Handle, Runtime};
use taskgraph_tests::{process as this, wait};

use disturb::disturb;
use graphs::{Maker, Value, is_expected};
use random::Random;
use world::{Ticket, World};

const DRIVERS: u64 = 6;
const DISTURBERS: u64 = 2;
/// Runs at a time, including those that nobody waits for any more.
const LIVE_MAX: u64 = 24;
/// One thing takes a second at the very most, on a busy machine, and some more with a memory checker.
const HANGS_AFTER: Duration = Duration::from_secs(if cfg!(taskgraph_system_alloc) { 240 } else { 60 });
/// How much more the allocator may keep after the second phase than after the first: its arenas come with the threads.
const MEMORY_MAX: u64 = 64 << 20;
const TOLD_EVERY: Duration = Duration::from_secs(30);

#[test]
fn chaos_leaves_nothing_behind() {
    let by_default = if cfg!(debug_assertions) { 10 } else { 20 };
    let seconds: u64 = number("CHAOS_SECONDS").unwrap_or(by_default);
    let by_time = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
    let seed = number("CHAOS_SEED").unwrap_or_else(by_time);
    println!("{seconds} seconds of chaos, CHAOS_SEED={seed}");

    let before = Traces::now();
    // What stays after the process's first use of everything is not a leak.
    phase(Duration::from_secs(seconds) / 5, seed);
    wait::until(|| Traces::now() == before);
    let warm = this::resident_bytes();
    phase(Duration::from_secs(seconds) * 4 / 5, !seed);
    wait::until(|| Traces::now() == before);
    let after = this::resident_bytes();
    println!("measured: {} MiB after the warm-up, {} MiB in the end", warm >> 20, after >> 20);
    // A memory checker keeps freed memory.
    let is_lean = cfg!(taskgraph_system_alloc) || after < warm + MEMORY_MAX;
    assert!(is_lean, "{warm} bytes after the warm-up, and {after} in the end: CHAOS_SEED={seed}");
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is {value}, and must be a number")))
}

/// Where leaks of a process show.
#[derive(Debug, PartialEq)]
struct Traces {
    threads: u64,
    files: usize,
}

impl Traces {
    fn now() -> Self {
        Self { threads: this::threads(), files: fs::read_dir("/proc/self/fd").expect("the system is Linux").count() }
    }
}

/// Chaos for this long, from its first thread to its last.
fn phase(lasts: Duration, seed: u64) {
    let world = World::new();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let tokio = tokio.expect("the system has threads left");
    let is_through = AtomicBool::new(false);
    thread::scope(|scope| {
        let watchdog = scope.spawn(|| watch(&world, &is_through, seed));
        let start = Instant::now();
        let mut threads = Vec::new();
        for i in 0..DRIVERS {
            let (world, tokio) = (&world, tokio.handle());
            threads.push(scope.spawn(move || {
                let (name, mut random) = (format!("driver {i}"), Random::new(seed ^ i));
                while !world.is_over() {
                    drive(world, tokio, &name, &mut random);
                }
                world.is_through(&name);
            }));
        }
        for i in 0..DISTURBERS {
            let world = &world;
            threads.push(scope.spawn(move || {
                let (name, mut random) = (format!("disturber {i}"), Random::new(seed ^ (DRIVERS + i)));
                while !world.is_over() {
                    disturb(world, &name, &mut random);
                    world.now(&name, "rests");
                    thread::sleep(random.up_to(Duration::from_millis(10)));
                }
                world.is_through(&name);
            }));
        }
        while start.elapsed() < lasts && world.faults().is_empty() && !threads.iter().any(|thread| thread.is_finished())
        {
            thread::sleep(Duration::from_millis(50));
        }
        world.end();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        world.now("the end", "lets go of runtimes and shared results");
        world.let_go();
        world.now("the end", "waits for the last runs, and for the last values");
        while world.runs.live() != 0 || world.census.live() != 0 {
            thread::sleep(Duration::from_millis(1));
        }
        is_through.store(true, Ordering::SeqCst);
        watchdog.join().expect("it only looks");
        assert!(ended.iter().all(|ended| ended.is_ok()), "a thread has panicked: CHAOS_SEED={seed}");
    });
    drop(tokio);
    let faults = world.faults();
    assert!(faults.is_empty(), "{}\nCHAOS_SEED={seed}", faults.join("\n"));
    count(&world, seed);
}

/// Every run has ended once, and every value is gone.
fn count(world: &World, seed: u64) {
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::SeqCst);
    let runs = &world.runs;
    let ends = [&runs.succeeded, &runs.failed, &runs.cancelled, &runs.late, &runs.left].map(of);
    let [succeeded, failed, cancelled, late, left] = ends;
    let (started, made) = (of(&runs.started), world.census.made());
    println!(
        "{started} runs: {succeeded} succeeded, {failed} failed, {cancelled} were cancelled, {late} were late, {left} \
         were left to themselves; {made} values"
    );
    assert_eq!(started, ends.iter().sum::<u64>(), "each run ends once: CHAOS_SEED={seed}");
    assert_eq!(started, of(&runs.gone), "each run is gone once: CHAOS_SEED={seed}");
    assert!(ends.iter().all(|count| 0 < *count), "{ends:?}: all of that is to happen");
    world.census.assert_balanced(started as i64);
}

/// Reports what goes on, and ends the process if it hangs.
fn watch(world: &World, is_through: &AtomicBool, seed: u64) {
    let mut told = Instant::now();
    while !is_through.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(20));
        if HANGS_AFTER < world.longest() {
            eprintln!("this hangs: CHAOS_SEED={seed}\n{}", world.tell());
            let (pid, stacks) = (process::id().to_string(), ["-batch", "-ex", "thread apply all backtrace 40"]);
            if process::Command::new("gdb").args(["-p", &pid]).args(stacks).status().is_err() {
                eprintln!("with `gdb` installed, here would be what each thread does");
            }
            process::abort();
        }
        if TOLD_EVERY < told.elapsed() {
            told = Instant::now();
            println!("{} runs so far, {} values", world.runs.started.load(Ordering::SeqCst), world.census.made());
        }
    }
}

/// One run, from its construction to its end, in one of all the ways to run something.
fn drive(world: &Arc<World>, tokio: &tokio::runtime::Handle, name: &str, random: &mut Random) {
    if LIVE_MAX < world.runs.live() {
        world.now(name, "waits for the runs that were left");
        while LIVE_MAX < world.runs.live() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let Some(runtime) = world.runtime(random.next()) else { return };
    let seed = random.next();
    world.now(name, format!("makes run {seed:x}"));
    let maker = Maker { world: Arc::clone(world), before: world.shared_so_far(), depth: 1 + random.below(4) as u32 };
    let ticket = Ticket::new(world);
    let marks = ticket.marks();
    let run = End { maker, seed, check: Box::new(move |is_ok| marks.check(is_ok)) };
    let soon = random.up_to(Duration::from_millis(20));
    match random.below(14) {
        0..3 => {
            world.now(name, format!("runs {seed:x}"));
            run.ends(runtime.run(run.graph(ticket)));
        }
        3 => {
            world.now(name, format!("joins {seed:x}, whose runtime may go"));
            let handle = runtime.spawn(run.graph(ticket));
            drop(runtime);
            run.ends(handle.join());
        }
        4 => {
            world.now(name, format!("joins {seed:x}, which may be cancelled"));
            let handle = runtime.spawn(run.graph(ticket));
            world.add_canceller(handle.canceller());
            run.ends(handle.join());
        }
        5 => {
            world.now(name, format!("cancels {seed:x}"));
            let handle = runtime.spawn(run.graph(ticket));
            thread::sleep(soon / 4);
            handle.cancel();
            run.ends(handle.join());
        }
        6 => {
            world.now(name, format!("joins {seed:x}, which has a deadline"));
            let handle = runtime.spawn(run.graph(ticket)).deadline(Instant::now() + soon);
            run.ends(handle.join());
        }
        7 => {
            world.now(name, format!("awaits the handle of {seed:x}"));
            run.ends(tokio.block_on(runtime.spawn(run.graph(ticket))));
        }
        8 => {
            world.now(name, format!("awaits {seed:x} from within tokio"));
            run.ends(tokio.block_on(runtime.run_async(run.graph(ticket))));
        }
        9 => {
            world.now(name, format!("awaits {seed:x} from within tokio, for {soon:?}"));
            let future = runtime.run_async(run.graph(ticket));
            let ended = tokio.block_on(async { tokio::time::timeout(soon, future).await });
            match ended {
                Ok(result) => run.ends(result),
                Err(_) => run.is_left(),
            }
        }
        10 => {
            world.now(name, format!("consumes the stream {seed:x}"));
            consume(&runtime, run, ticket, random);
        }
        11 => {
            let handle: Handle<Value> = runtime.spawn(run.graph(ticket));
            thread::sleep(soon / 8);
            world.now(name, format!("drops the handle of {seed:x}"));
            drop(handle);
            run.is_left();
        }
        12 => {
            runtime.spawn(run.graph(ticket).priority(random.below(5) as i32 - 2)).detach();
            run.is_left();
        }
        _ => {
            world.now(name, format!("drops {seed:x}, which never ran"));
            drop(run.graph(ticket));
            run.is_left();
        }
    }
    world.now(name, "goes on");
}

/// Takes some results of a stream, or all.
fn consume(runtime: &Runtime, run: End, ticket: Ticket, random: &mut Random) {
    let (maker, n, wanted) = (run.maker.clone(), random.below(12), random.below(16));
    let seed = run.seed;
    let graphs = (0..n).map(move |i| {
        let _with_the_run = &ticket;
        maker.graph(seed ^ (i << 8))
    });
    let results: Vec<_> = runtime.stream(graphs).take(wanted as usize).collect();
    for error in results.iter().filter_map(|result| result.as_ref().err()).filter(|error| !is_expected(error)) {
        run.maker.world.fault(format!("{seed:x}: {error:#}"));
    }
    run.is_left();
}

/// How a run has to end.
struct End {
    maker: Maker,
    seed: u64,
    /// Whether the run went through its last task, if it succeeded, and is gone.
    check: Box<dyn Fn(bool) -> Result<(), String>>,
}

impl End {
    fn graph(&self, ticket: Ticket) -> DC<Value> {
        let graph = self.maker.graph(self.seed);
        graph.map(move |value| (ticket.run(), value).1).named(format!("run {:x}", self.seed))
    }

    fn is_left(&self) {
        self.maker.world.runs.left.fetch_add(1, Ordering::SeqCst);
    }

    fn ends(&self, result: Result<Value, Error>) {
        let (world, seed) = (&self.maker.world, self.seed);
        if let Err(fault) = (self.check)(result.is_ok()) {
            world.fault(format!("{seed:x}: {fault}, its result is {:?}", result.as_ref().map(|value| value.seed)));
        }
        let end = match &result {
            Ok(value) => {
                self.maker.check(value, seed);
                &world.runs.succeeded
            }
            Err(error) if error.is_cancelled() => &world.runs.cancelled,
            Err(error) if error.is_timeout() => &world.runs.late,
            Err(error) => {
                if !is_expected(error) {
                    world.fault(format!("{seed:x}: {error:#}"));
                }
                &world.runs.failed
            }
        };
        end.fetch_add(1, Ordering::SeqCst);
    }
}
