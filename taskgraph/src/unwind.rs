//! The one place where a panic of user code is caught, and turned into a message.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// Runs user code; a panic comes back as its message.
///
/// `AssertUnwindSafe` holds because what the code touched is dropped with it: a task owns its arguments.
#[inline(always)]
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    panic::catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

/// Drops user values; a panic in that is logged, since there is nothing left that it could fail.
pub(crate) fn drop_values(drop: impl FnOnce()) {
    if let Err(message) = catch(drop) {
        // What listens to the log is user code, too.
        let _ = catch(|| tracing::error!("dropping an unneeded value panicked: {message}"));
    }
}

#[cold]
fn message(payload: Box<dyn Any + Send>) -> String {
    let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a payload that is not a string".to_owned()
    };
    drop_payload(payload);
    message
}

/// Dropping a payload may panic in turn, with another one. One that does so again and again is forgotten.
fn drop_payload(mut payload: Box<dyn Any + Send>) {
    const DROPS_MAX: usize = 8;
    for _ in 0..DROPS_MAX {
        match panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(again) => payload = again,
        }
    }
    std::mem::forget(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_as_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        assert_eq!(catch(|| panic!("number {}", 3)), Err::<(), _>("number 3".to_owned()));
        assert_eq!(catch(|| panic::panic_any(3)), Err::<(), _>("a payload that is not a string".to_owned()));
    }
}
