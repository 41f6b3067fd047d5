//! What only a function with named arguments can do wrong.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::visit::{self, Visit};
use syn::{Block, Ident, Item, Signature};

use crate::complaints::Complaints;
use crate::model::{Delayed, Giving, Input, Words, WrittenBody};
use crate::names::FINISH;
use crate::parse::inside_option;

pub(super) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    let Some(named) = &delayed.options.named else { return };
    if is_method(delayed) {
        complaints.about(
            named,
            "a method cannot have named arguments: they need a type of their own, beside the function",
            "move it out of the `impl` or `trait`, as a function that takes what it needs of `Self` as an argument",
        );
    }
    let mut setters = HashSet::new();
    let mut is_first = true;
    for input in &delayed.inputs {
        let Some(words) = &input.words else { continue };
        check_words(input, words, complaints);
        if let Some(start_fn) = &words.start_fn {
            if !is_first {
                complaints.about(start_fn, "positional arguments come first", "move this one to the front");
            }
            continue;
        }
        is_first = false;
        check_setter(input, &mut setters, complaints);
    }
}

/// Do the words go with each other, and with the type?
fn check_words(input: &Input, words: &Words, complaints: &mut Complaints) {
    if words.start_fn.is_some() {
        let what = "a positional argument is always given, and has no setter";
        let default = words.default.as_ref().map(|(default, _)| default.to_token_stream());
        let others = [default, words.required.to_token_stream().into(), words.name.to_token_stream().into()];
        for other in others.into_iter().flatten().filter(|other: &TokenStream| !other.is_empty()) {
            complaints.about(other, what, "remove this, or `start_fn`");
        }
        if let Some(doc) = words.docs.first() {
            complaints.about(doc, what, "document it at the function");
        }
        return;
    }
    match (&words.required, &words.default) {
        (Some(required), _) if inside_option(&input.written).is_none() => {
            complaints.about(required, "only an `Option` can be left out, so this is required anyway", "remove this");
        }
        (None, Some((default, _))) if matches!(input.giving(), Giving::Optional(_)) => {
            complaints.about(
                default,
                "an `Option` that is not given is `None`",
                "remove this; or write `required, default = ..`, with a setter that takes the whole `Option`",
            );
        }
        _ => {}
    }
}

fn check_setter(input: &Input, setters: &mut HashSet<String>, complaints: &mut Complaints) {
    let Some(setter) = input.setter() else {
        let what = "a named argument needs a name";
        return complaints.about(&input.pattern, what, "write `#[builder(name = ..)]`, or take it apart in the body");
    };
    let name = setter.unraw().to_string();
    if name == FINISH {
        let what = format!("an argument cannot be called `{FINISH}`: that ends the call");
        complaints.about(setter, what, "write `#[builder(name = ..)]`");
    } else if !setters.insert(name) {
        complaints.about(&setter, format!("two arguments are called `{setter}`"), "write `#[builder(name = ..)]`");
    }
}

/// Is it in an `impl` or a `trait`, as far as one can see?
pub(crate) fn is_method(delayed: &Delayed) -> bool {
    delayed.receiver.is_some() || mentions_self(&delayed.function.sig, &delayed.function.body)
}

/// Is there a `Self` that can only be that of an `impl` or a `trait` around the function?
fn mentions_self(sig: &Signature, body: &WrittenBody) -> bool {
    let mut found = FindSelf(false);
    found.visit_signature(sig);
    if let WrittenBody::Block(_, statements) = body {
        // The compiler will report what we cannot parse.
        let statements = Block::parse_within.parse2(statements.clone()).unwrap_or_default();
        statements.iter().for_each(|statement| found.visit_stmt(statement));
    }
    found.0
}

struct FindSelf(bool);

impl<'ast> Visit<'ast> for FindSelf {
    fn visit_ident(&mut self, ident: &'ast Ident) {
        self.0 |= ident == "Self";
    }

    // Has a `Self` of its own.
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Impl(_) | Item::Trait(_) | Item::Struct(_) | Item::Enum(_) | Item::Union(_) => {}
            _ => visit::visit_item(self, item),
        }
    }
}
