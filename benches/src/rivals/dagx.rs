//! dagx: a graph that is built, run by tokio, and asked for results.

use std::sync::Arc;

use dagx::{DagRunner, Task, TaskHandle, task};
use tokio::spawn;

use super::{Dag, sum};
use crate::rivals::tokio::NO_PANIC;

/// What a task of a [`Dag`] computes. The graph is behind a pointer, because the attribute does not support generics;
/// that costs little beside the microsecond that a task takes.
struct Compute(Arc<dyn Fn(usize, u64) -> u64 + Send + Sync>, usize);

impl Compute {
    fn compute(&self, inputs: u64) -> u64 {
        (self.0)(self.1, inputs)
    }
}

/// The tasks by what they need: the number of inputs is a part of the type.
struct Needs0(Compute);
struct Needs1(Compute);
struct Needs2(Compute);
struct Needs3(Compute);

#[task]
impl Needs0 {
    async fn run(&self) -> u64 {
        self.0.compute(0)
    }
}

#[task]
impl Needs1 {
    async fn run(&self, a: &u64) -> u64 {
        self.0.compute(*a)
    }
}

#[task]
impl Needs2 {
    async fn run(&self, a: &u64, b: &u64) -> u64 {
        self.0.compute(a.wrapping_add(*b))
    }
}

#[task]
impl Needs3 {
    async fn run(&self, a: &u64, b: &u64, c: &u64) -> u64 {
        self.0.compute(a.wrapping_add(*b).wrapping_add(*c))
    }
}

pub(crate) async fn dag<D: Dag>(dag: D) -> u64 {
    let compute: Arc<dyn Fn(usize, u64) -> u64 + Send + Sync> = Arc::new(move |task, inputs| dag.compute(task, inputs));
    let runner = DagRunner::new();
    let mut tasks: Vec<TaskHandle<u64>> = Vec::with_capacity(dag.n_tasks());
    for task in 0..dag.n_tasks() {
        let task_of = Compute(Arc::clone(&compute), task);
        let mut inputs = dag.inputs(task).map(|input| tasks[input]);
        let handle = match (inputs.next(), inputs.next(), inputs.next()) {
            (None, ..) => runner.add_task(Needs0(task_of)).into(),
            (Some(a), None, _) => runner.add_task(Needs1(task_of)).depends_on(a),
            (Some(a), Some(b), None) => runner.add_task(Needs2(task_of)).depends_on((&a, &b)),
            (Some(a), Some(b), Some(c)) => runner.add_task(Needs3(task_of)).depends_on((&a, &b, &c)),
        };
        tasks.push(handle);
    }
    let run = runner.run(|future| drop(spawn(future)));
    run.await.expect(NO_PANIC);
    sum(tasks[dag.answering()].iter().map(|&task| runner.get(task).expect("every task has a result")))
}
