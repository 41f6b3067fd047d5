//! A function with named arguments: the start of a call, and the builder that `bon` makes of the rest.
//!
//! ```text
//! in:   /// docs
//!       pub fn resize(#[builder(start_fn)] image: Image, width: u32, filter: Option<Filter>) -> Image { .. }
//!
//! out:  /// docs
//!       pub fn resize(image: impl IntoArg<Image>) -> ResizeBuilder { __start_resize(given::<Image, _>(image)) }
//!
//!       #[bon::builder(start_fn(name = __start_resize), finish_fn(name = dc), ..)]
//!       fn __call_resize(
//!           #[builder(start_fn)] image: Given<Image>,
//!           #[builder(with = |width: impl IntoArg<u32>| given::<u32, _>(width))] width: Given<u32>,
//!           #[builder(with = |filter: impl IntoArg<Filter>| given::<Filter, _>(filter))] filter: Option<Given<Filter>>,
//!       ) -> DC<Image> { .. }
//! ```
//!
//! The first function is ours, because `bon` cannot convert what is given by position. A default is the body's business:
//! it may need other arguments, and nothing of it runs before the task does.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::token::Brace;
use syn::{Attribute, Ident, Visibility, parse_quote};

use super::inputs;
use super::signature::{braced, computed};
use crate::model::{Delayed, Function, Giving, Input};
use crate::names::{self, FINISH, here};

/// An argument on its way through the builder.
pub(crate) struct Kept<'a> {
    pub(crate) input: &'a Input,
    /// What the setter takes.
    pub(crate) taken: TokenStream,
    /// The type that the builder keeps it as.
    pub(crate) kept: TokenStream,
    /// How the one becomes the other, which is in a variable with the input's name.
    pub(crate) keep: TokenStream,
}

impl<'a> Kept<'a> {
    pub(super) fn of(input: &'a Input) -> Self {
        Self { input, taken: inputs::taken(input), kept: inputs::kept(input), keep: inputs::keep(input) }
    }
}

/// Both functions. `body` is that of the second, in which each argument has the type that it was kept as.
pub(crate) fn named(delayed: &Delayed, brace: Brace, arguments: &[Kept<'_>], body: &TokenStream) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &delayed.function;
    let conditions: Vec<_> = attrs.iter().filter(|attr| is_any(attr, &["cfg", "cfg_attr"])).collect();
    let start = start(delayed, brace, arguments);
    let (ident, builder) = (&sig.ident, names::builder(&sig.ident));
    let (start_name, call_name) = names::start_and_call(ident);
    let finish = Ident::new(FINISH, here());
    let builder_doc = format!(" The arguments of a call of [`{ident}()`]. Ends with [`{FINISH}()`](Self::{FINISH}()).");
    let finish_doc = format!(" The delayed computation of `{ident}` with these arguments. Runs nothing.");
    let visible = match vis {
        Visibility::Inherited => None,
        _ => {
            let vis = vis.to_token_stream().to_string();
            Some(quote_spanned!(here()=> vis = #vis,))
        }
    };
    let (generics, where_clause) = (&sig.generics, &sig.generics.where_clause);
    let computed = computed(delayed);
    let parameters = arguments.iter().map(parameter);
    let attrs = attrs.iter().filter(|attr| !is_any(attr, &["cfg", "cfg_attr", "track_caller"]) && !is_start(attr));
    quote_spanned! {here()=>
        #(#conditions)*
        #start

        #(#conditions)*
        #[::taskgraph::__private::bon::builder(
            crate = ::taskgraph::__private::bon,
            start_fn(name = #start_name, vis = ""),
            builder_type(name = #builder, #visible doc { #[doc = #builder_doc] }),
            finish_fn(name = #finish, doc { #[doc = #finish_doc] }),
        )]
        #[track_caller]
        #(#attrs)*
        fn #call_name #generics(#(#parameters,)*) -> #computed #where_clause { #body }
    }
}

/// The function that the user named. It ends as the user's does, like any [constructor](braced).
fn start(delayed: &Delayed, brace: Brace, arguments: &[Kept<'_>]) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &delayed.function;
    // What is allowed in the body is allowed around it.
    let attrs = attrs.iter().filter(|attr| is_start(attr) || is_any(attr, &["allow", "deny", "forbid", "warn"]));
    let (fn_token, ident, generics) = (&sig.fn_token, &sig.ident, &sig.generics);
    let (_, types, where_clause) = generics.split_for_impl();
    let (builder, (start_name, _)) = (names::builder(ident), names::start_and_call(ident));
    let positional: Vec<_> = arguments.iter().filter(|argument| argument.input.is_positional()).collect();
    let parameters = positional.iter().map(|Kept { input, taken, .. }| {
        let name = &input.name;
        quote_spanned!(here()=> #name: #taken)
    });
    let keep = positional.iter().map(|argument| &argument.keep);
    let body = braced(brace, quote_spanned!(here()=> #start_name(#(#keep,)*)));
    quote_spanned! {here()=>
        #(#attrs)*
        #[inline]
        #vis #fn_token #ident #generics(#(#parameters,)*) -> #builder #types #where_clause #body
    }
}

/// The parameter that `bon` makes a setter for.
fn parameter(argument: &Kept<'_>) -> TokenStream {
    let Kept { input, taken, kept, keep } = argument;
    let name = &input.name;
    let Some(setter) = input.setter().filter(|_| !input.is_positional()) else {
        return quote_spanned!(here()=> #[builder(start_fn)] #name: #kept);
    };
    let docs = input.words.iter().flat_map(|words| &words.docs);
    let default = default_doc(input);
    let renamed = (setter != *name).then(|| quote_spanned!(here()=> name = #setter,));
    quote_spanned! {here()=>
        #(#docs)*
        #default
        #[builder(#renamed with = |#name: #taken| #keep)]
        #name: #kept
    }
}

/// What the documentation of a setter says about the default, if that is short.
fn default_doc(input: &Input) -> Option<TokenStream> {
    const LEN_MAX: usize = 80;
    let Giving::Default(Some(default)) = input.giving() else { return None };
    let item = prettyplease::unparse(&parse_quote!(const _: () = #default;));
    let (_, text) = item.trim_end().strip_suffix(';')?.split_once("= ")?;
    let doc = format!(" Default: `{text}`.");
    (text.len() <= LEN_MAX && !text.contains(['`', '\n'])).then(|| quote!(#[doc = ""] #[doc = #doc]))
}

/// Is this about the function that callers see?
fn is_start(attr: &Attribute) -> bool {
    is_any(attr, &["doc", "deprecated"])
}

fn is_any(attr: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attr.path().is_ident(name))
}
