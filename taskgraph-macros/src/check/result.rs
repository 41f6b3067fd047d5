//! The return type.

use syn::Type;

use super::borrows;
use crate::complaints::Complaints;
use crate::model::Delayed;
use crate::parse::peel;

pub(super) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    let written = &delayed.output.written;
    if let Type::Never(never) = peel(written) {
        complaints.about(
            never,
            "a `#[delayed]` function must return: its callers wait for the result",
            "return `()`, or `std::convert::Infallible` if it can only panic",
        );
    }
    let borrows = borrows::of(written);
    let what = "a `#[delayed]` function cannot return a borrow: its result outlives the call";
    for reference in borrows.elided {
        complaints.about(
            reference,
            what,
            "return an owned value (`String` for `&str`, `Vec<T>` for `&[T]`), or a `&'static` one",
        );
    }
    for lifetime in borrows.lifetimes {
        complaints.about(lifetime, what, "return an owned value, or a `'static` one");
    }
}
