//! Options that need each other, or do not go with the function.

use crate::complaints::Complaints;
use crate::model::Delayed;

pub(super) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    let options = &delayed.options;
    let Some(retries) = &options.retries else {
        const HELP: &str = "add `retries = 3`, or remove this";
        if let Some(backoff) = &options.backoff {
            let what = "`backoff` says how long to wait before a further try, and there is none";
            complaints.about(&backoff.key, what, HELP);
        }
        if let Some(retry_if) = &options.retry_if {
            let what = "`retry_if` says which failures are worth a further try, and there is none";
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
