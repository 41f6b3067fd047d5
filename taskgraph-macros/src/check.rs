//! From the model to everything that is wrong with it.

mod borrows;
mod generator;
mod parameters;
mod qualifiers;
mod result;

pub(crate) use parameters::is_sound;

use crate::complaints::Complaints;
use crate::model::Delayed;

/// Complains about all that a delayed function cannot be, in the order it is written.
pub(crate) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    qualifiers::check(delayed, complaints);
    parameters::check(delayed, complaints);
    result::check(delayed, complaints);
    generator::check(delayed, complaints);
}
