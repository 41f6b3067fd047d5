//! What is compared: a contender does a work in one way, on any number of workers.

use std::cell::LazyCell;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::session::{Child, InProcess, Program, Result, Session};

/// What a contender is compared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// taskgraph.
    Ours,
    /// What one would use instead. All are compared with the best of them.
    Rival,
    /// Not a system of tasks for this work: calls, loops, splitting without tasks, scheduling by hand. It shows what
    /// remains to be gained.
    Floor,
}

/// What is measured of a contender, and how its answers are checked.
pub(crate) enum Measure {
    /// The time it takes, divided by the tasks. The answer must be this one, which is computed only when it is needed:
    /// that takes memory, which must not count where memory is measured.
    PerTask { answer: LazyCell<u64, Box<dyn FnOnce() -> u64>> },
    /// The shortest task with which the workers are half efficient. The loop does the same without tasks, and gives the
    /// right answer for any length.
    Shortest { plain: Box<dyn Fn(u64) -> u64> },
}

type Open = Box<dyn Fn(usize) -> Result<Box<dyn Session>>>;

pub(crate) struct Contender {
    pub name: String,
    pub kind: Kind,
    pub measure: Measure,
    /// In one repetition of the work.
    pub n_tasks: u64,
    /// It has only one thread: there is no speed-up to measure.
    pub is_sequential: bool,
    /// Starts its threads.
    pub open: Open,
}

/// A work: all its contenders do the same, if not as much of it.
pub(crate) struct Work {
    pub name: &'static str,
    /// What is done, as a sentence for readers of the table.
    pub what: String,
    /// What the nanoseconds are for.
    pub unit: &'static str,
    pub contenders: Vec<Contender>,
}

/// How much of a work there is to do, and how it is checked.
pub(crate) struct Amount {
    pub n_tasks: u64,
    pub measure: Measure,
}

impl Amount {
    pub(crate) fn of(n_tasks: u64, answer: impl FnOnce() -> u64 + 'static) -> Self {
        Self { n_tasks, measure: Measure::PerTask { answer: LazyCell::new(Box::new(answer)) } }
    }
}

impl Contender {
    /// One in this process. `open` gets the number of workers, starts them, and returns a closure that does the work
    /// once.
    pub(crate) fn new<F>(name: &str, kind: Kind, amount: Amount, open: impl Fn(usize) -> F + 'static) -> Self
    where
        F: FnMut(u64) -> u64 + 'static,
    {
        let open: Open = Box::new(move |workers| Ok(Box::new(InProcess(open(workers)))));
        let Amount { n_tasks, measure } = amount;
        Self { name: name.to_owned(), kind, measure, n_tasks, is_sequential: false, open }
    }

    /// One without threads.
    pub(crate) fn sequential(amount: Amount, run: impl Fn(u64) -> u64 + Clone + 'static) -> Self {
        let open = move |_| run.clone();
        Self { is_sequential: true, ..Self::new(PLAIN, Kind::Floor, amount, open) }
    }

    /// One in a program of its own; none if that could not be built. `way` is what the program calls it.
    pub(crate) fn program(rival: Foreign, way: &'static str, job: &Job, amount: Amount) -> Option<Self> {
        let program = rival.program()?;
        let (work, size) = (job.work, job.size.clone());
        let open: Open = Box::new(move |workers| {
            let mut args = vec![work.to_owned(), way.to_owned(), workers.to_string()];
            args.extend(size.iter().map(u64::to_string));
            Ok(Box::new(Child::start(&program, &args)?))
        });
        let Amount { n_tasks, measure } = amount;
        let name = format!("{} {way}", rival.name());
        let kind = if [BY_HAND, PLAIN].contains(&way) { Kind::Floor } else { Kind::Rival };
        Some(Self { name, kind, measure, n_tasks, is_sequential: way == PLAIN, open })
    }
}

/// The way that schedules by counters of its own on tasks that know nothing of each other.
pub(crate) const BY_HAND: &str = "counters by hand";

/// The way without tasks: it tells the languages' compilers apart from their systems of tasks.
pub(crate) const PLAIN: &str = "plain calls";

/// What a program in another language is told to do.
pub(crate) struct Job {
    pub work: &'static str,
    pub size: Vec<u64>,
}

/// Rivals in other languages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Foreign {
    Cpp,
    Tbb,
    OpenMp,
    Taskflow,
    Dask,
    Joblib,
}

impl Foreign {
    const ALL: [Self; 6] = [Self::Cpp, Self::Tbb, Self::OpenMp, Self::Taskflow, Self::Dask, Self::Joblib];

    /// The names of those that are not installed, or were not at build time.
    pub(crate) fn left_out() -> Vec<&'static str> {
        Self::ALL.into_iter().filter(|rival| rival.program().is_none()).map(Self::name).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cpp => "C++",
            Self::Tbb => "oneTBB",
            Self::OpenMp => "OpenMP",
            Self::Taskflow => "Taskflow",
            Self::Dask => "dask",
            Self::Joblib => "joblib",
        }
    }

    /// `None` if it is not installed.
    fn program(self) -> Option<Program> {
        match self {
            Self::Cpp => cpp("plain"),
            Self::Tbb => cpp("tbb"),
            Self::OpenMp => cpp("openmp"),
            Self::Taskflow => cpp("taskflow"),
            Self::Dask => HAS_DASK.then(|| python("dask")),
            Self::Joblib => HAS_JOBLIB.then(|| python("joblib")),
        }
    }
}

/// Built by `cpp/build.sh`, if it was.
fn cpp(name: &str) -> Option<Program> {
    let path = Path::new(env!("CPP_DIR")).join(name);
    path.exists().then_some(Program { path, args: vec![] })
}

fn python(module: &str) -> Program {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/rivals.py");
    Program { path: "python3".into(), args: vec![script.to_owned(), module.to_owned()] }
}

static HAS_DASK: LazyLock<bool> = LazyLock::new(|| can_import("dask"));
static HAS_JOBLIB: LazyLock<bool> = LazyLock::new(|| can_import("joblib"));

fn can_import(module: &str) -> bool {
    let import = format!("import {module}");
    let status = Command::new("python3").args(["-c", &import]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
