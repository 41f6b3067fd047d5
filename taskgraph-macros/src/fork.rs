//! A parameter with a `#[cfg]`: it is or is not there, and only the compiler knows.
//!
//! ```text
//! in:   #[delayed(name = "n")] fn load(path: &Path, #[cfg(unix)] mode: u32) -> Vec<u8> { .. }
//!
//! out:  #[cfg(unix)]       #[::taskgraph::delayed(name = "n")] fn load(path: &Path, mode: u32) -> Vec<u8> { .. }
//!       #[cfg(not(unix))]  #[::taskgraph::delayed(name = "n")] fn load(path: &Path) -> Vec<u8> { .. }
//! ```
//!
//! Each of the two is then delayed like any other; a second such parameter forks it again.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::{Attribute, FnArg, Meta};

use crate::model::Function;
use crate::names::here;

pub(crate) fn on_cfg(options: &TokenStream, function: &Function) -> Option<TokenStream> {
    let (position, condition) = first_cfg(function)?;
    let mut with = function.clone();
    attrs_mut(&mut with.sig.inputs[position]).retain(|attr| condition_of(attr).is_none());
    let mut without = function.clone();
    without.sig.inputs = without_parameter(&without, position);
    Some(quote_spanned! {here()=>
        #[cfg(#condition)]
        #[::taskgraph::delayed(#options)]
        #with

        #[cfg(not(#condition))]
        #[::taskgraph::delayed(#options)]
        #without
    })
}

/// The first parameter with conditions, and all of them as one.
fn first_cfg(function: &Function) -> Option<(usize, TokenStream)> {
    function.sig.inputs.iter().enumerate().find_map(|(position, parameter)| {
        let conditions: Vec<_> = attrs(parameter).iter().filter_map(condition_of).collect();
        (!conditions.is_empty()).then(|| (position, quote_spanned!(here()=> all(#(#conditions),*))))
    })
}

/// `unix` of `#[cfg(unix)]`.
fn condition_of(attr: &Attribute) -> Option<&TokenStream> {
    match &attr.meta {
        Meta::List(list) if list.path.is_ident("cfg") => Some(&list.tokens),
        _ => None,
    }
}

fn without_parameter(function: &Function, position: usize) -> syn::punctuated::Punctuated<FnArg, syn::Token![,]> {
    let others = function.sig.inputs.iter().enumerate().filter(|(other, _)| *other != position);
    others.map(|(_, parameter)| parameter.clone()).collect()
}

fn attrs(parameter: &FnArg) -> &[Attribute] {
    match parameter {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(parameter) => &parameter.attrs,
    }
}

fn attrs_mut(parameter: &mut FnArg) -> &mut Vec<Attribute> {
    match parameter {
        FnArg::Receiver(receiver) => &mut receiver.attrs,
        FnArg::Typed(parameter) => &mut parameter.attrs,
    }
}
