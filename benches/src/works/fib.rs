//! `fib`: two calls for each call, until there is nothing to add up. Tasks do not get smaller, or more.

use std::future::Future;
use std::pin::Pin;

use chili::Scope;
use taskgraph::{DC, delayed};

use super::Setup;
use crate::contender::Kind::{Floor, Ours, Rival};
use crate::contender::{Amount, Contender, Foreign, Job, PLAIN, Work};
use crate::rivals;
use crate::session::Result;

pub(super) fn prepare(setup: &Setup) -> Result<Work> {
    let n = setup.size(30, 15);
    // This many calls compute `fib(n)`, the first one included.
    let n_calls = 2 * plain(n + 1) - 1;
    let amount = || Amount::of(n_calls, move || plain(n));
    let job = Job { work: "fib", size: vec![n] };
    let program = |rival, way| Contender::program(rival, way, &job, amount());
    let mut contenders = vec![
        Contender::new("taskgraph", Ours, amount(), move |workers| rivals::taskgraph::runs(workers, move |_| fib(n))),
        Contender::new("rayon scope.spawn", Rival, amount(), move |workers| {
            rivals::rayon::runs(workers, move |_| scoped(n))
        }),
        Contender::new("tokio spawn", Rival, amount(), move |workers| {
            rivals::tokio::runs(workers, move |_| spawned(n))
        }),
        Contender::new("rayon join", Floor, amount(), move |workers| rivals::rayon::runs(workers, move |_| joined(n))),
        Contender::new("chili join", Floor, amount(), move |workers| {
            rivals::chili::runs(workers, move |s| chilled(s, n))
        }),
        Contender::sequential(amount(), move |_| plain(n)),
    ];
    contenders.extend(program(Foreign::Cpp, PLAIN));
    contenders.extend(program(Foreign::Tbb, "task_group"));
    contenders.extend(program(Foreign::OpenMp, "task"));
    contenders.extend(program(Foreign::Taskflow, "task_group"));
    let what = format!("`fib({n})`, a task for every call, no cut-off: {n_calls} calls.");
    Ok(Work { name: "fib", what, unit: "call", contenders })
}

#[delayed]
fn fib(n: u64) -> DC<u64> {
    if n < 2 { DC::value(n) } else { add(fib(n - 1), fib(n - 2)) }
}

#[delayed]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn plain(n: u64) -> u64 {
    if n < 2 { n } else { plain(n - 1) + plain(n - 2) }
}

fn joined(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| joined(n - 1), || joined(n - 2));
    a + b
}

fn chilled(scope: &mut Scope<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = scope.join(|scope| chilled(scope, n - 1), |scope| chilled(scope, n - 2));
    a + b
}

fn scoped(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let mut a = 0;
    let b = rayon::scope(|scope| {
        scope.spawn(|_| a = scoped(n - 1));
        scoped(n - 2)
    });
    a + b
}

fn spawned(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let a = tokio::spawn(spawned(n - 1));
        let b = spawned(n - 2).await;
        a.await.expect(rivals::tokio::NO_PANIC) + b
    })
}
