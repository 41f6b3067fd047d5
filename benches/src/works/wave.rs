//! `wave`: the cells of a square, each of which needs its upper and its left neighbour. Every result is used twice.

use std::ops::Range;

use taskgraph::{DC, Shared, delayed};

use super::Setup;
use crate::contender::Kind::{Floor, Ours, Rival};
use crate::contender::{Amount, BY_HAND, Contender, Foreign, Job, PLAIN, Work};
use crate::rivals::{self, Dag, mix};
use crate::session::Result;

/// dagx would take gigabytes for many more.
const SIDE_DAGX: u64 = 300;
/// dagrs takes microseconds a task.
const SIDE_DAGRS: u64 = 32;
/// dask takes hundreds, and recurses.
const SIDE_PYTHON: u64 = 25;

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let side = setup.size(1_000, 40);
    let amount = |side| Amount::of(side * side, move || rivals::plain::dag(Wave { side }));
    let program = |rival, way, side| {
        let job = Job { work: "wave", size: vec![side] };
        Contender::program(rival, way, &job, amount(side))
    };
    let by_hand = format!("rayon {BY_HAND}");
    let mut contenders = vec![
        Contender::new("taskgraph", Ours, amount(side), move |workers| {
            rivals::taskgraph::runs(workers, move |_| wave(side))
        }),
        Contender::new("taskgraph growing", Ours, amount(side), move |workers| {
            let last = |ends: Vec<u64>| *ends.last().expect("there is a row");
            rivals::taskgraph::runs(workers, move |_| growing(side).map(last))
        }),
        Contender::new("tokio spawn", Rival, amount(side), move |workers| {
            rivals::tokio::runs(workers, move |_| rivals::tokio::dag(Wave { side }))
        }),
        Contender::new("dagx", Rival, amount(SIDE_DAGX.min(side)), move |workers| {
            rivals::tokio::runs(workers, move |_| rivals::dagx::dag(Wave { side: SIDE_DAGX.min(side) }))
        }),
        Contender::new("dagrs", Rival, amount(SIDE_DAGRS), |workers| {
            rivals::tokio::runs(workers, move |_| rivals::dagrs::dag(Wave { side: SIDE_DAGRS }))
        }),
        Contender::new(&by_hand, Floor, amount(side), move |workers| {
            rivals::rayon::runs(workers, move |_| rivals::rayon::dag_by_hand(Wave { side }))
        }),
        Contender::sequential(amount(side), move |_| rivals::plain::dag(Wave { side })),
    ];
    contenders.extend(program(Foreign::Cpp, PLAIN, side));
    contenders.extend(program(Foreign::Tbb, "flow graph", side));
    contenders.extend(program(Foreign::Tbb, BY_HAND, side));
    contenders.extend(program(Foreign::OpenMp, "task depend", side));
    contenders.extend(program(Foreign::Taskflow, "taskflow", side));
    contenders.extend(program(Foreign::Dask, "threads", SIDE_PYTHON));
    let what = format!("{side} x {side} cells, each on its upper and left neighbour. Building is counted.");
    Ok(Work { name: "wave", what, unit: "cell", contenders })
}

#[delayed]
fn corner() -> u64 {
    mix(1)
}

#[delayed]
fn edge(neighbour: u64) -> u64 {
    mix(neighbour.wrapping_add(1))
}

#[delayed]
fn cell(up: u64, left: u64) -> u64 {
    mix(up.wrapping_add(left).wrapping_add(1))
}

/// The cells below those `above`: handles on all of them for the next row, and one on the last.
fn row(side: u64, above: Vec<Shared<u64>>) -> (Vec<Shared<u64>>, Shared<u64>) {
    let mut up = above.into_iter();
    let mut left = None;
    let row = (0..side).map(|_| {
        let cell = match (up.next(), left.take()) {
            (None, None) => corner(),
            (Some(neighbour), None) | (None, Some(neighbour)) => edge(neighbour),
            (Some(up), Some(left)) => cell(up, left),
        };
        let [right, down] = cell.tee();
        left = Some(right);
        down
    });
    let row = row.collect();
    (row, left.expect("a row has a cell"))
}

fn wave(side: u64) -> DC<u64> {
    let first = row(side, vec![]);
    let (_, last) = (1..side).fold(first, |(above, _), _| row(side, above));
    DC::new(|last: u64| last, (last,))
}

/// The last cells of all rows. Each row is computed while those below it are made.
#[delayed]
fn growing(side: u64) -> Vec<u64> {
    let mut above = vec![];
    for _ in 0..side {
        let (row, last) = row(side, above);
        yield_!(last.dc());
        above = row;
    }
}

/// Cells in rows, one after the other.
#[derive(Clone, Copy)]
struct Wave {
    side: u64,
}

impl Dag for Wave {
    fn n_tasks(self) -> usize {
        (self.side * self.side) as usize
    }

    #[inline(always)]
    fn inputs(self, task: usize) -> impl Iterator<Item = usize> {
        let side = self.side as usize;
        let up = (task >= side).then(|| task - side);
        let left = (!task.is_multiple_of(side)).then(|| task - 1);
        up.into_iter().chain(left)
    }

    #[inline(always)]
    fn outputs(self, task: usize) -> impl Iterator<Item = usize> {
        let side = self.side as usize;
        let down = (task + side < self.n_tasks()).then(|| task + side);
        let right = (!(task + 1).is_multiple_of(side)).then(|| task + 1);
        down.into_iter().chain(right)
    }

    fn compute(self, _: usize, neighbours: u64) -> u64 {
        mix(neighbours.wrapping_add(1))
    }

    fn answering(self) -> Range<usize> {
        self.n_tasks() - 1..self.n_tasks()
    }
}
