//! What is written in `#[delayed(..)]`. A new option is a field in [`Options`], an example in [`KNOWN`], and an arm here.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{ExprPath, LitInt, LitStr, Path, Token};

use super::durations;
use crate::complaints::Complaints;
use crate::model::{Backoff, InFlight, Limit, Options, Retries, RetryIf};

/// How each option is written. One that takes a number or a name is listed for both.
const KNOWN: [&str; 11] = [
    "name = \"..\"",
    "named",
    "limit = 4",
    "limit = \"db\"",
    "in_flight = 16",
    "timeout = \"30s\"",
    "retries = 3",
    "backoff = \"100ms..10s\"",
    "retry_if = path",
    "priority = 5",
    "crate = ::engine",
];

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

impl Written {
    /// What follows the `=`, if it is a `T`.
    fn value<T: Parse>(&self) -> Option<T> {
        self.value_with(T::parse)
    }

    fn value_with<T>(&self, read: impl FnOnce(ParseStream<'_>) -> syn::Result<T>) -> Option<T> {
        let value = |input: ParseStream<'_>| {
            input.parse::<Token![=]>()?;
            read(input)
        };
        value.parse2(self.value.clone()).ok()
    }

    /// Complains about a value that does not suit this option, which takes `what`.
    fn takes(&self, what: &str, complaints: &mut Complaints) {
        let key = &self.key;
        // What follows the `=`.
        let value: TokenStream = self.value.clone().into_iter().skip(1).collect();
        let guilty = if value.is_empty() { key.to_token_stream() } else { value };
        let is_this = |example: &&&str| example.split(' ').next().is_some_and(|known| key == known);
        let shown: Vec<String> = KNOWN.iter().filter(is_this).map(|example| format!("`{example}`")).collect();
        complaints.about(guilty, format!("`{key}` takes {what}"), format!("write {}", shown.join(" or ")));
    }

    fn complain_of_second(&self, complaints: &mut Complaints) {
        complaints.about(&self.key, format!("`{}` is given twice", self.key), "keep one of them");
    }

    /// Keeps the value of the option, unless it was given before.
    fn put<T>(&self, place: &mut Option<T>, said: Option<T>, complaints: &mut Complaints) {
        let Some(said) = said else { return };
        if place.is_some() {
            self.complain_of_second(complaints);
        }
        place.get_or_insert(said);
    }
}

/// The value of the option `crate`, if all options can be read.
pub(crate) fn library(tokens: &TokenStream) -> Option<Path> {
    let written = Punctuated::<Written, Token![,]>::parse_terminated.parse2(tokens.clone()).ok()?;
    written.iter().find(|option| option.key == "crate")?.value_with(Path::parse_mod_style)
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
    if let Some(second) = written.iter().filter(|option| option.key == "crate").nth(1) {
        second.complain_of_second(complaints);
    }
    for option in written {
        understand(&option, &mut options, complaints);
    }
    options
}

fn understand(option: &Written, options: &mut Options, complaints: &mut Complaints) {
    match option.key.to_string().as_str() {
        "name" => option.put(&mut options.name, text(option, complaints), complaints),
        "named" => option.put(&mut options.named, Some(flag(option, complaints)), complaints),
        "limit" => option.put(&mut options.limit, limit(option, complaints), complaints),
        "in_flight" => option.put(&mut options.in_flight, in_flight(option, complaints), complaints),
        "timeout" => option.put(&mut options.timeout, timeout(option, complaints), complaints),
        "retries" => option.put(&mut options.retries, Some(retries(option, complaints)), complaints),
        "backoff" => option.put(&mut options.backoff, backoff(option, complaints), complaints),
        "retry_if" => option.put(&mut options.retry_if, retry_if(option, complaints), complaints),
        "priority" => option.put(&mut options.priority, priority(option, complaints), complaints),
        "crate" => understand_library(option, complaints),
        unknown => complaints.about(&option.key, format!("`#[delayed]` has no option `{unknown}`"), known()),
    }
}

/// `name = ".."`
fn text(option: &Written, complaints: &mut Complaints) -> Option<LitStr> {
    let text = option.value();
    if text.is_none() {
        option.takes("a string literal", complaints);
    }
    text
}

/// `named`
fn flag(option: &Written, complaints: &mut Complaints) -> Ident {
    let key = &option.key;
    if !option.value.is_empty() {
        complaints.about(key, format!("`{key}` takes no value"), format!("write `{key}`"));
    }
    key.clone()
}

/// What `set_limit` of the runtime takes.
const NAME_BYTES_MAX: usize = 100;

/// `limit = 4`, `limit = "db"`
fn limit(option: &Written, complaints: &mut Complaints) -> Option<Limit> {
    if let Some(name) = option.value::<LitStr>() {
        let value = name.value();
        if value.is_empty()
            || NAME_BYTES_MAX < value.len()
            || value.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            let text = format!("the name of a limit is one word of at most {NAME_BYTES_MAX} bytes");
            complaints.about(&name, text, "write `limit = \"db\"`");
        }
        return Some(Limit::Named(name));
    }
    let count = count(option);
    if count.is_none() {
        option.takes("an integer literal from 1, or the name of a limit that several functions share", complaints);
    }
    count.map(Limit::Own)
}

/// `in_flight = 16`
fn in_flight(option: &Written, complaints: &mut Complaints) -> Option<InFlight> {
    let count = count(option).and_then(|count| count.base10_parse().ok());
    if count.is_none() {
        option.takes("an integer literal from 1", complaints);
    }
    Some(InFlight { key: option.key.clone(), count: count? })
}

/// A number from 1.
fn count(option: &Written) -> Option<LitInt> {
    option.value::<LitInt>().filter(|literal| literal.base10_parse::<u32>().is_ok_and(|count| 0 < count))
}

/// `timeout = "30s"`
fn timeout(option: &Written, complaints: &mut Complaints) -> Option<Duration> {
    let Some(literal) = option.value::<LitStr>() else {
        option.takes("a duration in a string literal", complaints);
        return None;
    };
    understood(durations::duration(&literal.value()), &literal, complaints)
}

/// What was read from `literal`; complains if that was nothing.
fn understood<T>(read: Result<T, durations::Wrong>, literal: &LitStr, complaints: &mut Complaints) -> Option<T> {
    read.map_err(|(what, help)| complaints.about(literal, what, help)).ok()
}

/// `retries = 3`. A wrong value counts as given, so that options that need it are no mistake.
fn retries(option: &Written, complaints: &mut Complaints) -> Retries {
    let count = count(option).unwrap_or_else(|| {
        option.takes("an integer literal from 1", complaints);
        LitInt::new("1", option.key.span())
    });
    Retries { key: option.key.clone(), count }
}

/// `backoff = "100ms..10s"`
fn backoff(option: &Written, complaints: &mut Complaints) -> Option<Backoff> {
    let Some(literal) = option.value::<LitStr>() else {
        option.takes("two durations in a string literal", complaints);
        return None;
    };
    let (min, max) = understood(durations::range(&literal.value()), &literal, complaints)?.into_inner();
    Some(Backoff { key: option.key.clone(), min, max })
}

/// `retry_if = path`
fn retry_if(option: &Written, complaints: &mut Complaints) -> Option<RetryIf> {
    let Some(function) = option.value::<ExprPath>() else {
        let key = &option.key;
        complaints.about(
            key,
            format!("`{key}` takes the path of a function that looks at an error, `fn(&E) -> bool`"),
            format!("give it a name, and write `{key} = that_name`"),
        );
        return None;
    };
    Some(RetryIf { key: option.key.clone(), function })
}

/// `priority = 5`, `priority = -1`
fn priority(option: &Written, complaints: &mut Complaints) -> Option<i32> {
    let priority = option.value_with(|input| {
        let minus = input.parse::<Option<Token![-]>>()?;
        let literal = input.parse::<LitInt>()?;
        let sign = minus.map_or("", |_| "-");
        Ok(format!("{sign}{}", literal.base10_digits()).parse().ok().filter(|_| literal.suffix().is_empty()))
    });
    let priority = priority.flatten();
    if priority.is_none() {
        option.takes(&format!("an integer literal from {} to {}", i32::MIN, i32::MAX), complaints);
    }
    priority
}

/// `crate = ::path`, which [`library`] reads before everything else.
fn understand_library(option: &Written, complaints: &mut Complaints) {
    let is_absolute = |path: &Path| {
        path.leading_colon.is_some()
            || path.segments.first().is_some_and(|first| first.ident == "crate" || first.ident == "$crate")
    };
    if !option.value_with(Path::parse_mod_style).is_some_and(|path| is_absolute(&path)) {
        option.takes("the path of this library, from a crate on", complaints);
    }
}

fn known() -> String {
    let shown: Vec<String> = KNOWN.iter().map(|example| format!("`{example}`")).collect();
    format!("the options are: {}", shown.join(", "))
}
