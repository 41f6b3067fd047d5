//! How an argument is given, as its parameter declares it: bon's words, in `#[builder(..)]`, and its documentation.
//!
//! A new word is a field in [`Words`], an entry in [`KNOWN`], an arm here, and a check of what it goes with.

use proc_macro2::{Ident, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::token::Paren;
use syn::{Attribute, Expr, Meta, Token};

use crate::complaints::Complaints;
use crate::model::Words;

/// How each word is written.
const KNOWN: [&str; 5] = ["start_fn", "default", "default = ..", "required", "name = .."];

/// `key`, `key = value`, or `key(..)`.
struct Written {
    key: Ident,
    value: Option<Expr>,
    has_list: bool,
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.call(Ident::parse_any)?;
        let has_list = input.peek(Paren);
        if has_list {
            input.parse::<TokenTree>()?;
        }
        let value = input.parse::<Option<Token![=]>>()?.map(|_| input.parse()).transpose()?;
        Ok(Written { key, value, has_list })
    }
}

/// Takes those attributes of a parameter that are about how its argument is given. The others are about the body's variable.
pub(crate) fn words(attrs: &mut Vec<Attribute>, complaints: &mut Complaints) -> Words {
    let mut words = Words::default();
    for attr in std::mem::take(attrs) {
        if attr.path().is_ident("doc") {
            words.docs.push(attr);
        } else if attr.path().is_ident("builder") {
            read(&attr, &mut words, complaints);
        } else {
            attrs.push(attr);
        }
    }
    words
}

fn read(attr: &Attribute, words: &mut Words, complaints: &mut Complaints) {
    let Meta::List(_) = &attr.meta else {
        return complaints.about(&attr.meta, "`#[builder]` needs at least one word here", known());
    };
    match attr.parse_args_with(Punctuated::<Written, Token![,]>::parse_terminated) {
        Ok(written) if written.is_empty() => {
            complaints.about(&attr.meta, "`#[builder]` needs at least one word here", known())
        }
        Ok(written) => written.into_iter().for_each(|word| understand(word, words, complaints)),
        Err(error) => complaints.syntax(error),
    }
}

fn understand(word: Written, words: &mut Words, complaints: &mut Complaints) {
    let Written { key, value, has_list } = word;
    let text = key.to_string();
    let place = match text.as_str() {
        _ if has_list => None,
        "start_fn" => Some(&mut words.start_fn),
        "required" => Some(&mut words.required),
        _ => None,
    };
    match (place, text.as_str()) {
        (Some(place), _) => {
            if value.is_some() {
                complaints.about(&key, format!("`{text}` takes no value"), format!("write `{text}`"));
            }
            put(place, &key, key.clone(), complaints);
        }
        (None, "default") if !has_list => put(&mut words.default, &key, (key.clone(), value), complaints),
        (None, "name") if !has_list => match syn::parse2(value.to_token_stream()) {
            Ok(name) => put(&mut words.name, &key, name, complaints),
            Err(_) => complaints.about(&key, "`name` takes the name of a method", "write `name = width`"),
        },
        _ => complaints.about(&key, format!("`#[delayed(named)]` does not know `{text}` of `#[builder(..)]`"), known()),
    }
}

/// Keeps the value of a word, unless it was given before.
fn put<T>(place: &mut Option<T>, key: &Ident, said: T, complaints: &mut Complaints) {
    if place.is_some() {
        complaints.about(key, format!("`{key}` is given twice"), "keep one of them");
    }
    place.get_or_insert(said);
}

fn known() -> String {
    let shown: Vec<String> = KNOWN.iter().map(|example| format!("`{example}`")).collect();
    format!("the words are: {}", shown.join(", "))
}
