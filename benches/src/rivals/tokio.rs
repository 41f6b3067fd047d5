//! tokio: `spawn`, and channels for results that others need.

use std::future::Future;
use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};
use tokio::spawn;
use tokio::sync::oneshot;

use super::{Dag, Tree, sum};

pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).build().expect("the system has threads left")
}

/// A closure that runs a future on the workers of a runtime of its own; the thread that asks only waits.
pub(crate) fn runs<F>(workers: usize, run: impl Fn(u64) -> F) -> impl FnMut(u64) -> u64
where
    F: Future<Output = u64> + Send + 'static,
{
    let runtime = runtime(workers);
    move |length| runtime.block_on(runtime.spawn(run(length))).expect(NO_PANIC)
}

pub(crate) const NO_PANIC: &str = "no task of a work panics, and none is cancelled";

/// A spawn for each child but the last, which is awaited in place.
pub(crate) async fn tree<T: Tree>(tree: T) -> u64 {
    fn visit<T: Tree>(tree: T, node: T::Node) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            let n_children = tree.n_children(&node);
            if n_children == 0 {
                return tree.value(&node, 0);
            }
            let child = |i| visit(tree, tree.child(&node, i));
            let spawned: Vec<_> = (0..n_children - 1).map(|i| spawn(child(i))).collect();
            let mut children = child(n_children - 1).await;
            for task in spawned {
                children = children.wrapping_add(task.await.expect(NO_PANIC));
            }
            tree.value(&node, children)
        })
    }
    visit(tree, tree.root()).await
}

/// Every task is spawned up front; a one-shot channel for every edge.
pub(crate) async fn dag<D: Dag>(dag: D) -> u64 {
    let mut receivers: Vec<Vec<oneshot::Receiver<u64>>> = (0..dag.n_tasks()).map(|_| vec![]).collect();
    let mut answering = vec![];
    for task in 0..dag.n_tasks() {
        let senders: Vec<_> = dag.outputs(task).map(|output| channel_to(&mut receivers[output])).collect();
        let receivers = std::mem::take(&mut receivers[task]);
        let spawned = spawn(async move {
            let mut inputs = 0u64;
            for receiver in receivers {
                inputs = inputs.wrapping_add(receiver.await.expect(NO_PANIC));
            }
            let result = dag.compute(task, inputs);
            for sender in senders {
                sender.send(result).expect(NO_PANIC);
            }
            result
        });
        if dag.answering().contains(&task) {
            answering.push(spawned);
        }
    }
    let mut results = vec![];
    for task in answering {
        results.push(task.await.expect(NO_PANIC));
    }
    sum(results)
}

fn channel_to(receivers: &mut Vec<oneshot::Receiver<u64>>) -> oneshot::Sender<u64> {
    let (sender, receiver) = oneshot::channel();
    receivers.push(receiver);
    sender
}
