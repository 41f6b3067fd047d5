//! Where the compiler shows an error about generated code.
//!
//! The compiler takes the span of an expression or a path from its first token to its last, so our tokens get the spans
//! of the user's type that they stand for. They get its hygiene, too: otherwise the error would be the macro's, and
//! `#[delayed]` would be underlined as well.

use proc_macro2::Span;
use quote::ToTokens;

use crate::names::here;

/// The first token of `place`.
pub(super) fn start_of(place: &impl ToTokens) -> Span {
    place.to_token_stream().into_iter().next().map_or_else(here, |token| token.span())
}

/// The last token of `place`.
pub(super) fn end_of(place: &impl ToTokens) -> Span {
    place.to_token_stream().into_iter().last().map_or_else(here, |token| token.span())
}
