//! One parameter: who owns what the body gets?

use syn::{PatType, Type, TypeReference};

use crate::model::{Input, Passing};
use crate::names::ParameterNames;
use crate::parse::peel;

pub(crate) fn input(written: &PatType, names: &mut ParameterNames) -> Input {
    Input {
        attrs: written.attrs.clone(),
        pattern: (*written.pat).clone(),
        name: names.next(&written.pat),
        written: (*written.ty).clone(),
        passing: passing(&written.ty),
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
