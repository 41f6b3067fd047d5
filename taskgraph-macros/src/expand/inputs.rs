//! The parameters, on their way from the constructor to the body.
//!
//! ```text
//! written     x: T                       x: &T
//! parameter   x: impl IntoArg<T>         x: impl IntoRef<T>
//! input       owned::<T, _>(x)           borrowed::<T, _>(x)
//! variable    let x: T = x;              let x: &T = Held::<T>::get(&x);
//! ```
//!
//! With `named`, each argument waits in the builder for the call:
//!
//! ```text
//! written     x: T                 x: &T                x: Option<T>            #[builder(default = y)] x: T
//! kept        given::<T, _>(x)     lent::<T, _>(x)      given::<T, _>(x)        given::<T, _>(x)
//! as          Given<T>             Lent<T>              Option<Given<T>>        Option<Given<T>>
//! input       called(x)            called(x)            called_optional(x)      called_optional(x)
//! variable    as above             as above             let x: Option<T> = x;   let x: T = x, or else y;
//! ```
//!
//! With `retries`, the tries of a call [share](super::tries) a `&T`: `&*x` takes the place of `&x`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Pat, Type};

use super::caret::{end_of, start_of};
use crate::model::{Giving, Input, Passing};
use crate::names::here;

/// The parameter of the constructor.
pub(super) fn parameter(input: &Input) -> TokenStream {
    let (name, taken) = (&input.name, taken(input));
    quote_spanned!(here()=> #name: #taken)
}

/// What a caller may give. An error about a wrong argument shows the user's type.
pub(crate) fn taken(input: &Input) -> TokenStream {
    let (start, end) = (start_of(&input.written), end_of(&input.written));
    let into = match &input.passing {
        Passing::Owned => quote_spanned!(start=> ::taskgraph::IntoArg<),
        Passing::Borrowed(_) => quote_spanned!(start=> ::taskgraph::IntoRef<),
    };
    let passed = passed(input);
    let close = quote_spanned!(end=> >);
    quote_spanned!(here()=> impl #into #passed #close)
}

/// The type that a caller gives: the `T` of `&T` or of an optional `Option<T>`.
fn passed(input: &Input) -> &Type {
    match (&input.passing, input.giving()) {
        (_, Giving::Optional(inside)) => inside,
        (Passing::Borrowed(borrowed), _) => borrowed,
        (Passing::Owned, _) => &input.written,
    }
}

/// The argument, as it is kept for a call. The error that it cannot go to another thread is here, at the user's type.
pub(super) fn keep(input: &Input) -> TokenStream {
    let (name, passed) = (&input.name, passed(input));
    let caret = start_of(&input.written);
    match &input.passing {
        Passing::Owned => quote_spanned!(caret=> ::taskgraph::__private::given::<#passed, _>(#name)),
        Passing::Borrowed(_) => quote_spanned!(caret=> ::taskgraph::__private::lent::<#passed, _>(#name)),
    }
}

/// The type that it is kept as.
pub(super) fn kept(input: &Input) -> TokenStream {
    let passed = passed(input);
    let given = match &input.passing {
        Passing::Owned => quote_spanned!(here()=> ::taskgraph::__private::Given<#passed>),
        Passing::Borrowed(_) => quote_spanned!(here()=> ::taskgraph::__private::Lent<#passed>),
    };
    match input.giving() {
        Giving::Always => given,
        Giving::Optional(_) | Giving::Default(_) => quote_spanned!(here()=> ::core::option::Option<#given>),
    }
}

/// The argument, as the call takes it. The error that it cannot go to another thread is here, at the user's type.
pub(super) fn input(input: &Input) -> TokenStream {
    let Input { name, written, .. } = input;
    let caret = start_of(written);
    if input.words.is_some() {
        return match input.giving() {
            Giving::Always => quote_spanned!(caret=> ::taskgraph::__private::called(#name)),
            Giving::Optional(_) | Giving::Default(_) => {
                quote_spanned!(caret=> ::taskgraph::__private::called_optional(#name))
            }
        };
    }
    match &input.passing {
        Passing::Owned => quote_spanned!(caret=> ::taskgraph::__private::owned::<#written, _>(#name)),
        Passing::Borrowed(borrowed) => {
            quote_spanned!(caret=> ::taskgraph::__private::borrowed::<#borrowed, _>(#name))
        }
    }
}

/// The variable the body sees: the user's pattern and type, so that warnings about them are the user's.
pub(super) fn variable(input: &Input, is_tried_again: bool) -> TokenStream {
    let Input { attrs, pattern, name, written, .. } = input;
    // If a body gives away what it only borrows, the error is shown at the parameter.
    let borrow = name.span();
    let lent = if is_tried_again { quote_spanned!(borrow=> &*#name) } else { quote_spanned!(borrow=> &#name) };
    let value = match (&input.passing, input.giving()) {
        (_, Giving::Default(default)) => or_default(input, default, &lent),
        // A call, because clippy finds no use in `let _x = x;`.
        (Passing::Owned, _) if is_unused(pattern) => quote_spanned!(here()=> ::core::convert::identity(#name)),
        (Passing::Owned, _) => quote!(#name),
        (Passing::Borrowed(borrowed), _) => {
            quote_spanned! {here()=> ::taskgraph::__private::Held::<#borrowed>::get(#lent) }
        }
    };
    quote_spanned!(here()=> #(#attrs)* let #pattern: #written = #value;)
}

/// What was given, or the default. The default is in a closure, so that a `return` in it does not leave the body.
fn or_default(input: &Input, default: Option<&syn::Expr>, lent: &TokenStream) -> TokenStream {
    let Input { name, written, .. } = input;
    let start = start_of(written);
    let default = default.map_or_else(
        || quote_spanned!(start=> <#written as ::core::default::Default>::default()),
        ToTokens::to_token_stream,
    );
    let (place, given) = match &input.passing {
        Passing::Owned => (quote!(#name), quote!(#name)),
        Passing::Borrowed(borrowed) => {
            (lent.clone(), quote_spanned!(here()=> ::taskgraph::__private::Held::<#borrowed>::get(#name)))
        }
    };
    quote_spanned! {here()=>
        match #place {
            ::core::option::Option::Some(#name) => #given,
            ::core::option::Option::None => (|| -> #written { #default })(),
        }
    }
}

/// `_x`
fn is_unused(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Ident(name) if name.ident.to_string().starts_with('_'))
}
