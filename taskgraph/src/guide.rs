//! The guide in `docs/`: every block of code in its chapters is compiled and run, like the examples of this crate.

#[doc = include_str!("../../docs/src/introduction.md")]
struct Introduction;
#[doc = include_str!("../../docs/src/first-steps.md")]
struct FirstSteps;
#[doc = include_str!("../../docs/src/growing.md")]
struct Growing;
#[doc = include_str!("../../docs/src/generators.md")]
struct Generators;
#[doc = include_str!("../../docs/src/sharing.md")]
struct Sharing;
#[doc = include_str!("../../docs/src/errors.md")]
struct Errors;
#[doc = include_str!("../../docs/src/async.md")]
struct Async;
#[doc = include_str!("../../docs/src/streams.md")]
struct Streams;
#[doc = include_str!("../../docs/src/scaling.md")]
struct Scaling;
#[doc = include_str!("../../docs/src/trust.md")]
struct Trust;
#[doc = include_str!("../../docs/src/testing.md")]
struct Testing;
#[doc = include_str!("../../docs/src/pitfalls.md")]
struct Pitfalls;
#[doc = include_str!("../../docs/src/coming-from.md")]
struct ComingFrom;
#[doc = include_str!("../../docs/src/inside.md")]
struct Inside;
