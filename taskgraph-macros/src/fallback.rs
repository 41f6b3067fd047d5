//! The output for a function with mistakes: the complaints, and a stub.
//!
//! The stub has the name and the shape that callers expect, so that they get no errors of their own and editors keep
//! working.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::token::Brace;
use syn::visit_mut::{self, VisitMut};
use syn::{Lifetime, Type, TypeReference, parse_quote};

use crate::check::{can_be_passed, is_method};
use crate::complaints::Complaints;
use crate::expand::{self, Kept, braced, named, signature};
use crate::model::{Delayed, Giving, Input, WrittenBody};
use crate::names::{FINISH, here};
use crate::parse;

/// For what is not a function: the item as it was.
pub(crate) fn unreadable(item: TokenStream, complaints: Complaints) -> TokenStream {
    let complaints = complaints.into_tokens();
    quote!(#complaints #item)
}

/// ```text
/// in:   #[delayed] fn area(w: u32, h: &mut u32) -> u32 { w * h }
///
/// out:  compile_error! { ".." }
///       fn area(_: impl IntoArg<u32>, _: impl Sized) -> DC<u32> { unreachable!() }
/// ```
pub(crate) fn stub(mut delayed: Delayed, complaints: Complaints) -> TokenStream {
    Harmless.visit_return_type_mut(&mut delayed.function.sig.output);
    delayed.output = parse::output(&delayed.function.sig.output);
    // What a lint is expected to find is in the body, which the stub does not have.
    delayed.function.attrs.retain(|attr| !attr.path().is_ident("expect"));

    let complaints = complaints.into_tokens();
    if let (Some(_), WrittenBody::Block(brace, _)) = (&delayed.options.named, &delayed.function.body)
        && !is_method(&delayed)
    {
        let named = named_stub(&delayed, *brace);
        return quote!(#complaints #named);
    }
    let signature = signature(&delayed, delayed.inputs.iter().map(parameter));
    let body = match &delayed.function.body {
        WrittenBody::Block(brace, _) => braced(*brace, quote_spanned!(here()=> ::core::unreachable!())),
        WrittenBody::Missing(semicolon) => quote!(#semicolon),
    };
    quote!(#complaints #signature #body)
}

/// A builder with the setters that callers expect; it drops what it is given.
fn named_stub(delayed: &Delayed, brace: Brace) -> TokenStream {
    let mut setters = HashSet::new();
    let mut inputs: Vec<_> = delayed.inputs.iter().collect();
    inputs.retain(|input| {
        let setter = input.setter().filter(|setter| setter != FINISH);
        input.is_positional() || setter.is_some_and(|setter| setters.insert(setter.to_string()))
    });
    inputs.sort_by_key(|input| !input.is_positional());
    let arguments: Vec<_> = inputs.into_iter().map(forgotten).collect();
    let names = arguments.iter().map(|argument| &argument.input.name);
    let body = quote_spanned! {here()=>
        let _ = (#(#names,)*);
        ::core::unreachable!()
    };
    named(delayed, brace, &arguments, &body)
}

fn forgotten(input: &Input) -> Kept<'_> {
    let name = &input.name;
    let kept = match input.giving() {
        Giving::Always => quote!(()),
        Giving::Optional(_) | Giving::Default(_) => quote_spanned!(here()=> ::core::option::Option<()>),
    };
    Kept { input, taken: taken(input), kept, keep: quote_spanned!(here()=> ::core::mem::drop(#name)) }
}

fn parameter(input: &Input) -> TokenStream {
    let taken = taken(input);
    quote_spanned!(here()=> _: #taken)
}

/// What a caller may pass: anything, if the type is a mistake.
fn taken(input: &Input) -> TokenStream {
    if can_be_passed(input) { expand::taken(input) } else { quote_spanned!(here()=> impl ::core::marker::Sized) }
}

/// Turns a return type into one that compiles without the body.
struct Harmless;

impl VisitMut for Harmless {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::Never(_) | Type::ImplTrait(_) => *ty = parse_quote!(()),
            _ => visit_mut::visit_type_mut(self, ty),
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        let elided = || Lifetime::new("'_", Span::call_site());
        reference.lifetime.get_or_insert_with(elided);
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'static", lifetime.span());
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}

    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut syn::ParenthesizedGenericArguments) {}
}
