// OpenMP: tasks, and tasks with `depend`. All of a run is one parallel region, in which one thread makes the first
// task and the others help.

#include <omp.h>

#include "bench.hpp"

namespace {

uint64_t fib(uint64_t n) {
    if (n < 2) return n;
    uint64_t a;
#pragma omp task shared(a) firstprivate(n)
    a = fib(n - 1);
    uint64_t b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

uint64_t fan(uint64_t n) {
    std::vector<uint64_t> results(n);
    uint64_t* at = results.data();
    for (uint64_t i = 0; i < n; ++i) {
#pragma omp task firstprivate(at, i)
        at[i] = mix(i);
    }
#pragma omp taskwait
    uint64_t sum = 0;
    for (uint64_t result : results) sum += result;
    return sum;
}

void link(uint64_t left, uint64_t before, uint64_t* answer) {
    if (left == 0) {
        *answer = before;
    } else {
#pragma omp task firstprivate(left, before, answer)
        link(left - 1, mix(before + 1), answer);
    }
}

uint64_t grow(uint64_t n) {
    uint64_t answer;
    // Waits for what is made by what it waits for, too.
#pragma omp taskgroup
    link(n, 0, &answer);
    return answer;
}

template <class Tree>
uint64_t visit(const Tree& tree, const typename Tree::Node& node) {
    uint64_t n_children = tree.n_children(node);
    if (n_children == 0) return tree.value(node, 0);
    std::vector<uint64_t> values(n_children);
    uint64_t* at = values.data();
    const Tree* tree_at = &tree;
    const typename Tree::Node* node_at = &node;
    for (uint64_t i = 0; i + 1 < n_children; ++i) {
#pragma omp task firstprivate(at, tree_at, node_at, i)
        at[i] = visit(*tree_at, tree_at->child(*node_at, i));
    }
    at[n_children - 1] = visit(tree, tree.child(node, n_children - 1));
#pragma omp taskwait
    uint64_t sum = 0;
    for (uint64_t value : values) sum += value;
    return tree.value(node, sum);
}

template <class Dag>
uint64_t depend(const Dag& dag) {
    Results<Dag> all(dag);
    Results<Dag>* results = &all;
    [[maybe_unused]] uint64_t* at = all.of.data();
    for (size_t task = 0; task < dag.n_tasks(); ++task) {
        Few in = dag.inputs(task);
        [[maybe_unused]] size_t a = in.tasks[0], b = in.tasks[1], c = in.tasks[2];
        switch (in.n) {
            case 0:
#pragma omp task firstprivate(results, task) depend(out : at[task])
                results->compute(task);
                break;
            case 1:
#pragma omp task firstprivate(results, task) depend(in : at[a]) depend(out : at[task])
                results->compute(task);
                break;
            case 2:
#pragma omp task firstprivate(results, task) depend(in : at[a], at[b]) depend(out : at[task])
                results->compute(task);
                break;
            default:
#pragma omp task firstprivate(results, task) depend(in : at[a], at[b], at[c]) depend(out : at[task])
                results->compute(task);
        }
    }
#pragma omp taskwait
    return all.answer();
}

Run open(const Job& job) {
    if (job.way == "task depend") return run_of_dag(job, [](const auto& dag) { return depend(dag); });
    if (job.way == "parallel" && job.work == "start") return [](uint64_t) { return mix(0); };
    if (job.way != "task") return nullptr;
    if (job.work == "fib") return [=](uint64_t) { return fib(job.size.at(0)); };
    if (job.work == "fan") return [=](uint64_t) { return fan(job.size.at(0)); };
    if (job.work == "grow") return [=](uint64_t) { return grow(job.size.at(0)); };
    return run_of_tree(job, [](const auto& tree) { return visit(tree, tree.root()); });
}

}  // namespace

int main(int argc, char** argv) {
    return serve(argc, argv, [](const Job& job) -> Run {
        Run run = open(job);
        if (!run) return nullptr;
        omp_set_dynamic(0);
        omp_set_num_threads(static_cast<int>(job.workers));
        return [=](uint64_t length) {
            uint64_t answer = 0;
#pragma omp parallel
#pragma omp single
            answer = run(length);
            return answer;
        };
    });
}
