//! A subscriber of the log may panic; that loses a line, and nothing else.

use std::panic;

use taskgraph::DC;
use taskgraph_tests::census::Census;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

struct Panicking;

impl Subscriber for Panicking {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        panic!("the log is closed");
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn what_is_dropped_unrun_goes_although_the_log_panics() {
    tracing::subscriber::set_global_default(Panicking).unwrap();
    let census = Census::new();
    for _ in 0..3 {
        let value = census.counted();
        let dropped = panic::catch_unwind(panic::AssertUnwindSafe(|| drop(DC::value(value))));
        assert!(dropped.is_ok(), "dropping does not panic");
    }
    census.assert_balanced(3);
}
