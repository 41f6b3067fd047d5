//! What a task fails with, as users give it, and the causes behind that.

use std::any::Any;
use std::error::Error as StdError;
use std::iter;

/// A cause as users give it: anything that `?` makes of an error or of a string.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// What a task can fail with: any error, or a string.
#[diagnostic::on_unimplemented(
    message = "a task cannot fail with `{Self}`",
    label = "not an error type that is `Send`, `Sync` and `'static`",
    note = "use a type that implements `std::error::Error` and is `Send`, `Sync` and `'static`; or a `String`, a `&str`, or a \
            `Box<dyn Error + Send + Sync>`"
)]
pub trait IntoCause {
    #[doc(hidden)]
    fn into_cause(self) -> Box<dyn StdError + Send + Sync>;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Cause> + 'static> IntoCause for E {
    fn into_cause(self) -> Cause {
        let mut error = Some(self);
        // Treated like any other error, it would hide what it was made of.
        let anyhow = (&mut error as &mut dyn Any).downcast_mut::<Option<anyhow::Error>>().and_then(Option::take);
        match (anyhow, error) {
            (Some(anyhow), _) => anyhow.reallocate_into_boxed_dyn_error_without_backtrace(),
            (None, error) => error.expect("nobody has taken it").into(),
        }
    }
}

/// How much of a chain of causes is shown, and searched.
const CAUSES_MAX: usize = 16;

/// The cause of an error, the cause of that, and so on.
pub(super) fn causes_of<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    iter::successors(error.source(), |&cause| cause.source()).take(CAUSES_MAX)
}
