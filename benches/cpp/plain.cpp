// No tasks: what the same work takes in this language.

#include "bench.hpp"

namespace {

uint64_t fib(uint64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

uint64_t grow(uint64_t n) {
    uint64_t before = 0;
    for (uint64_t i = 0; i < n; ++i) before = mix(before + 1);
    return before;
}

template <class Tree>
uint64_t visit(const Tree& tree, const typename Tree::Node& node) {
    uint64_t sum = 0;
    uint64_t n_children = tree.n_children(node);
    for (uint64_t i = 0; i < n_children; ++i) sum += visit(tree, tree.child(node, i));
    return tree.value(node, sum);
}

template <class Dag>
uint64_t loop(const Dag& dag) {
    Results<Dag> results(dag);
    for (size_t task = 0; task < dag.n_tasks(); ++task) results.compute(task);
    return results.answer();
}

Run open(const Job& job) {
    if (job.way != "plain calls") return nullptr;
    if (job.work == "fib") return [=](uint64_t) { return fib(job.size.at(0)); };
    if (job.work == "grow") return [=](uint64_t) { return grow(job.size.at(0)); };
    if (Run run = run_of_tree(job, [](const auto& tree) { return visit(tree, tree.root()); })) return run;
    return run_of_dag(job, [](const auto& dag) { return loop(dag); });
}

}  // namespace

int main(int argc, char** argv) { return serve(argc, argv, open); }
