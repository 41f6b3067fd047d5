//! What stands in `#[delayed(..)]`. A new option is a field in [`Options`], a name in [`KNOWN`], and an arm here.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{LitInt, LitStr, Token};

use crate::complaints::Complaints;
use crate::model::Options;

/// How each option is written.
const KNOWN: [&str; 3] = ["name = \"..\"", "named", "limit = 4"];

/// `key` or `key = value`; the value is read when the key is known.
struct Written {
    key: Ident,
    value: TokenStream,
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(format!("an option of `#[delayed]` starts with its name\nhelp: {}", known())));
        }
        let key = input.call(Ident::parse_any)?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<proc_macro2::TokenTree>()?]);
        }
        Ok(Written { key, value })
    }
}

pub(crate) fn options(tokens: TokenStream, complaints: &mut Complaints) -> Options {
    let mut options = Options::default();
    let written = match Punctuated::<Written, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(written) => written,
        Err(error) => {
            complaints.syntax(error);
            return options;
        }
    };
    for option in written {
        match option.key.to_string().as_str() {
            "name" => text(&mut options.name, &option, complaints),
            "limit" => count(&mut options.limit, &option, complaints),
            "named" => flag(&mut options.named, option, complaints),
            unknown => complaints.about(&option.key, format!("`#[delayed]` has no option `{unknown}`"), known()),
        }
    }
    options
}

/// Reads `key = ".."` into its place.
fn text(place: &mut Option<LitStr>, option: &Written, complaints: &mut Complaints) {
    let Written { key, value } = option;
    let literal = |input: ParseStream<'_>| {
        input.parse::<Token![=]>()?;
        input.parse::<LitStr>()
    };
    match literal.parse2(value.clone()) {
        Err(_) => complaints.about(key, format!("`{key}` takes a text"), format!("write `{key} = \"..\"`")),
        Ok(_) if place.is_some() => complaints.about(key, format!("`{key}` is given twice"), "keep one of them"),
        Ok(literal) => *place = Some(literal),
    }
}

/// Reads `key = 4` into its place.
fn count(place: &mut Option<LitInt>, option: &Written, complaints: &mut Complaints) {
    let Written { key, value } = option;
    let literal = |input: ParseStream<'_>| {
        input.parse::<Token![=]>()?;
        input.parse::<LitInt>()
    };
    match literal.parse2(value.clone()) {
        Ok(_) if place.is_some() => complaints.about(key, format!("`{key}` is given twice"), "keep one of them"),
        Ok(literal) if literal.base10_parse::<u32>().is_ok_and(|count| 0 < count) => *place = Some(literal),
        _ => complaints.about(key, format!("`{key}` takes a number from 1"), format!("write `{key} = 4`")),
    }
}

/// Reads `key` into its place.
fn flag(place: &mut Option<Ident>, option: Written, complaints: &mut Complaints) {
    let Written { key, value } = option;
    if !value.is_empty() {
        complaints.about(&key, format!("`{key}` takes no value"), format!("write `{key}`"));
    } else if place.is_some() {
        complaints.about(&key, format!("`{key}` is given twice"), "keep one of them");
    }
    place.get_or_insert(key);
}

fn known() -> String {
    let shown: Vec<String> = KNOWN.iter().map(|example| format!("`{example}`")).collect();
    format!("the options are: {}", shown.join(", "))
}
