//! `await`: one body that makes tasks and awaits each before it makes the next.

use taskgraph::{Error, delayed};

use super::Setup;
use crate::contender::Kind::{Ours, Rival};
use crate::contender::{Amount, Contender, Work};
use crate::rivals::{self, mix};
use crate::session::Result;

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let n = setup.size(300_000, 2_000);
    let amount = || Amount::of(n, move || plain(n));
    let contenders = vec![
        Contender::new("taskgraph", Ours, amount(), move |workers| {
            rivals::taskgraph::runs(workers, move |_| awaited(n))
        }),
        Contender::new("tokio spawn", Rival, amount(), move |workers| {
            rivals::tokio::runs(workers, move |_| spawned(n))
        }),
        Contender::sequential(amount(), move |_| plain(n)),
    ];
    let what = format!("{n} tasks, each made and awaited by the same `async` body, one after the other.");
    Ok(Work { name: "await", what, unit: "task", contenders })
}

#[delayed]
fn link(before: u64) -> u64 {
    mix(before.wrapping_add(1))
}

#[delayed]
async fn awaited(n: u64) -> std::result::Result<u64, Error> {
    let mut before = 0;
    for _ in 0..n {
        before = link(before).await?;
    }
    Ok(before)
}

fn plain(n: u64) -> u64 {
    (0..n).fold(0, |before, _| mix(before.wrapping_add(1)))
}

async fn spawned(n: u64) -> u64 {
    let mut before: u64 = 0;
    for _ in 0..n {
        let task = tokio::spawn(async move { mix(before.wrapping_add(1)) });
        before = task.await.expect(rivals::tokio::NO_PANIC);
    }
    before
}
