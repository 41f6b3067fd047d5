#!/bin/sh
# Builds the rivals in C++ into a directory: `build.sh OUT`. Says which are left out, and why; fails if one that has
# what it needs does not compile. Headers in unusual places are found through CPATH and LIBRARY_PATH, or CXXFLAGS and
# LDFLAGS.
set -eu

cpp=$(cd "$(dirname "$0")" && pwd)
out=$1
cxx=${CXX:-c++}
mkdir -p "$out"

# NAME HEADER OPTION...
build() {
    name=$1
    header=$2
    shift 2
    if echo "#include <$header>" | $cxx -std=c++20 ${CXXFLAGS:-} "$@" -E -x c++ - >/dev/null 2>&1; then
        $cxx -std=c++20 -O3 -Wall -Wextra ${CXXFLAGS:-} -o "$out/$name.new" "$cpp/$name.cpp" ${LDFLAGS:-} "$@"
        # At once, because somebody may be measuring.
        mv "$out/$name.new" "$out/$name"
    else
        rm -f "$out/$name"
        echo "without $name: there is no <$header> (or no C++20 compiler)"
    fi
}

build plain vector
build tbb oneapi/tbb/task_group.h -ltbb -pthread
build openmp omp.h -fopenmp
build taskflow taskflow/taskflow.hpp -pthread
