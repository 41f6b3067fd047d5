//! Options that need each other, or do not go with the function.

use crate::complaints::Complaints;
use crate::model::Delayed;

pub(super) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    let options = &delayed.options;
    if let Some(in_flight) = &options.in_flight
        && delayed.generator.is_none()
    {
        let what =
            "`in_flight` says how much of what a generator yields is in flight, and this function yields nothing";
        complaints.about(
            &in_flight.key,
            what,
            "write `limit = 4` for how many of its bodies run at once, or remove this",
        );
    }
    let Some(retries) = &options.retries else {
        const HELP: &str = "add `retries = 3`, or remove this";
        if let Some(backoff) = &options.backoff {
            let what = "`backoff` has no effect without `retries`";
            complaints.about(&backoff.key, what, HELP);
        }
        if let Some(retry_if) = &options.retry_if {
            let what = "`retry_if` has no effect without `retries`";
            complaints.about(&retry_if.key, what, HELP);
        }
        return;
    };
    if delayed.receiver.is_some() {
        complaints.about(
            &retries.key,
            "a method cannot be tried again: its receiver is used up",
            "make it a function that takes the value as an argument",
        );
    }
}
