//! The parameters, on their way from the constructor to the body.
//!
//! ```text
//! written     x: T                       x: &T
//! parameter   x: impl IntoArg<T>         x: impl IntoRef<T>
//! input       owned::<T, _>(x)           borrowed::<T, _>(x)
//! variable    let x: T = x;              let x: &T = Held::<T>::get(&x);
//! ```

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Pat;

use super::caret::{end_of, start_of};
use crate::model::{Input, Passing};
use crate::names::here;

/// The parameter of the constructor. A caller's wrong argument is shown with the user's type.
pub(super) fn parameter(input: &Input) -> TokenStream {
    let Input { name, written, .. } = input;
    let (start, end) = (start_of(written), end_of(written));
    let (into, passed) = match &input.passing {
        Passing::Owned => (quote_spanned!(start=> ::taskgraph::IntoArg<), written),
        Passing::Borrowed(borrowed) => (quote_spanned!(start=> ::taskgraph::IntoRef<), &**borrowed),
    };
    let close = quote_spanned!(end=> >);
    quote_spanned!(here()=> #name: impl #into #passed #close)
}

/// The argument, as the call takes it. What cannot go to another thread is told here, at the user's type.
pub(super) fn input(input: &Input) -> TokenStream {
    let Input { name, written, .. } = input;
    let caret = start_of(written);
    match &input.passing {
        Passing::Owned => quote_spanned!(caret=> ::taskgraph::__private::owned::<#written, _>(#name)),
        Passing::Borrowed(borrowed) => {
            quote_spanned!(caret=> ::taskgraph::__private::borrowed::<#borrowed, _>(#name))
        }
    }
}

/// The variable the body sees: the user's pattern and type, so that warnings about them are the user's.
pub(super) fn variable(input: &Input) -> TokenStream {
    let Input { attrs, pattern, name, written, .. } = input;
    let value = match &input.passing {
        // A call, because clippy finds no use in `let _x = x;`.
        Passing::Owned if is_unused(pattern) => quote_spanned!(here()=> ::core::convert::identity(#name)),
        Passing::Owned => quote!(#name),
        Passing::Borrowed(borrowed) => {
            quote_spanned! {here()=> ::taskgraph::__private::Held::<#borrowed>::get(&#name) }
        }
    };
    quote_spanned!(here()=> #(#attrs)* let #pattern: #written = #value;)
}

/// `_x`
fn is_unused(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Ident(name) if name.ident.to_string().starts_with('_'))
}
