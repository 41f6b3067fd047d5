//! What all chaos threads share: the runtimes, which come and go, and results that several of them need.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use taskgraph::{Canceller, Runtime};
use taskgraph_tests::census::{Census, Counted};

use crate::graphs::SharedValue;

/// Runtimes at a time.
const RUNTIMES: usize = 3;
/// Shared results that are kept for others.
const SHARED_MAX: usize = 12;
/// Runs that may be cancelled by somebody else.
const CANCELLERS_MAX: usize = 32;
/// Workers at most.
pub(crate) const WORKERS_MAX: u64 = 16;

pub(crate) struct World {
    pub(crate) census: Census,
    pub(crate) runs: Runs,
    runtimes: Mutex<Vec<Option<Arc<Runtime>>>>,
    shared: Mutex<Vec<(u64, u64, SharedValue)>>,
    shared_so_far: AtomicU64,
    cancellers: Mutex<Vec<Canceller>>,
    is_over: AtomicBool,
    faults: Mutex<Vec<String>>,
    activities: Mutex<Vec<Activity>>,
}

/// How many runs were started, and how they ended.
#[derive(Default)]
pub(crate) struct Runs {
    pub(crate) started: AtomicU64,
    pub(crate) succeeded: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) late: AtomicU64,
    /// Nobody asked for their results.
    pub(crate) left: AtomicU64,
    /// Those that are gone, with all that belonged to them.
    pub(crate) gone: AtomicU64,
}

/// What a thread does, to tell why it hangs.
struct Activity {
    thread: String,
    what: String,
    since: Instant,
}

/// Is taken by the last task of a run, or dropped with it if that is given up.
pub(crate) struct Ticket {
    world: Arc<World>,
    marks: Arc<Marks>,
    #[expect(dead_code, reason = "it is counted")]
    counted: Counted,
}

impl Ticket {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        world.runs.started.fetch_add(1, Ordering::SeqCst);
        Self { world: Arc::clone(world), marks: Arc::default(), counted: world.census.counted() }
    }

    /// Will tell what became of it.
    pub(crate) fn marks(&self) -> Arc<Marks> {
        Arc::clone(&self.marks)
    }

    pub(crate) fn run(self) {
        self.marks.is_through.store(true, Ordering::SeqCst);
    }
}

/// What became of a run's last task.
#[derive(Default)]
pub(crate) struct Marks {
    is_through: AtomicBool,
    is_gone: AtomicBool,
}

impl Marks {
    /// Checks that a run that has ended went through its last task if it succeeded, and has dropped it in any case.
    pub(crate) fn check(&self, succeeded: bool) -> Result<(), String> {
        let (is_through, is_gone) = (self.is_through.load(Ordering::SeqCst), self.is_gone.load(Ordering::SeqCst));
        let is_right = is_gone && (is_through || !succeeded);
        if is_right { Ok(()) } else { Err(format!("its last task is through: {is_through}, and gone: {is_gone}")) }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.marks.is_gone.store(true, Ordering::SeqCst);
        self.world.runs.gone.fetch_add(1, Ordering::SeqCst);
    }
}

impl Runs {
    /// Runs that are not entirely gone.
    pub(crate) fn live(&self) -> u64 {
        let gone = self.gone.load(Ordering::SeqCst);
        self.started.load(Ordering::SeqCst) - gone
    }
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let world = Self {
            census: Census::new(),
            runs: Runs::default(),
            runtimes: Mutex::new((0..RUNTIMES).map(|_| None).collect()),
            shared: Mutex::default(),
            shared_so_far: AtomicU64::new(0),
            cancellers: Mutex::default(),
            is_over: AtomicBool::new(false),
            faults: Mutex::default(),
            activities: Mutex::default(),
        };
        (0..RUNTIMES).for_each(|i| drop(world.replace_runtime(i as u64, 2)));
        Arc::new(world)
    }

    /// Something that must not happen. It is reported now, and fails the test in the end.
    pub(crate) fn fault(&self, what: String) {
        eprintln!("fault: {what}");
        self.faults.lock().unwrap().push(what);
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap().clone()
    }

    /// One of the runtimes; none once all is over.
    pub(crate) fn runtime(&self, at: u64) -> Option<Arc<Runtime>> {
        let runtimes = self.runtimes.lock().unwrap();
        runtimes[at as usize % RUNTIMES].clone()
    }

    /// Replaces a runtime with a new one; the old one is dropped where its last user lets go of it.
    pub(crate) fn replace_runtime(&self, at: u64, max_workers: usize) -> Option<Arc<Runtime>> {
        let any_port = "127.0.0.1:0".parse().unwrap();
        let builder = Runtime::builder().max_workers(max_workers).limit("two", 2).control(any_port);
        let new = Arc::new(builder.build().expect("the system has threads and ports left"));
        self.runtimes.lock().unwrap()[at as usize % RUNTIMES].replace(new)
    }

    /// Makes a result known to others, from now on.
    pub(crate) fn share(&self, seed: u64, shared: SharedValue) {
        let number = self.shared_so_far.fetch_add(1, Ordering::SeqCst);
        let mut all = self.shared.lock().unwrap();
        let forgotten = if all.len() < SHARED_MAX { None } else { Some(all.swap_remove(seed as usize % SHARED_MAX)) };
        all.push((number, seed, shared));
        drop(all);
        drop(forgotten);
    }

    /// The number that the next result to be shared will have.
    pub(crate) fn shared_so_far(&self) -> u64 {
        self.shared_so_far.load(Ordering::SeqCst)
    }

    /// One of the results that were shared before that number, and its seed.
    pub(crate) fn shared_before(&self, before: u64, at: u64) -> Option<(u64, SharedValue)> {
        let all = self.shared.lock().unwrap();
        let (number, seed, shared) = all.get(at as usize % all.len().max(1))?;
        (*number < before).then(|| (*seed, shared.clone()))
    }

    pub(crate) fn add_canceller(&self, canceller: Canceller) {
        let mut all = self.cancellers.lock().unwrap();
        if CANCELLERS_MAX <= all.len() {
            all.remove(0);
        }
        all.push(canceller);
    }

    pub(crate) fn canceller(&self, at: u64) -> Option<Canceller> {
        let all = self.cancellers.lock().unwrap();
        all.get(at as usize % all.len().max(1)).cloned()
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Lets go of everything that is kept here.
    pub(crate) fn let_go(&self) {
        let shared = std::mem::take(&mut *self.shared.lock().unwrap());
        drop(shared);
        self.cancellers.lock().unwrap().clear();
        for i in 0..RUNTIMES {
            let runtime = self.runtimes.lock().unwrap()[i].take();
            drop(runtime);
        }
    }

    /// Notes what this thread does from now on.
    pub(crate) fn now(&self, thread: &str, what: impl Into<String>) {
        let now = Activity { thread: thread.to_owned(), what: what.into(), since: Instant::now() };
        let mut all = self.activities.lock().unwrap();
        match all.iter_mut().find(|activity| activity.thread == thread) {
            Some(activity) => *activity = now,
            None => all.push(now),
        }
    }

    /// The longest that any thread has done one thing.
    pub(crate) fn longest(&self) -> Duration {
        let all = self.activities.lock().unwrap();
        all.iter().map(|activity| activity.since.elapsed()).max().unwrap_or_default()
    }

    /// This thread has finished.
    pub(crate) fn is_through(&self, thread: &str) {
        self.activities.lock().unwrap().retain(|activity| activity.thread != thread);
    }

    /// A report of everything that goes on.
    pub(crate) fn tell(&self) -> String {
        let mut lines = Vec::new();
        for activity in self.activities.lock().unwrap().iter() {
            lines.push(format!("{} for {:.1?}: {}", activity.thread, activity.since.elapsed(), activity.what));
        }
        lines.push(format!("runs of which something is left: {}", self.runs.live()));
        lines.push(format!("values that are not dropped: {} of {}", self.census.live(), self.census.made()));
        let runtimes = self.runtimes.lock().unwrap().clone();
        for runtime in runtimes.into_iter().flatten() {
            lines.push(format!("{runtime:?}"));
            lines.extend(self.ask(&runtime, "runs\nlimits\n").unwrap_or_default());
            // It must not end here.
            std::mem::forget(runtime);
        }
        for task in std::fs::read_dir("/proc/self/task").expect("the system is Linux").flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            lines.push(format!("thread {} {}", read("comm").trim(), read("wchan").trim()));
        }
        lines.join("\n")
    }

    /// What the port of a runtime answers.
    pub(crate) fn ask(&self, runtime: &Runtime, text: &str) -> std::io::Result<Vec<String>> {
        let addr = runtime.control_addr().expect("each has one");
        let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(text.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        BufReader::new(stream).lines().collect()
    }
}
