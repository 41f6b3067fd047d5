// Taskflow: a graph that is built and run, and tasks in groups.

#include <memory>

#include <taskflow/taskflow.hpp>

#include "bench.hpp"

namespace {

uint64_t fib(tf::Executor& executor, uint64_t n) {
    if (n < 2) return n;
    uint64_t a;
    tf::TaskGroup group = executor.task_group();
    group.silent_async([&, n] { a = fib(executor, n - 1); });
    uint64_t b = fib(executor, n - 2);
    group.corun();
    return a + b;
}

uint64_t fan(tf::Executor& executor, uint64_t n) {
    std::vector<uint64_t> results(n);
    tf::TaskGroup group = executor.task_group();
    for (uint64_t i = 0; i < n; ++i) group.silent_async([&results, i] { results[i] = mix(i); });
    group.corun();
    uint64_t sum = 0;
    for (uint64_t result : results) sum += result;
    return sum;
}

void link(tf::TaskGroup& group, uint64_t left, uint64_t before, uint64_t& answer) {
    if (left == 0) {
        answer = before;
    } else {
        group.silent_async([&group, left, before, &answer] { link(group, left - 1, mix(before + 1), answer); });
    }
}

uint64_t grow(tf::Executor& executor, uint64_t n) {
    uint64_t answer;
    tf::TaskGroup group = executor.task_group();
    link(group, n, 0, answer);
    group.corun();
    return answer;
}

template <class Tree>
uint64_t visit(tf::Executor& executor, const Tree& tree, const typename Tree::Node& node) {
    uint64_t n_children = tree.n_children(node);
    if (n_children == 0) return tree.value(node, 0);
    std::vector<uint64_t> values(n_children);
    tf::TaskGroup group = executor.task_group();
    for (uint64_t i = 0; i + 1 < n_children; ++i) {
        group.silent_async([&, i] { values[i] = visit(executor, tree, tree.child(node, i)); });
    }
    values[n_children - 1] = visit(executor, tree, tree.child(node, n_children - 1));
    group.corun();
    uint64_t sum = 0;
    for (uint64_t value : values) sum += value;
    return tree.value(node, sum);
}

template <class Dag>
uint64_t taskflow(tf::Executor& executor, const Dag& dag) {
    Results<Dag> results(dag);
    tf::Taskflow flow;
    std::vector<tf::Task> tasks(dag.n_tasks());
    for (size_t task = 0; task < dag.n_tasks(); ++task) {
        tasks[task] = flow.emplace([&results, task] { results.compute(task); });
        for (size_t input : dag.inputs(task)) tasks[input].precede(tasks[task]);
    }
    executor.run(flow).wait();
    return results.answer();
}

// A closure that does something as a task, because only tasks can have groups.
template <class F>
Run in_a_task(tf::Executor& executor, F f) {
    return [&executor, f](uint64_t) { return executor.async([&] { return f(); }).get(); };
}

Run open(tf::Executor& executor, const Job& job) {
    if (job.way == "taskflow") {
        return run_of_dag(job, [&](const auto& dag) { return taskflow(executor, dag); });
    }
    if (job.way != "task_group") return nullptr;
    uint64_t n = job.size.at(0);
    if (job.work == "fib") return in_a_task(executor, [&executor, n] { return fib(executor, n); });
    if (job.work == "fan") return in_a_task(executor, [&executor, n] { return fan(executor, n); });
    if (job.work == "grow") return in_a_task(executor, [&executor, n] { return grow(executor, n); });
    return run_of_tree(job, [&executor](const auto& tree) {
        return executor.async([&] { return visit(executor, tree, tree.root()); }).get();
    });
}

}  // namespace

int main(int argc, char** argv) {
    return serve(argc, argv, [](const Job& job) -> Run {
        auto executor = std::make_shared<tf::Executor>(job.workers);
        Run run = open(*executor, job);
        if (!run) return nullptr;
        return [=](uint64_t length) {
            (void)executor;
            return run(length);
        };
    });
}
