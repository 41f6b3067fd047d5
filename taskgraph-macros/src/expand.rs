//! From the model to the constructor. Cannot fail: `check` has reported whatever could be wrong.

mod body;
mod caret;
mod inputs;
mod named;
mod policy;
mod signature;
mod tries;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::token::Brace;

use crate::model::{Delayed, Shape, WrittenBody};
use crate::names::here;
use crate::parse::last_type;
use caret::start_of;

pub(crate) use inputs::taken;
pub(crate) use named::{Kept, named};
pub(crate) use signature::{braced, signature};

/// ```text
/// in:   #[delayed] fn area(w: u32, h: u32) -> u32 { w * h }
///
/// out:  #[track_caller]
///       fn area(w: impl IntoArg<u32>, h: impl IntoArg<u32>) -> DC<u32> {
///           enum __Task {}
///           impl Task for __Task {
///               const NAME: &'static str = "area";
///               const LABEL: Option<&'static str> = None;
///               const PLACE: Option<&'static Location<'static>> = Some(Location::caller());
///           }
///           call::<__Task, Value, u32, _, _, _>(
///               (owned::<u32, _>(w), owned::<u32, _>(h)),
///               move |(w, h,)| -> u32 { let w: u32 = w; let h: u32 = h; { w * h } },
///           )
///       }
/// ```
///
/// The body is a closure and not a function, so that `Self`, `self` and the generics of an `impl` around it, which an
/// attribute cannot see, mean in it what they mean to the user.
pub(crate) fn expand(delayed: &Delayed) -> TokenStream {
    let task = task(delayed);
    let WrittenBody::Block(brace, statements) = &delayed.function.body else {
        unreachable!("a function without a body is complained about")
    };
    let call = call(delayed, *brace, statements);
    let body = quote!(#task #call);
    if delayed.options.named.is_some() {
        return named(delayed, *brace, &delayed.inputs.iter().map(Kept::of).collect::<Vec<_>>(), &body);
    }
    let signature = signature(delayed, delayed.inputs.iter().map(inputs::parameter));
    let body = braced(*brace, body);
    // All it does is write a node.
    let inline = (!delayed.function.attrs.iter().any(|attr| attr.path().is_ident("inline")))
        .then(|| quote_spanned!(here()=> #[inline]));
    quote_spanned! {here()=>
        #[track_caller]
        #inline
        #signature #body
    }
}

/// ```text
/// in:   nothing said         timeout or priority          retries
/// out:  call::<..>(          governed::<..>(              retried::<..>(
///           (inputs,),           (inputs,), policy,           (inputs,), policy,
///           body,                body,                        what makes bodies,
///       )                    )                            )
/// ```
fn call(delayed: &Delayed, brace: Brace, statements: &TokenStream) -> TokenStream {
    let inputs = delayed.inputs.iter().map(inputs::input);
    let body = body::body(delayed, brace, statements);
    let caret = caret_of_call(delayed);
    let kind = Ident::new(kind(delayed), caret);
    let value = body::value(delayed);
    let captured = body::caret(delayed);
    let body_type = quote_spanned!(captured=> _);
    let policy = policy::policy(delayed).map(|policy| quote_spanned!(here()=> #policy,));
    let (call, more) = match (&policy, &delayed.options.retries) {
        (None, _) => ("call", None),
        (Some(_), None) => ("governed", None),
        // The type of what makes the bodies, and that of a body.
        (Some(_), Some(_)) => ("retried", Some(quote_spanned!(caret=> _, _,))),
    };
    let call = Ident::new(call, caret);
    let arguments = quote_spanned!(here()=> (#(#inputs,)*), #policy #body);
    quote_spanned! {caret=>
        ::taskgraph::__private::#call::<__Task, ::taskgraph::__private::#kind, #value, _, #body_type, #more _>(#arguments)
    }
}

/// Compiler errors about the call are mostly about one of its types, and are shown where the user wrote that type: `value`
/// or what the body captures cannot go to another thread, or the error of a `Result` is not an error type.
fn caret_of_call(delayed: &Delayed) -> Span {
    match &delayed.output.shape {
        Shape::Fallible(_) | Shape::FallibleGrowing(_) => start_of(&last_type(&delayed.output.written)),
        Shape::Value | Shape::Growing => start_of(&delayed.output.written),
    }
}

/// The names of the task, as a type: a node's table of functions is made from types alone.
fn task(delayed: &Delayed) -> TokenStream {
    let name = delayed.function.sig.ident.unraw().to_string();
    let label = match &delayed.options.name {
        Some(label) => quote_spanned!(here()=> ::core::option::Option::Some(#label)),
        None => quote_spanned!(here()=> ::core::option::Option::None),
    };
    let in_flight = delayed.options.in_flight.as_ref().map(|in_flight| {
        let count = in_flight.count;
        quote_spanned! {here()=>
            const IN_FLIGHT: ::core::option::Option<::core::primitive::u32> = ::core::option::Option::Some(#count);
        }
    });
    // Where the name of the function is.
    let place = quote_spanned!(delayed.function.sig.ident.span()=> ::core::panic::Location::caller());
    quote_spanned! {here()=>
        enum __Task {}
        impl ::taskgraph::__private::Task for __Task {
            const NAME: &'static ::core::primitive::str = #name;
            const LABEL: ::core::option::Option<&'static ::core::primitive::str> = #label;
            const PLACE: ::core::option::Option<&'static ::core::panic::Location<'static>> =
                ::core::option::Option::Some(#place);
            #in_flight
        }
    }
}

/// What the runtime does with the result of the closure.
fn kind(delayed: &Delayed) -> &'static str {
    if delayed.generator.is_some() || delayed.future().is_some() {
        "Generating"
    } else {
        signature::kind(&delayed.output.shape)
    }
}
