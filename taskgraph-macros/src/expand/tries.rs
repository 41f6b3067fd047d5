//! The body of a function with `retries`: one that can be made again, with the same arguments.
//!
//! ```text
//! in:   (w: T, name: &str) -> R { BODY }
//!
//! out:  move |(w, name,)| {
//!           let name = Arc::new(name);
//!           move || {
//!               let w = again::<T>(&w);
//!               let name = Arc::clone(&name);
//!               move || -> R { let w: T = w; let name: &str = Held::<str>::get(&*name); { BODY } }
//!           }
//!       }
//! ```
//!
//! An argument that the body owns is cloned for each try. One that it borrows stays where it is, and all tries share it:
//! a try that was given up may not have ended yet.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::caret::start_of;
use crate::model::{Giving, Input, Passing};
use crate::names::here;

/// What makes the closure `once` for each try.
pub(super) fn tries(inputs: &[Input], parameters: &TokenStream, once: &TokenStream) -> TokenStream {
    let kept = inputs.iter().map(keep);
    let again = inputs.iter().map(again);
    quote_spanned!(here()=> move |#parameters| { #(#kept)* move || { #(#again)* #once } })
}

/// Makes a borrowed argument stay.
fn keep(input: &Input) -> Option<TokenStream> {
    let name = &input.name;
    match &input.passing {
        Passing::Owned => None,
        Passing::Borrowed(_) => Some(quote_spanned!(here()=> let #name = ::std::sync::Arc::new(#name);)),
    }
}

/// The argument for one try. The error that it cannot be cloned is here, at the user's type.
fn again(input: &Input) -> TokenStream {
    let Input { name, written, .. } = input;
    let caret = start_of(written);
    let argument = match (&input.passing, input.giving()) {
        (Passing::Borrowed(_), _) => quote_spanned!(here()=> ::std::sync::Arc::clone(&#name)),
        (Passing::Owned, Giving::Always | Giving::Optional(_)) => {
            quote_spanned!(caret=> ::taskgraph::__private::again::<#written>(&#name))
        }
        (Passing::Owned, Giving::Default(_)) => {
            let written = quote_spanned!(caret=> ::core::option::Option<#written>);
            quote_spanned!(caret=> ::taskgraph::__private::again::<#written>(&#name))
        }
    };
    quote_spanned!(here()=> let #name = #argument;)
}
