"""dask and joblib, on threads.

Called as `rivals.py MODULE WORK WAY WORKERS SIZE...`. Then each line "times length" on the standard input is answered
with "nanoseconds answers", as the programs in C++ do; see ../cpp/bench.hpp.
"""

import sys
import time

BITS = 2**64 - 1


def mix(x):
    return ((x ^ (x >> 29)) + 1) * 0x9E3779B97F4A7C15 & BITS


def total(values):
    return sum(values) & BITS


def cell(*inputs):
    return mix((sum(inputs) + 1) & BITS)


def dask_graph(work, n):
    """A delayed result of the whole work."""
    from dask import delayed

    task = delayed(cell, pure=False)
    if work == "fan":
        trivial = delayed(mix, pure=False)
        return delayed(total, pure=False)([trivial(i) for i in range(n)])
    if work == "chain":
        last = task(0)
        for _ in range(1, n):
            last = task(last)
        return last
    if work == "wave":
        above = [None] * n
        for _ in range(n):
            left = None
            for column in range(n):
                left = task(*(x for x in (above[column], left) if x is not None))
                above[column] = left
        return above[-1]
    sys.exit(f"dask does not do {work}")


def dask(work, workers, n):
    return lambda: dask_graph(work, n).compute(scheduler="threads", num_workers=workers)


def joblib(work, workers, n):
    from joblib import Parallel, delayed

    if work != "fan":
        sys.exit(f"joblib does not do {work}")
    return lambda: total(Parallel(n_jobs=workers, backend="threading")(delayed(mix)(i) for i in range(n)))


def main():
    module, work, _way, workers, size = sys.argv[1:]
    run = {"dask": dask, "joblib": joblib}[module](work, int(workers), int(size))
    for line in sys.stdin:
        times, _length = map(int, line.split())
        answers = 0
        started = time.perf_counter_ns()
        for _ in range(times):
            answers += run()
        elapsed = time.perf_counter_ns() - started
        print(elapsed, answers & BITS, flush=True)


main()
