//! dagrs: nodes with channels, run by tokio.

use std::sync::Arc;

use async_trait::async_trait;
use dagrs::{Action, Content, DefaultNode, EnvVar, Graph, InChannels, Node, NodeTable, OutChannels, Output};

use super::{Dag, sum};

/// A task of a [`Dag`].
struct Compute<D> {
    dag: D,
    task: usize,
}

#[async_trait]
impl<D: Dag> Action for Compute<D> {
    async fn run(&self, inputs: &mut InChannels, outputs: &mut OutChannels, _: Arc<EnvVar>) -> Output {
        let received = inputs.map(|content| number(&content.expect("who sends to a node has settled well"))).await;
        let result = self.dag.compute(self.task, sum(received));
        outputs.broadcast(Content::new(result)).await;
        Output::Out(Some(Content::new(result)))
    }
}

fn number(content: &Content) -> u64 {
    *content.get().expect("tasks send nothing but numbers")
}

pub(crate) async fn dag<D: Dag>(dag: D) -> u64 {
    let mut table = NodeTable::default();
    let mut graph = Graph::new();
    let mut ids = Vec::with_capacity(dag.n_tasks());
    for task in 0..dag.n_tasks() {
        let node = DefaultNode::with_action(task.to_string(), Compute { dag, task }, &mut table);
        ids.push(node.id());
        graph.add_node(node).expect("the identities of nodes are unique");
    }
    for task in 0..dag.n_tasks() {
        let outputs: Vec<_> = dag.outputs(task).map(|output| ids[output]).collect();
        if !outputs.is_empty() {
            graph.add_edge(ids[task], outputs).expect("edges are between nodes of the graph");
        }
    }
    graph.set_env(EnvVar::new(table));
    graph.async_start().await.expect("no task of a work fails");
    let results = graph.get_results::<u64>();
    sum(dag.answering().map(|task| *results[&ids[task]].as_deref().expect("every task has a result")))
}
