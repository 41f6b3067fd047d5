// oneTBB: tasks in groups, and a flow graph.

#include <atomic>
#include <memory>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "bench.hpp"

namespace tbb = oneapi::tbb;

namespace {

uint64_t fib(uint64_t n) {
    if (n < 2) return n;
    uint64_t a;
    tbb::task_group group;
    group.run([&, n] { a = fib(n - 1); });
    uint64_t b = fib(n - 2);
    group.wait();
    return a + b;
}

uint64_t fan(uint64_t n) {
    std::vector<uint64_t> results(n);
    tbb::task_group group;
    for (uint64_t i = 0; i < n; ++i) group.run([&results, i] { results[i] = mix(i); });
    group.wait();
    uint64_t sum = 0;
    for (uint64_t result : results) sum += result;
    return sum;
}

void link(tbb::task_group& group, uint64_t left, uint64_t before, uint64_t& answer) {
    if (left == 0) {
        answer = before;
    } else {
        group.run([&group, left, before, &answer] { link(group, left - 1, mix(before + 1), answer); });
    }
}

uint64_t grow(uint64_t n) {
    uint64_t answer;
    tbb::task_group group;
    link(group, n, 0, answer);
    group.wait();
    return answer;
}

template <class Tree>
uint64_t visit(const Tree& tree, const typename Tree::Node& node) {
    uint64_t n_children = tree.n_children(node);
    if (n_children == 0) return tree.value(node, 0);
    std::vector<uint64_t> values(n_children);
    tbb::task_group group;
    for (uint64_t i = 0; i + 1 < n_children; ++i) {
        group.run([&, i] { values[i] = visit(tree, tree.child(node, i)); });
    }
    values[n_children - 1] = visit(tree, tree.child(node, n_children - 1));
    group.wait();
    uint64_t sum = 0;
    for (uint64_t value : values) sum += value;
    return tree.value(node, sum);
}

template <class Dag>
uint64_t flow_graph(const Dag& dag) {
    using Node = tbb::flow::continue_node<tbb::flow::continue_msg>;
    Results<Dag> results(dag);
    tbb::flow::graph graph;
    std::vector<std::unique_ptr<Node>> nodes(dag.n_tasks());
    for (size_t task = 0; task < dag.n_tasks(); ++task) {
        nodes[task] = std::make_unique<Node>(graph, [&results, task](const tbb::flow::continue_msg&) {
            results.compute(task);
            return tbb::flow::continue_msg();
        });
        for (size_t input : dag.inputs(task)) tbb::flow::make_edge(*nodes[input], *nodes[task]);
    }
    for (size_t task = 0; task < dag.n_tasks(); ++task) {
        if (dag.inputs(task).n == 0) nodes[task]->try_put(tbb::flow::continue_msg());
    }
    graph.wait_for_all();
    return results.answer();
}

// A counter for each task. Who brings it to zero goes on with that task, and runs the others that became ready.
template <class Dag>
struct ByHand {
    const Dag& dag;
    Results<Dag> results;
    std::vector<std::atomic<uint8_t>> missing;
    tbb::task_group group;

    explicit ByHand(const Dag& dag) : dag(dag), results(dag), missing(dag.n_tasks()) {
        for (size_t task = 0; task < dag.n_tasks(); ++task) {
            missing[task].store(dag.inputs(task).n, std::memory_order_relaxed);
        }
    }

    void run(size_t task) {
        for (;;) {
            results.compute(task);
            size_t next = dag.n_tasks();
            for (size_t output : dag.outputs(task)) {
                if (missing[output].fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
                if (next != dag.n_tasks()) group.run([this, next] { run(next); });
                next = output;
            }
            if (next == dag.n_tasks()) return;
            task = next;
        }
    }

    uint64_t answer() {
        for (size_t task = 0; task < dag.n_tasks(); ++task) {
            if (dag.inputs(task).n == 0) group.run([this, task] { run(task); });
        }
        group.wait();
        return results.answer();
    }
};

Run open(const Job& job) {
    if (job.way == "flow graph") return run_of_dag(job, [](const auto& dag) { return flow_graph(dag); });
    if (job.way == "counters by hand") return run_of_dag(job, [](const auto& dag) { return ByHand(dag).answer(); });
    if (job.way != "task_group") return nullptr;
    if (job.work == "fib") return [=](uint64_t) { return fib(job.size.at(0)); };
    if (job.work == "fan") return [=](uint64_t) { return fan(job.size.at(0)); };
    if (job.work == "grow") return [=](uint64_t) { return grow(job.size.at(0)); };
    if (job.work == "start") return [](uint64_t) { return fan(1); };
    return run_of_tree(job, [](const auto& tree) { return visit(tree, tree.root()); });
}

}  // namespace

int main(int argc, char** argv) {
    return serve(argc, argv, [](const Job& job) -> Run {
        Run run = open(job);
        if (!run) return nullptr;
        // The thread that asks is one of the workers.
        auto limit = std::make_shared<tbb::global_control>(tbb::global_control::max_allowed_parallelism, job.workers);
        auto arena = std::make_shared<tbb::task_arena>(static_cast<int>(job.workers));
        return [=](uint64_t length) {
            (void)limit;
            return arena->execute([&] { return run(length); });
        };
    });
}
