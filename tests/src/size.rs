//! How much the long tests do: all in a release build, less in a debug build, least under a checker of memory or
//! threads, which makes everything some ten times slower.

/// Whether one of those checks this build: see `.ci/checked`.
pub const IS_CHECKED: bool = cfg!(taskgraph_system_alloc);

/// The first in a release build, the second in a debug build, the last under a checker.
pub const fn of(release: u64, debug: u64, checked: u64) -> u64 {
    if IS_CHECKED {
        checked
    } else if cfg!(debug_assertions) {
        debug
    } else {
        release
    }
}
