//! One parameter: who owns what the body gets?

use proc_macro2::Ident;
use syn::{GenericArgument, PatType, PathArguments, Type, TypeReference};

use crate::model::{Giving, Input, Passing};
use crate::names::{ParameterNames, plain_name};
use crate::parse::{last_segment, peel};

pub(crate) fn input(written: &PatType, names: &mut ParameterNames) -> Input {
    Input {
        attrs: written.attrs.clone(),
        pattern: (*written.pat).clone(),
        name: names.next(&written.pat),
        written: (*written.ty).clone(),
        passing: passing(&written.ty),
        words: None,
    }
}

impl Input {
    pub(crate) fn is_positional(&self) -> bool {
        self.words.as_ref().is_none_or(|words| words.start_fn.is_some())
    }

    /// The name of its setter, if it has one. A leading underscore concerns only the body.
    pub(crate) fn setter(&self) -> Option<Ident> {
        if let Some(said) = &self.words.as_ref()?.name {
            return Some(said.clone());
        }
        let name = plain_name(&self.pattern)?;
        let text = name.to_string();
        Some(text.strip_prefix('_').map_or_else(|| name.clone(), |text| Ident::new(text, name.span())))
    }

    pub(crate) fn giving(&self) -> Giving<'_> {
        let Some(words) = self.words.as_ref().filter(|words| words.start_fn.is_none()) else { return Giving::Always };
        match (inside_option(&self.written), &words.default) {
            (Some(inside), _) if words.required.is_none() => Giving::Optional(inside),
            (_, Some((_, value))) => Giving::Default(value.as_ref()),
            (_, None) => Giving::Always,
        }
    }
}

/// `T` of `Option<T>`.
pub(crate) fn inside_option(ty: &Type) -> Option<&Type> {
    let option = last_segment(ty).filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &option.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(inside)) if arguments.args.len() == 1 => Some(inside),
        _ => None,
    }
}

fn passing(ty: &Type) -> Passing {
    match peel(ty) {
        // What lives for ever is a value like any other.
        Type::Reference(reference) if !is_static(reference) => {
            // The parentheses of `&(dyn A + B)` are unnecessary everywhere else.
            Passing::Borrowed(Box::new(peel(&reference.elem).clone()))
        }
        _ => Passing::Owned,
    }
}

fn is_static(reference: &TypeReference) -> bool {
    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
}
