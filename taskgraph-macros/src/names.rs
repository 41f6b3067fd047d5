//! Names of our own, in code that also holds the user's.
//!
//! Invariant: no name of ours can be meant, shadowed or captured by the user's body. Local variables are safe by their
//! span (mixed-site: only our own tokens see them); items are not hygienic, so their names start with `__`.

use std::collections::HashSet;

use proc_macro2::{Ident, Span};
use quote::format_ident;
use syn::Pat;
use syn::ext::IdentExt;

/// The span of generated code that belongs to no token of the user's.
pub(crate) fn here() -> Span {
    Span::mixed_site()
}

/// Generated code that errors should show at `place`.
pub(crate) fn here_at(place: Span) -> Span {
    place.resolved_at(Span::mixed_site())
}

/// The method that ends a call with named arguments.
pub(crate) const FINISH: &str = "dc";

/// The function that makes the builder of `function`, and the one that it calls at the end.
pub(crate) fn start_and_call(function: &Ident) -> (Ident, Ident) {
    let (name, span) = (function.unraw(), here_at(function.span()));
    (format_ident!("__start_{name}", span = span), format_ident!("__call_{name}", span = span))
}

/// `ResizeImageBuilder` for `resize_image`.
pub(crate) fn builder(function: &Ident) -> Ident {
    let mut name = String::new();
    for word in function.unraw().to_string().split('_') {
        let mut chars = word.chars();
        name.extend(chars.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(chars.as_str());
    }
    format_ident!("{name}Builder", span = here_at(function.span()))
}

/// The variable through which a generator yields, as it is written at `place`.
pub(crate) fn yielder(place: Span) -> Ident {
    Ident::new("__yielder", here_at(place))
}

/// Gives every parameter a name for the constructor's signature: the user's own where the pattern is a plain name,
/// because documentation and editors show it.
#[derive(Default)]
pub(crate) struct ParameterNames {
    taken: HashSet<String>,
    n_parameters: usize,
}

impl ParameterNames {
    pub(crate) fn next(&mut self, pattern: &Pat) -> Ident {
        let position = self.n_parameters;
        self.n_parameters += 1;
        match plain_name(pattern) {
            // Two parameters of one spelling can come out of a `macro_rules!`, where hygiene keeps them apart; ours does
            // not. And a name that starts like ours might be one of ours.
            Some(name) if !name.to_string().starts_with("__") && self.taken.insert(name.unraw().to_string()) => {
                let mut name = name.clone();
                name.set_span(here_at(name.span()));
                name
            }
            _ => format_ident!("__arg{position}", span = here()),
        }
    }
}

/// `x` of `mut x`.
pub(crate) fn plain_name(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => Some(&name.ident),
        Pat::Paren(pattern) => plain_name(&pattern.pat),
        _ => None,
    }
}
