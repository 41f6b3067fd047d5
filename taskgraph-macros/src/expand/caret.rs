//! Where the compiler shows an error about generated code.
//!
//! It takes the span of an expression or of a path from the first token to the last, so our tokens get the spans of
//! the user's type that they stand for. With them they get its hygiene, too: otherwise the error would be one of the
//! macro's, and `#[delayed]` be underlined with it.

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
