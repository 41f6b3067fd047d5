//! `chain`: each task needs the one before, and all of them exist before the first one runs.

use std::ops::Range;

use taskgraph::{DC, delayed};

use super::Setup;
use crate::contender::Kind::{Floor, Ours, Rival};
use crate::contender::{Amount, BY_HAND, Contender, Foreign, Job, PLAIN, Work};
use crate::rivals::{self, Dag, mix};
use crate::session::Result;

/// dagx would take gigabytes for many more.
const N_DAGX: u64 = 100_000;
/// dagrs takes microseconds a task.
const N_DAGRS: u64 = 1_000;
/// dask takes hundreds, and recurses.
const N_PYTHON: u64 = 500;

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let n = setup.size(1_000_000, 2_000);
    let amount = |n| Amount::of(n, move || rivals::plain::dag(Chain(n)));
    let program = |rival, way, n| Contender::program(rival, way, &Job { work: "chain", size: vec![n] }, amount(n));
    let by_hand = format!("rayon {BY_HAND}");
    let mut contenders = vec![
        Contender::new("taskgraph", Ours, amount(n), move |workers| {
            rivals::taskgraph::runs(workers, move |_| chain(n))
        }),
        Contender::new("tokio spawn", Rival, amount(n), move |workers| {
            rivals::tokio::runs(workers, move |_| rivals::tokio::dag(Chain(n)))
        }),
        Contender::new("dagx", Rival, amount(N_DAGX.min(n)), move |workers| {
            rivals::tokio::runs(workers, move |_| rivals::dagx::dag(Chain(N_DAGX.min(n))))
        }),
        Contender::new("dagrs", Rival, amount(N_DAGRS), |workers| {
            rivals::tokio::runs(workers, move |_| rivals::dagrs::dag(Chain(N_DAGRS)))
        }),
        Contender::new(&by_hand, Floor, amount(n), move |workers| {
            rivals::rayon::runs(workers, move |_| rivals::rayon::dag_by_hand(Chain(n)))
        }),
        Contender::sequential(amount(n), move |_| rivals::plain::dag(Chain(n))),
    ];
    contenders.extend(program(Foreign::Cpp, PLAIN, n));
    contenders.extend(program(Foreign::Tbb, "flow graph", n));
    contenders.extend(program(Foreign::OpenMp, "task depend", n));
    contenders.extend(program(Foreign::Taskflow, "taskflow", n));
    contenders.extend(program(Foreign::Dask, "threads", N_PYTHON));
    let what = format!("{n} tasks, each on the one before, built up front. Building is counted.");
    Ok(Work { name: "chain", what, unit: "task", contenders })
}

#[delayed]
fn link(before: u64) -> u64 {
    mix(before.wrapping_add(1))
}

fn chain(n: u64) -> DC<u64> {
    (1..n).fold(link(0), |before, _| link(before))
}

#[derive(Clone, Copy)]
struct Chain(u64);

impl Dag for Chain {
    fn n_tasks(self) -> usize {
        self.0 as usize
    }

    fn inputs(self, task: usize) -> impl Iterator<Item = usize> {
        task.checked_sub(1).into_iter()
    }

    fn outputs(self, task: usize) -> impl Iterator<Item = usize> {
        Some(task + 1).filter(|&next| next < self.n_tasks()).into_iter()
    }

    fn compute(self, _: usize, before: u64) -> u64 {
        mix(before.wrapping_add(1))
    }

    fn answering(self) -> Range<usize> {
        self.n_tasks() - 1..self.n_tasks()
    }
}
