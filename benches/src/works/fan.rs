//! `fan`: trivial tasks that need nothing, and the sum of their results.

use std::iter;
use std::ops::Range;

use rayon::prelude::*;
use taskgraph::{DC, all, delayed, each};

use super::Setup;
use crate::contender::Kind::{Floor, Ours, Rival};
use crate::contender::{Amount, Contender, Foreign, Job, PLAIN, Work};
use crate::rivals::{self, Dag, mix, sum};
use crate::session::Result;

/// dagx would take gigabytes for many more.
const N_DAGX: u64 = 100_000;
/// dagrs takes microseconds a task.
const N_DAGRS: u64 = 1_000;
/// dask and joblib take hundreds.
const N_PYTHON: u64 = 1_000;

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let n = setup.size(1_000_000, 2_000);
    let amount = |n| Amount::of(n, move || rivals::plain::dag(Fan(n)));
    let program = |rival, way, n| Contender::program(rival, way, &Job { work: "fan", size: vec![n] }, amount(n));
    let mut contenders = vec![
        Contender::new("taskgraph all", Ours, amount(n), move |workers| {
            rivals::taskgraph::runs(workers, move |_| list(n))
        }),
        Contender::new("taskgraph each", Ours, amount(n), move |workers| {
            rivals::taskgraph::runs(workers, move |_| each(0..n, trivial).map(sum))
        }),
        Contender::new("taskgraph generator", Ours, amount(n), move |workers| {
            rivals::taskgraph::runs(workers, move |_| generated(n).map(sum))
        }),
        Contender::new("rayon scope.spawn", Rival, amount(n), move |workers| {
            rivals::rayon::runs(workers, move |_| scoped(n))
        }),
        Contender::new("tokio spawn", Rival, amount(n), move |workers| {
            rivals::tokio::runs(workers, move |_| spawned(n))
        }),
        Contender::new("dagx", Rival, amount(N_DAGX.min(n)), move |workers| {
            rivals::tokio::runs(workers, move |_| rivals::dagx::dag(Fan(N_DAGX.min(n))))
        }),
        Contender::new("dagrs", Rival, amount(N_DAGRS), |workers| {
            rivals::tokio::runs(workers, move |_| rivals::dagrs::dag(Fan(N_DAGRS)))
        }),
        Contender::new("rayon join", Floor, amount(n), move |workers| {
            rivals::rayon::runs(workers, move |_| rivals::rayon::join_range(0..n, &mix))
        }),
        Contender::new("rayon par_iter", Floor, amount(n), move |workers| {
            rivals::rayon::runs(workers, move |_| (0..n).into_par_iter().map(mix).reduce(|| 0, u64::wrapping_add))
        }),
        Contender::new("chili join", Floor, amount(n), move |workers| {
            rivals::chili::runs(workers, move |scope| rivals::chili::join_range(scope, 0..n, &|_, i| mix(i)))
        }),
        Contender::sequential(amount(n), move |_| rivals::plain::dag(Fan(n))),
    ];
    contenders.extend(program(Foreign::Cpp, PLAIN, n));
    contenders.extend(program(Foreign::Tbb, "task_group", n));
    contenders.extend(program(Foreign::Tbb, "flow graph", n));
    contenders.extend(program(Foreign::OpenMp, "task", n));
    contenders.extend(program(Foreign::Taskflow, "task_group", n));
    contenders.extend(program(Foreign::Taskflow, "taskflow", n));
    contenders.extend(program(Foreign::Dask, "threads", N_PYTHON));
    contenders.extend(program(Foreign::Joblib, "threading", N_PYTHON));
    let what = format!("{n} trivial tasks that need nothing, summed. Making them is counted.");
    Ok(Work { name: "fan", what, unit: "task", contenders })
}

#[delayed]
fn trivial(i: u64) -> u64 {
    mix(i)
}

fn list(n: u64) -> DC<u64> {
    all((0..n).map(trivial)).map(sum)
}

#[delayed]
fn generated(n: u64) -> Vec<u64> {
    for i in 0..n {
        yield_!(trivial(i));
    }
}

fn scoped(n: u64) -> u64 {
    let mut results = vec![0; n as usize];
    rayon::scope(|scope| {
        for (i, result) in results.iter_mut().enumerate() {
            scope.spawn(move |_| *result = mix(i as u64));
        }
    });
    sum(results)
}

async fn spawned(n: u64) -> u64 {
    let tasks: Vec<_> = (0..n).map(|i| tokio::spawn(async move { mix(i) })).collect();
    let mut results = 0u64;
    for task in tasks {
        results = results.wrapping_add(task.await.expect(rivals::tokio::NO_PANIC));
    }
    results
}

/// A graph without edges.
#[derive(Clone, Copy)]
struct Fan(u64);

impl Dag for Fan {
    fn n_tasks(self) -> usize {
        self.0 as usize
    }

    fn inputs(self, _: usize) -> impl Iterator<Item = usize> {
        iter::empty()
    }

    fn outputs(self, _: usize) -> impl Iterator<Item = usize> {
        iter::empty()
    }

    fn compute(self, task: usize, _: u64) -> u64 {
        mix(task as u64)
    }

    fn answering(self) -> Range<usize> {
        0..self.n_tasks()
    }
}
