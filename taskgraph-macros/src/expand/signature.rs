//! The constructor's first line, which the stub of a function with mistakes shares.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::Type;

use crate::model::{Delayed, Function, Shape};
use crate::names::here;

/// ```text
/// in:   /// docs
///       pub fn area<T: Num>(w: T) -> Result<T, E> where T: Copy { .. }
///
/// out:  /// docs
///       pub fn area<T: Num>(#parameters) -> DC<T> where T: Copy
/// ```
pub(crate) fn signature(delayed: &Delayed, parameters: impl Iterator<Item = TokenStream>) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &delayed.function;
    let attrs = attrs.iter().filter(|attr| !attr.path().is_ident("track_caller"));
    let safety = &sig.safety;
    let fn_token = &sig.fn_token;
    let ident = &sig.ident;
    let generics = &sig.generics;
    let where_clause = &sig.generics.where_clause;
    let receiver = delayed.receiver.iter();
    let computed = computed(delayed);
    quote! {
        #(#attrs)*
        #vis #safety #fn_token #ident #generics(#(#receiver,)* #(#parameters,)*) -> #computed #where_clause
    }
}

/// The type of the delayed computation, `DC<T>`: the user's own tokens where it is written out.
fn computed(delayed: &Delayed) -> TokenStream {
    let output = &delayed.output;
    match &output.shape {
        Shape::Growing => output.written.to_token_stream(),
        Shape::FallibleGrowing(computed) => computed.to_token_stream(),
        Shape::Value | Shape::Fallible(_) => {
            let value = value(delayed);
            quote_spanned!(here()=> ::taskgraph::DC<#value>)
        }
    }
}

/// The `T` of `DC<T>`, for a function that writes no `DC`.
pub(super) fn value(delayed: &Delayed) -> TokenStream {
    let output = &delayed.output;
    match &output.shape {
        Shape::Fallible(Some(value)) => value.to_token_stream(),
        Shape::Fallible(None) => hidden_value(&output.written),
        Shape::Value | Shape::Growing | Shape::FallibleGrowing(_) => output.written.to_token_stream(),
    }
}

/// An alias such as `fmt::Result` hides its value from us, but not from the compiler.
fn hidden_value(alias: &Type) -> TokenStream {
    quote_spanned!(here()=> <#alias as ::taskgraph::__private::ResultType>::Value)
}
