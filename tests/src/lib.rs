//! Tests of taskgraph through its public surface: see the `tests` folder beside this file.
