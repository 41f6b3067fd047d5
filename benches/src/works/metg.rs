//! `metg`: the shortest task with which the workers are still half efficient, in a stencil of some width.
//!
//! E. Slaughter, W. Wu, Y. Fu, L. Brandenburg and others: *Task Bench: A Parameterized Benchmark for Evaluating
//! Parallel Runtime Performance*, SC 2020. The pattern is its `stencil_1d`, the kernel is a loop in registers. Its
//! minimum effective task granularity includes the overhead of a task; here it is the length of the kernel alone, so
//! that at half efficiency its number is twice this one.

use std::array;
use std::ops::Range;

use taskgraph::{DC, Shared, delayed};

use super::Setup;
use crate::contender::Kind::{Floor, Ours, Rival};
use crate::contender::{Amount, BY_HAND, Contender, Foreign, Job, Measure, Work};
use crate::rivals::{self, Dag, sum};
use crate::session::Result;

/// How many steps of a growing stencil are made between two yields.
const STEPS_AT_ONCE: u64 = 64;
/// dagrs takes microseconds a task.
const N_STEPS_DAGRS: u64 = 50;

pub(super) fn prepare<const WIDTH: usize>(setup: &Setup) -> Result<Work> {
    let n_steps = setup.size(500, 50);
    let stencil = move |n_steps, length| Stencil::<WIDTH> { n_steps, length };
    let amount = |n_steps| {
        let measure = Measure::Shortest { plain: Box::new(move |length| rivals::plain::dag(stencil(n_steps, length))) };
        Amount { n_tasks: n_steps * WIDTH as u64, measure }
    };
    let job = Job { work: "metg", size: vec![WIDTH as u64, n_steps] };
    let program = |rival, way| Contender::program(rival, way, &job, amount(n_steps));
    let by_hand = format!("rayon {BY_HAND}");
    let mut contenders = vec![
        Contender::new("taskgraph", Ours, amount(n_steps), move |workers| {
            rivals::taskgraph::runs(workers, move |length| graph::<WIDTH>(n_steps, length))
        }),
        Contender::new("taskgraph growing", Ours, amount(n_steps), move |workers| {
            let last = |totals: Vec<u64>| *totals.last().expect("there is a step");
            rivals::taskgraph::runs(workers, move |length| growing::<WIDTH>(n_steps, length).map(last))
        }),
        Contender::new("tokio spawn", Rival, amount(n_steps), move |workers| {
            rivals::tokio::runs(workers, move |length| rivals::tokio::dag(stencil(n_steps, length)))
        }),
        Contender::new("dagx", Rival, amount(n_steps), move |workers| {
            rivals::tokio::runs(workers, move |length| rivals::dagx::dag(stencil(n_steps, length)))
        }),
        Contender::new("dagrs", Rival, amount(N_STEPS_DAGRS), move |workers| {
            rivals::tokio::runs(workers, move |length| rivals::dagrs::dag(stencil(N_STEPS_DAGRS, length)))
        }),
        Contender::new(&by_hand, Floor, amount(n_steps), move |workers| {
            rivals::rayon::runs(workers, move |length| rivals::rayon::dag_by_hand(stencil(n_steps, length)))
        }),
    ];
    contenders.extend(program(Foreign::Tbb, "flow graph"));
    contenders.extend(program(Foreign::Tbb, BY_HAND));
    contenders.extend(program(Foreign::OpenMp, "task depend"));
    contenders.extend(program(Foreign::Taskflow, "taskflow"));
    let name = match WIDTH {
        4 => "metg-4",
        8 => "metg-8",
        _ => "metg-16",
    };
    let what = format!(
        "The shortest task with which the workers are half efficient: {n_steps} steps of a stencil {WIDTH} wide, each \
         task on up to three of the step before. Building is counted, and so on one worker this is what a task costs."
    );
    Ok(Work { name, what, unit: "task", contenders })
}

/// Takes `length` times the latency of six operations.
fn kernel(seed: u64, length: u64) -> u64 {
    // Never 0, from which nothing would change.
    let mut x = seed | 1;
    for _ in 0..length {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

#[delayed]
fn source(i: u64, length: u64) -> u64 {
    kernel(i, length)
}

#[delayed]
fn border(a: u64, b: u64, length: u64) -> u64 {
    kernel(a.wrapping_add(b), length)
}

#[delayed]
fn inner(a: u64, b: u64, c: u64, length: u64) -> u64 {
    kernel(a.wrapping_add(b).wrapping_add(c), length)
}

#[delayed]
fn total(last: Vec<u64>) -> u64 {
    sum(last)
}

/// The results of a step, with handles on each for the tasks to its left, below it, and to its right.
struct Step<const WIDTH: usize>([[Option<Shared<u64>>; 3]; WIDTH]);

impl<const WIDTH: usize> Step<WIDTH> {
    fn first(length: u64) -> Self {
        Self(array::from_fn(|i| source(i as u64, length).tee().map(Some)))
    }

    fn next(mut self, length: u64) -> Self {
        let mut take = |i: usize, side: usize| self.0[i][side].take().expect("each handle is used once");
        Self(array::from_fn(|i| {
            let task = match i {
                0 => border(take(0, 1), take(1, 0), length),
                i if i == WIDTH - 1 => border(take(i - 1, 2), take(i, 1), length),
                i => inner(take(i - 1, 2), take(i, 1), take(i + 1, 0), length),
            };
            task.tee().map(Some)
        }))
    }

    fn total(&self) -> DC<u64> {
        let below = self.0.iter().map(|[_, below, _]| below.clone().expect("the next step has not been made"));
        total(below.collect::<Vec<_>>())
    }
}

fn graph<const WIDTH: usize>(n_steps: u64, length: u64) -> DC<u64> {
    (1..n_steps).fold(Step::<WIDTH>::first(length), |step, _| step.next(length)).total()
}

/// The totals of some steps. The steps up to one total are computed while the next ones are made.
#[delayed]
fn growing<const WIDTH: usize>(n_steps: u64, length: u64) -> Vec<u64> {
    let mut step = Step::<WIDTH>::first(length);
    for at in 1..n_steps {
        if at % STEPS_AT_ONCE == 0 {
            yield_!(step.total());
        }
        step = step.next(length);
    }
    yield_!(step.total());
}

/// Tasks in steps, one after the other.
#[derive(Clone, Copy)]
struct Stencil<const WIDTH: usize> {
    n_steps: u64,
    length: u64,
}

/// The tasks of a step that task `i` of the next one needs, and those of the next one that need task `i`.
fn around<const WIDTH: usize>(i: usize) -> Range<usize> {
    i.saturating_sub(1)..(i + 2).min(WIDTH)
}

impl<const WIDTH: usize> Dag for Stencil<WIDTH> {
    fn n_tasks(self) -> usize {
        self.n_steps as usize * WIDTH
    }

    #[inline(always)]
    fn inputs(self, task: usize) -> impl Iterator<Item = usize> {
        let (step, i) = (task / WIDTH, task % WIDTH);
        let near = if step == 0 { 0..0 } else { around::<WIDTH>(i) };
        near.map(move |i| (step - 1) * WIDTH + i)
    }

    #[inline(always)]
    fn outputs(self, task: usize) -> impl Iterator<Item = usize> {
        let (step, i) = (task / WIDTH, task % WIDTH);
        let near = if step + 1 == self.n_steps as usize { 0..0 } else { around::<WIDTH>(i) };
        near.map(move |i| (step + 1) * WIDTH + i)
    }

    fn compute(self, task: usize, inputs: u64) -> u64 {
        let seed = if task < WIDTH { task as u64 } else { inputs };
        kernel(seed, self.length)
    }

    fn answering(self) -> Range<usize> {
        self.n_tasks() - WIDTH..self.n_tasks()
    }
}
