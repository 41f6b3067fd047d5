//! A parameter with a `#[cfg]`: only the compiler knows whether it is there.
//!
//! ```text
//! in:   #[delayed(name = "n")] fn load(path: &Path, #[cfg(unix)] mode: u32) -> Vec<u8> { .. }
//!
//! out:  #[cfg(unix)]       #[::taskgraph::delayed(name = "n")] fn load(path: &Path, mode: u32) -> Vec<u8> { .. }
//!       #[cfg(not(unix))]  #[::taskgraph::delayed(name = "n")] fn load(path: &Path) -> Vec<u8> { .. }
//! ```
//!
//! Each of the two is then delayed like any other; a second condition forks it again.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Meta, Token};

use crate::model::Function;
use crate::names::here;

/// Both functions, if a parameter has a condition.
pub(crate) fn on_cfg(options: &TokenStream, function: &Function) -> Option<TokenStream> {
    let (parameter_idx, attr_idx, condition) = first_condition(function)?;
    let mut with = function.clone();
    attrs_mut(&mut with.sig.inputs[parameter_idx]).remove(attr_idx);
    let mut without = function.clone();
    without.sig.inputs = all_but(parameter_idx, &function.sig.inputs);
    Some(quote_spanned! {here()=>
        #[cfg(#condition)]
        #[::taskgraph::delayed(#options)]
        #with

        #[cfg(not(#condition))]
        #[::taskgraph::delayed(#options)]
        #without
    })
}

/// The index of the parameter, that of its attribute, and the condition.
fn first_condition(function: &Function) -> Option<(usize, usize, &TokenStream)> {
    function.sig.inputs.iter().enumerate().find_map(|(parameter_idx, parameter)| {
        let mut attrs = attrs(parameter).iter().enumerate();
        attrs.find_map(|(attr_idx, attr)| Some((parameter_idx, attr_idx, condition(attr)?)))
    })
}

/// `unix` of `#[cfg(unix)]`.
fn condition(attr: &Attribute) -> Option<&TokenStream> {
    match &attr.meta {
        Meta::List(list) if list.path.is_ident("cfg") => Some(&list.tokens),
        _ => None,
    }
}

fn all_but(idx: usize, parameters: &Punctuated<FnArg, Token![,]>) -> Punctuated<FnArg, Token![,]> {
    let others = parameters.iter().enumerate().filter(|(other, _)| *other != idx);
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
