//! `crate = ::path`: the path of the library, if it has another name, or comes through another crate.
//!
//! ```text
//! in:   #[delayed(crate = ::engine)] fn ..
//! out:  ::taskgraph::__private::call::<..>(..)      as everywhere, and then
//!       ::engine::__private::call::<..>(..)
//! ```

use proc_macro2::{Group, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Ident, Path};

/// The same code, with `path` for each `::taskgraph`.
pub(crate) fn at(path: &Path, tokens: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let mut inside = Group::new(group.delimiter(), at(path, group.stream()));
                inside.set_span(group.span());
                out.push(inside.into());
            }
            TokenTree::Ident(name) if name == "taskgraph" && is_from_root(&out) => {
                out.truncate(out.len() - 2);
                // Errors stay where they are.
                out.extend(path.to_token_stream().into_iter().map(|mut part| {
                    part.set_span(part.span().located_at(name.span()));
                    part
                }));
            }
            token => out.push(token),
        }
    }
    out.into_iter().collect()
}

/// Whether `before` ends with a `::` that starts a path.
fn is_from_root(before: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    let Some((colons, before)) = before.split_last_chunk::<2>().map(|(before, colons)| (colons, before)) else {
        return false;
    };
    colons.iter().all(is_colon)
        && match before {
            // `&'a ::taskgraph::DC`
            [.., TokenTree::Punct(tick), TokenTree::Ident(_)] if tick.as_char() == '\'' => true,
            [.., TokenTree::Ident(word)] => !is_part_of_path(word),
            // `->` and `=>` do not end generics.
            [.., TokenTree::Punct(first), TokenTree::Punct(end)] if end.as_char() == '>' => {
                first.spacing() == Spacing::Joint && matches!(first.as_char(), '-' | '=')
            }
            [.., TokenTree::Punct(end)] => end.as_char() != '>',
            [.., TokenTree::Group(_) | TokenTree::Literal(_)] | [] => true,
        }
}

/// A name, or a keyword that stands for one; other keywords end what is before them.
fn is_part_of_path(word: &Ident) -> bool {
    syn::parse2::<Ident>(word.to_token_stream()).is_ok()
        || ["crate", "self", "super", "Self"].iter().any(|name| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: &str) {
        let tokens = |code: &str| code.parse::<TokenStream>().expect("the test is written in Rust");
        let path = syn::parse_str("crate::engine").expect("it is a path");
        let text = |tokens: TokenStream| tokens.to_string().replace(' ', "");
        assert_eq!(text(at(&path, tokens(code))), text(tokens(expected)));
    }

    #[test]
    fn every_path_from_the_root_is_another() {
        check("::taskgraph::DC<::taskgraph::DC<u32>>", "crate::engine::DC<crate::engine::DC<u32>>");
        check("impl ::taskgraph::Task for T {}", "impl crate::engine::Task for T {}");
        check("<T as ::taskgraph::A>::B", "<T as crate::engine::A>::B");
        check("{ f(::taskgraph::g) }", "{ f(crate::engine::g) }");
        check("#[::taskgraph::delayed(x)] fn f() {}", "#[crate::engine::delayed(x)] fn f() {}");
        check("-> ::taskgraph::DC<u8>", "-> crate::engine::DC<u8>");
        check("&'a ::taskgraph::DC<u8>", "&'a crate::engine::DC<u8>");
        check("match x { _ => ::taskgraph::f() }", "match x { _ => crate::engine::f() }");
    }

    #[test]
    fn what_a_user_calls_so_stays() {
        check("vendor::taskgraph::DC", "vendor::taskgraph::DC");
        check("crate::taskgraph::x(self::taskgraph)", "crate::taskgraph::x(self::taskgraph)");
        check("<T>::taskgraph()", "<T>::taskgraph()");
        check("let taskgraph = taskgraph::run;", "let taskgraph = taskgraph::run;");
    }
}
