//! The function under the attribute, its body left as tokens.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser};
use syn::{Abi, AttrStyle, Attribute, Signature, Token, Visibility, braced};

use crate::complaints::Complaints;
use crate::model::{Function, WrittenBody};

/// Reads a function, or complains that there is none.
pub(crate) fn function(item: TokenStream, complaints: &mut Complaints) -> Option<Function> {
    let parser = |input: ParseStream<'_>| read(input, complaints);
    match parser.parse2(item) {
        Ok(function) => function,
        Err(error) => {
            complaints.syntax(error);
            None
        }
    }
}

fn read(input: ParseStream<'_>, complaints: &mut Complaints) -> syn::Result<Option<Function>> {
    let mut attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse::<Visibility>()?;
    if !is_function(&input.fork()) {
        complaints.at(
            input.span(),
            "`#[delayed]` makes a function a delayed computation, and this is not a function",
            "put it on a `fn`, or on each method of an `impl`",
        );
        input.parse::<TokenStream>()?;
        return Ok(None);
    }
    let sig = input.parse::<Signature>()?;
    let body = if input.peek(Token![;]) { WrittenBody::Missing(input.parse()?) } else { body(input, &mut attrs)? };
    Ok(Some(Function { attrs, vis, sig, body }))
}

fn is_function(ahead: ParseStream<'_>) -> bool {
    qualifiers(ahead).is_ok() && ahead.peek(Token![fn])
}

fn qualifiers(ahead: ParseStream<'_>) -> syn::Result<()> {
    ahead.parse::<Option<Token![const]>>()?;
    ahead.parse::<Option<Token![async]>>()?;
    ahead.parse::<Option<Token![unsafe]>>()?;
    ahead.parse::<Option<Abi>>()?;
    Ok(())
}

fn body(input: ParseStream<'_>, attrs: &mut Vec<Attribute>) -> syn::Result<WrittenBody> {
    let statements;
    let brace = braced!(statements in input);
    let inner = statements.call(Attribute::parse_inner)?;
    attrs.extend(inner.into_iter().map(|attr| Attribute { style: AttrStyle::Outer, ..attr }));
    Ok(WrittenBody::Block(brace, statements.parse()?))
}
