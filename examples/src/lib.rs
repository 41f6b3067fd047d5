//! Programs that show taskgraph on real input: see the `examples` folder beside this file.
