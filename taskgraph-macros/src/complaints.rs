//! What is wrong with one function: collected, then reported all at once.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Everything to report to the user, in the order it was found.
#[derive(Default)]
pub(crate) struct Complaints {
    errors: Vec<syn::Error>,
}

impl Complaints {
    /// Complains about `guilty`, the smallest tokens that are wrong: `what` is wrong, and `help` says what to write.
    pub(crate) fn about(&mut self, guilty: impl ToTokens, what: impl AsRef<str>, help: impl AsRef<str>) {
        self.errors.push(syn::Error::new_spanned(guilty, text(what.as_ref(), help.as_ref())));
    }

    /// Like [`about`](Complaints::about), for a place of which only the span is known.
    pub(crate) fn at(&mut self, span: Span, what: impl AsRef<str>, help: impl AsRef<str>) {
        self.errors.push(syn::Error::new(span, text(what.as_ref(), help.as_ref())));
    }

    /// Passes on what the parser found.
    pub(crate) fn syntax(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// One `compile_error!` for each.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.errors.iter().map(syn::Error::to_compile_error).collect()
    }

    /// The texts, for tests.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.errors.iter().map(ToString::to_string).collect()
    }
}

fn text(what: &str, help: &str) -> String {
    format!("{what}\nhelp: {help}")
}
