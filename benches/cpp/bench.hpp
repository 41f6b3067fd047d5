// What the programs share: what they are told and what they reply, and the works.
//
// A program is called with WORK WAY WORKERS SIZE... and starts its threads. Then it reads lines "times length", does
// the work so many times, and replies "nanoseconds answers": how long they took, and the sum of their answers. The
// works are those of ../src/works, number by number, so that the answers can be compared.
#pragma once

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "sha1.hpp"

// Does a work once, with tasks of a length, and gives the answer.
using Run = std::function<uint64_t(uint64_t length)>;

struct Job {
    std::string work;
    std::string way;
    unsigned workers;
    std::vector<uint64_t> size;

    bool is(const char* other_work, const char* other_way) const { return work == other_work && way == other_way; }
};

// The whole program. `open` starts the threads of a job; what it gives holds them.
inline int serve(int argc, char** argv, const std::function<Run(const Job&)>& open) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: %s WORK WAY WORKERS SIZE...\n", argv[0]);
        return 2;
    }
    Job job{argv[1], argv[2], static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)), {}};
    for (int i = 4; i < argc; ++i) job.size.push_back(std::strtoull(argv[i], nullptr, 10));
    Run run = open(job);
    if (!run) {
        std::fprintf(stderr, "%s does not do %s as %s\n", argv[0], argv[1], argv[2]);
        return 2;
    }
    uint64_t times, length;
    while (std::scanf("%" SCNu64 " %" SCNu64, &times, &length) == 2) {
        uint64_t answers = 0;
        auto started = std::chrono::steady_clock::now();
        for (uint64_t i = 0; i < times; ++i) answers += run(length);
        auto elapsed = std::chrono::steady_clock::now() - started;
        auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count();
        std::printf("%lld %" PRIu64 "\n", static_cast<long long>(nanoseconds), answers);
        std::fflush(stdout);
    }
    return 0;
}

inline uint64_t mix(uint64_t x) { return ((x ^ (x >> 29)) + 1) * 0x9e3779b97f4a7c15; }

inline uint64_t kernel(uint64_t seed, uint64_t length) {
    uint64_t x = seed | 1;
    for (uint64_t i = 0; i < length; ++i) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

// Some tasks: at most three.
struct Few {
    size_t tasks[3];
    unsigned n = 0;

    void add(size_t task) { tasks[n++] = task; }
    const size_t* begin() const { return tasks; }
    const size_t* end() const { return tasks + n; }
};

// Graphs that are known before they run. Each is numbered so that a task comes after those it needs.

struct Fan {
    size_t n;

    size_t n_tasks() const { return n; }
    size_t first_answering() const { return 0; }
    Few inputs(size_t) const { return {}; }
    Few outputs(size_t) const { return {}; }
    uint64_t compute(size_t task, uint64_t) const { return mix(task); }
};

struct Chain {
    size_t n;

    size_t n_tasks() const { return n; }
    size_t first_answering() const { return n - 1; }
    Few inputs(size_t task) const {
        Few few;
        if (task != 0) few.add(task - 1);
        return few;
    }
    Few outputs(size_t task) const {
        Few few;
        if (task + 1 < n) few.add(task + 1);
        return few;
    }
    uint64_t compute(size_t, uint64_t before) const { return mix(before + 1); }
};

struct Wave {
    size_t side;

    size_t n_tasks() const { return side * side; }
    size_t first_answering() const { return side * side - 1; }
    Few inputs(size_t task) const {
        Few few;
        if (task >= side) few.add(task - side);
        if (task % side != 0) few.add(task - 1);
        return few;
    }
    Few outputs(size_t task) const {
        Few few;
        if (task + side < side * side) few.add(task + side);
        if ((task + 1) % side != 0) few.add(task + 1);
        return few;
    }
    uint64_t compute(size_t, uint64_t neighbours) const { return mix(neighbours + 1); }
};

struct Stencil {
    size_t width, n_steps;
    uint64_t length;

    size_t n_tasks() const { return width * n_steps; }
    size_t first_answering() const { return width * (n_steps - 1); }
    Few around(size_t step, size_t i) const {
        Few few;
        if (i != 0) few.add(step * width + i - 1);
        few.add(step * width + i);
        if (i + 1 != width) few.add(step * width + i + 1);
        return few;
    }
    Few inputs(size_t task) const { return task < width ? Few{} : around(task / width - 1, task % width); }
    Few outputs(size_t task) const {
        return task >= width * (n_steps - 1) ? Few{} : around(task / width + 1, task % width);
    }
    uint64_t compute(size_t task, uint64_t inputs) const { return kernel(task < width ? task : inputs, length); }
};

// Room for the results of a graph, each written once and then read.
template <class Dag>
struct Results {
    const Dag& dag;
    std::vector<uint64_t> of;

    explicit Results(const Dag& dag) : dag(dag), of(dag.n_tasks()) {}

    void compute(size_t task) {
        uint64_t inputs = 0;
        for (size_t input : dag.inputs(task)) inputs += of[input];
        of[task] = dag.compute(task, inputs);
    }

    uint64_t answer() const {
        uint64_t sum = 0;
        for (size_t task = dag.first_answering(); task < of.size(); ++task) sum += of[task];
        return sum;
    }
};

// Calls `run_dag(dag)` with the graph that a job is about; gives nothing if that is not a graph.
template <class RunDag>
Run run_of_dag(const Job& job, RunDag run_dag) {
    const auto& size = job.size;
    if (job.work == "fan") return [=](uint64_t) { return run_dag(Fan{size.at(0)}); };
    if (job.work == "chain") return [=](uint64_t) { return run_dag(Chain{size.at(0)}); };
    if (job.work == "wave") return [=](uint64_t) { return run_dag(Wave{size.at(0)}); };
    if (job.work == "metg") return [=](uint64_t length) { return run_dag(Stencil{size.at(0), size.at(1), length}); };
    // One task without an edge has the same answer as `start` asks for.
    if (job.work == "start") return [=](uint64_t) { return run_dag(Fan{1}); };
    return nullptr;
}

// Trees that are made while they are visited.

struct Skynet {
    struct Node {
        uint64_t first, n_leaves;
    };

    uint64_t n_leaves;

    Node root() const { return {0, n_leaves}; }
    uint64_t n_children(const Node& node) const { return node.n_leaves == 1 ? 0 : 10; }
    Node child(const Node& node, uint64_t i) const {
        uint64_t n = node.n_leaves / 10;
        return {node.first + i * n, n};
    }
    uint64_t value(const Node& node, uint64_t children) const { return node.n_leaves == 1 ? node.first : children; }
};

struct Uts {
    struct Node {
        Hash hash;
        uint32_t depth;
    };

    uint32_t seed, depth_max;
    double branching;

    Node root() const {
        uint8_t bytes[20] = {};
        store_big_endian(bytes + 16, seed);
        return {sha1(bytes, 20), 0};
    }
    uint64_t n_children(const Node& node) const {
        if (node.depth >= depth_max) return 0;
        double p = 1.0 / (1.0 + branching);
        double uniform = (node.hash.words[4] & 0x7fffffff) / static_cast<double>(1u << 31);
        auto drawn = static_cast<uint64_t>(std::log(1.0 - uniform) / std::log(1.0 - p));
        return drawn < 100 ? drawn : 100;
    }
    Node child(const Node& node, uint64_t i) const {
        uint8_t bytes[24];
        for (int word = 0; word < 5; ++word) store_big_endian(bytes + 4 * word, node.hash.words[word]);
        store_big_endian(bytes + 20, static_cast<uint32_t>(i));
        return {sha1(bytes, 24), node.depth + 1};
    }
    uint64_t value(const Node&, uint64_t below) const { return below + 1; }
};

// As `run_of_dag`.
template <class RunTree>
Run run_of_tree(const Job& job, RunTree run_tree) {
    const auto& size = job.size;
    if (job.work == "skynet") return [=](uint64_t) { return run_tree(Skynet{size.at(0)}); };
    if (job.work == "uts") {
        Uts tree{static_cast<uint32_t>(size.at(0)), static_cast<uint32_t>(size.at(1)),
                 static_cast<double>(size.at(2))};
        return [=](uint64_t) { return run_tree(tree); };
    }
    return nullptr;
}
