//! The closure that runs when the arguments are there.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::token::Brace;
use syn::visit_mut::{self, VisitMut};
use syn::{Type, parse_quote, parse_quote_spanned};

use super::caret::start_of;
use super::inputs;
use super::signature::{self, braced};
use super::tries;
use crate::model::{Delayed, Generator, Limit, Output, Shape};
use crate::names::{here, plain_name, yielder};
use crate::parse::first_type_mut;

/// ```text
/// in:   (w: T, name: &str) -> R { BODY }
/// out:  move |(w, name,)| -> R { let w: T = w; let name: &str = Held::<str>::get(&name); { BODY } }
/// ```
///
/// With `retries`, this is the closure of one try, without parameters; [`tries`] makes one for each try.
///
/// The body keeps its braces: an item in it must not change what the types of the parameters mean.
pub(super) fn body(delayed: &Delayed, brace: Brace, statements: &TokenStream) -> TokenStream {
    let names = delayed.inputs.iter().map(|input| &input.name);
    let parameters = quote_spanned!(here()=> (#(#names,)*));
    if delayed.options.retries.is_some() {
        let once = closure(delayed, None, brace, statements);
        return tries::tries(&delayed.inputs, &parameters, &once);
    }
    closure(delayed, Some(parameters), brace, statements)
}

fn closure(delayed: &Delayed, parameters: Option<TokenStream>, brace: Brace, statements: &TokenStream) -> TokenStream {
    let caret = caret(delayed);
    if let Some(generator) = &delayed.generator {
        let generate = generate(delayed, generator);
        return quote_spanned!(caret=> move |#parameters| { #generate });
    }
    if let Some(keyword) = delayed.future() {
        let future = future(delayed, keyword, brace, statements);
        return quote_spanned!(caret=> move |#parameters| { #future });
    }
    let returned = without_impl(&delayed.output.written);
    let variables = variables(delayed);
    let body = block(brace, statements);
    quote_spanned!(caret=> move |#parameters| -> #returned { #variables #body })
}

/// The closure holds the receiver and nothing else: what is wrong with the one is wrong with the other.
pub(super) fn caret(delayed: &Delayed) -> Span {
    delayed.receiver.as_ref().map_or_else(here, |receiver| receiver.self_token.span)
}

/// ```text
/// in:   async (w: T) -> R { BODY }
/// out:  future::<__Task, Value, R, _>(sent::<_>(async move { let w: T = w; { BODY } }))
/// ```
///
/// The caret is that of the call, for compiler errors about the result.
fn future(delayed: &Delayed, asyncness: Span, brace: Brace, statements: &TokenStream) -> TokenStream {
    let caret = super::caret_of_call(delayed);
    let kind = Ident::new(signature::kind(&delayed.output.shape), caret);
    let returned = without_impl(&delayed.output.written);
    let block = async_block(delayed, asyncness, &returned, block(brace, statements));
    let body = sent(asyncness, block);
    let value = value(delayed);
    quote_spanned!(caret=> ::taskgraph::__private::future::<__Task, ::taskgraph::__private::#kind, #value, _>(#body))
}

/// The caret is at `async`, for the compiler error that the future cannot go to another thread.
fn sent(asyncness: Span, block: TokenStream) -> TokenStream {
    quote_spanned!(asyncness=> ::taskgraph::__private::sent::<_>(#block))
}

/// ```text
/// in:   (w: T) -> Vec<u64> { BODY }
/// out:  generate::<__Task, Vec<u64>, (), _, _>(move |__yielder| async move { let w: T = w; { BODY } })
///
/// in:   async (w: T) -> Vec<u64> { BODY }
/// out:  generate_async::<__Task, Vec<u64>, (), _, _>(move |__yielder| sent::<_>(async move { let w: T = w; { BODY } }))
/// ```
fn generate(delayed: &Delayed, generator: &Generator) -> TokenStream {
    let collection = signature::value(delayed);
    let ending = ending(&delayed.output);
    let yielder = yielder(here());
    let statements = &generator.body.stmts;
    let body = block(generator.body.brace_token, &quote!(#(#statements)*));
    let caret = start_of(&collection);
    let (generate, block) = match delayed.future() {
        Some(keyword) => {
            let block = async_block(delayed, keyword, &ending, body);
            (Ident::new("generate_async", caret), sent(keyword, block))
        }
        None => (Ident::new("generate", caret), async_block(delayed, here(), &ending, body)),
    };
    let body = quote_spanned!(here()=> move |#yielder| #block);
    quote_spanned!(caret=> ::taskgraph::__private::#generate::<__Task, #collection, #ending, _, _>(#body))
}

/// The body as a future, which has its place at `caret`. The variables live inside, because borrowed arguments are
/// borrowed from what the future holds.
fn async_block(delayed: &Delayed, caret: Span, returned: &Type, body: TokenStream) -> TokenStream {
    // A name at the user's type, but in a scope of its own.
    let written = start_of(&delayed.output.written);
    let ended = Ident::new("__ended", written);
    let returns = quote_spanned!(written=> return #ended);
    let variables = variables(delayed);
    let inside = quote_spanned! {here()=>
        // Fixes the type that the block returns, before anything in it does.
        if let ::core::option::Option::Some(#ended) = ::core::option::Option::None::<#returned> {
            #returns;
        }
        #variables
        #body
    };
    let block = braced(Brace(caret), inside);
    limited(delayed, caret, quote_spanned!(caret=> async move #block))
}

/// ```text
/// in:   BLOCK, of a function with `limit = 4`, or `limit = "db"`
/// out:  { static __LIMIT: Limit = Limit::new(4); __LIMIT.apply(BLOCK) }, or with `Limit::named("db")`
/// ```
fn limited(delayed: &Delayed, caret: Span, block: TokenStream) -> TokenStream {
    let limit = match &delayed.options.limit {
        None => return block,
        Some(Limit::Own(count)) => quote_spanned!(here()=> new(#count)),
        Some(Limit::Named(name)) => quote_spanned!(here()=> named(#name)),
    };
    let inside = quote_spanned! {here()=>
        static __LIMIT: ::taskgraph::__private::Limit = ::taskgraph::__private::Limit::#limit;
        __LIMIT.apply(#block)
    };
    braced(Brace(caret), inside)
}

/// The body in its own braces. They are the user's, so that errors about the block are too; the empty item keeps the
/// compiler from calling them unnecessary.
fn block(brace: Brace, statements: &TokenStream) -> TokenStream {
    braced(brace, quote_spanned!(here()=> const _: () = (); #statements))
}

/// What a generator's body itself returns: its elements went another way.
///
/// ```text
/// in:   -> Vec<u64>     -> io::Result<Vec<u64>>
/// out:  ()              io::Result<()>
/// ```
fn ending(output: &Output) -> Type {
    match &output.shape {
        Shape::Fallible(_) => {
            let mut result = output.written.clone();
            if let Some(value) = first_type_mut(&mut result) {
                *value = parse_quote_spanned!(here()=> ());
            }
            result
        }
        _ => parse_quote_spanned!(here()=> ()),
    }
}

fn variables(delayed: &Delayed) -> TokenStream {
    // A closure captures only the fields it names; the body must own all of `self` and drop it when it is done.
    let receiver = delayed.receiver.as_ref().map(|receiver| {
        let self_token = &receiver.self_token;
        quote_spanned!(here()=> let _ = &#self_token;)
    });
    let is_tried_again = delayed.options.retries.is_some();
    // The same for an argument that is not a parameter of the closure.
    let captured = delayed.inputs.iter().filter(|input| is_tried_again && plain_name(&input.pattern).is_none());
    let captured = captured.map(|input| &input.name);
    let variables = delayed.inputs.iter().map(|input| inputs::variable(input, is_tried_again));
    quote_spanned!(here()=> #receiver #(let _ = &#captured;)* #(#variables)*)
}

/// The type of the result, as far as it has a name.
///
/// Whether the result of a `DC` may go to another thread was checked where the `DC` was made.
pub(super) fn value(delayed: &Delayed) -> Type {
    match &delayed.output.shape {
        Shape::Growing | Shape::FallibleGrowing(_) => parse_quote_spanned!(here()=> _),
        Shape::Value | Shape::Fallible(_) => {
            let value = signature::value(delayed);
            without_impl(&parse_quote!(#value))
        }
    }
}

/// A closure cannot return an `impl Trait`, but it can let the compiler find the type.
fn without_impl(ty: &Type) -> Type {
    struct Infer;
    impl VisitMut for Infer {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            match ty {
                Type::ImplTrait(written) => *ty = parse_quote_spanned!(written.impl_token.span=> _),
                _ => visit_mut::visit_type_mut(self, ty),
            }
        }
    }
    let mut ty = ty.clone();
    Infer.visit_type_mut(&mut ty);
    ty
}
