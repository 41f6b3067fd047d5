//! The constructor's first line, which the stub of a function with mistakes shares.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::token::Brace;
use syn::{ReturnType, Signature, Type};

use super::caret::end_of;
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

/// The body of the constructor, or of its stub, in the user's braces.
///
/// With them and the `fn`, the function begins and ends like the user's own: otherwise the compiler would take it for
/// the macro's, and not warn if it is unused.
pub(crate) fn braced(brace: Brace, inside: TokenStream) -> TokenStream {
    let mut braced = TokenStream::new();
    brace.surround(&mut braced, |tokens| tokens.extend(inside));
    braced
}

/// Where the signature ends.
fn end(sig: &Signature) -> Span {
    match &sig.output {
        ReturnType::Type(_, ty) => end_of(ty),
        ReturnType::Default => sig.paren_token.span.close(),
    }
}

/// The type of the delayed computation, `DC<T>`: the user's own tokens where it is written out.
pub(super) fn computed(delayed: &Delayed) -> TokenStream {
    let output = &delayed.output;
    match &output.shape {
        Shape::Growing => output.written.to_token_stream(),
        Shape::FallibleGrowing(computed) => computed.to_token_stream(),
        Shape::Value | Shape::Fallible(_) => {
            let value = value(delayed);
            let close = quote_spanned!(end(&delayed.function.sig)=> >);
            quote_spanned!(here()=> ::taskgraph::DC<#value #close)
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

/// What the runtime does with a result of this shape.
pub(super) fn kind(shape: &Shape) -> &'static str {
    match shape {
        Shape::Value => "Value",
        Shape::Fallible(_) => "Fallible",
        Shape::Growing => "Growing",
        Shape::FallibleGrowing(_) => "FallibleGrowing",
    }
}
