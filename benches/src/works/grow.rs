//! `grow`: a chain in which each task makes the next one.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::Scope;
use taskgraph::{DC, delayed};
use tokio::sync::oneshot;

use super::Setup;
use crate::contender::Kind::{Ours, Rival};
use crate::contender::{Amount, Contender, Foreign, Job, PLAIN, Work};
use crate::rivals::{self, mix};
use crate::session::Result;

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let n = setup.size(1_000_000, 2_000);
    let amount = || Amount::of(n, move || plain(n));
    let job = Job { work: "grow", size: vec![n] };
    let program = |rival, way| Contender::program(rival, way, &job, amount());
    let mut contenders = vec![
        Contender::new("taskgraph", Ours, amount(), move |workers| {
            rivals::taskgraph::runs(workers, move |_| grow(n, 0))
        }),
        Contender::new("rayon scope.spawn", Rival, amount(), move |workers| {
            rivals::rayon::runs(workers, move |_| scoped(n))
        }),
        Contender::new("tokio spawn", Rival, amount(), move |workers| {
            rivals::tokio::runs(workers, move |_| spawned(n))
        }),
        Contender::sequential(amount(), move |_| plain(n)),
    ];
    contenders.extend(program(Foreign::Cpp, PLAIN));
    contenders.extend(program(Foreign::Tbb, "task_group"));
    contenders.extend(program(Foreign::OpenMp, "task"));
    contenders.extend(program(Foreign::Taskflow, "task_group"));
    let what = format!("A chain of {n} tasks, each made by the one before.");
    Ok(Work { name: "grow", what, unit: "task", contenders })
}

#[delayed]
fn grow(left: u64, before: u64) -> DC<u64> {
    if left == 0 { DC::value(before) } else { grow(left - 1, mix(before.wrapping_add(1))) }
}

fn plain(n: u64) -> u64 {
    (0..n).fold(0, |before, _| mix(before.wrapping_add(1)))
}

fn scoped(n: u64) -> u64 {
    fn link<'scope>(scope: &Scope<'scope>, left: u64, before: u64, answer: &'scope AtomicU64) {
        if left == 0 {
            // Relaxed: the end of the scope orders it before the load.
            answer.store(before, Ordering::Relaxed);
        } else {
            scope.spawn(move |scope| link(scope, left - 1, mix(before.wrapping_add(1)), answer));
        }
    }
    let answer = AtomicU64::new(0);
    rayon::scope(|scope| link(scope, n, 0, &answer));
    answer.into_inner()
}

async fn spawned(n: u64) -> u64 {
    // A function and not an `async fn`, whose future would contain itself.
    fn link(left: u64, before: u64, answer: oneshot::Sender<u64>) {
        tokio::spawn(async move {
            if left == 0 {
                answer.send(before).expect("the answer is awaited");
            } else {
                link(left - 1, mix(before.wrapping_add(1)), answer);
            }
        });
    }
    let (sender, answer) = oneshot::channel();
    link(n, 0, sender);
    answer.await.expect(rivals::tokio::NO_PANIC)
}
