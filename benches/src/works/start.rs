//! `start`: one trivial task, asked for by a thread that is not a worker and waits for it.

use taskgraph::DC;

use super::Setup;
use crate::contender::Kind::{Floor, Ours, Rival};
use crate::contender::{Amount, Contender, Foreign, Job, Work};
use crate::rivals::{self, Dag, mix};
use crate::session::Result;

pub(super) fn prepare(_: &Setup) -> Result<Work> {
    let amount = || Amount::of(1, || mix(0));
    let job = Job { work: "start", size: vec![] };
    let program = |rival, way| Contender::program(rival, way, &job, amount());
    let in_place = |rival, way| program(rival, way).map(|contender| Contender { kind: Floor, ..contender });
    let mut contenders = vec![
        Contender::new("taskgraph", Ours, amount(), |workers| {
            rivals::taskgraph::runs(workers, |_| DC::new(|| mix(0), ()))
        }),
        Contender::new("rayon install", Rival, amount(), |workers| rivals::rayon::runs(workers, |_| mix(0))),
        Contender::new("tokio spawn", Rival, amount(), |workers| rivals::tokio::runs(workers, async |_| mix(0))),
        Contender::new("dagx", Rival, amount(), |workers| rivals::tokio::runs(workers, |_| rivals::dagx::dag(One))),
        Contender::new("dagrs", Rival, amount(), |workers| rivals::tokio::runs(workers, |_| rivals::dagrs::dag(One))),
        Contender::new("chili scope", Floor, amount(), |workers| rivals::chili::runs(workers, |_| mix(0))),
    ];
    contenders.extend(in_place(Foreign::Tbb, "task_group"));
    contenders.extend(in_place(Foreign::Tbb, "flow graph"));
    contenders.extend(in_place(Foreign::OpenMp, "parallel"));
    contenders.extend(program(Foreign::Taskflow, "taskflow"));
    let what = "One trivial task, run from outside, again and again: the workers have no time to fall asleep for long. \
                In italics those where the thread that asks is a worker and does it itself.";
    Ok(Work { name: "start", what: what.to_owned(), unit: "run", contenders })
}

/// One task.
#[derive(Clone, Copy)]
struct One;

impl Dag for One {
    fn n_tasks(self) -> usize {
        1
    }

    fn inputs(self, _: usize) -> impl Iterator<Item = usize> {
        std::iter::empty()
    }

    fn outputs(self, _: usize) -> impl Iterator<Item = usize> {
        std::iter::empty()
    }

    fn compute(self, _: usize, _: u64) -> u64 {
        mix(0)
    }

    fn answering(self) -> std::ops::Range<usize> {
        0..1
    }
}
