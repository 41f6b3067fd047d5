//! The return type: a value, a `Result`, more work, or both?
//!
//! An attribute sees names, not types, so the last name of the path decides: `io::Result<T>` is a `Result`.

use syn::{GenericArgument, PathArguments, PathSegment, ReturnType, Type, parse_quote};

use crate::model::{Output, Shape};

pub(crate) fn output(written: &ReturnType) -> Output {
    let written = match written {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let shape = shape(&written);
    Output { written, shape }
}

fn shape(ty: &Type) -> Shape {
    match last_segment(ty) {
        Some(dc) if dc.ident == "DC" => Shape::Growing,
        Some(result) if result.ident == "Result" => fallible(first_type(result)),
        _ => Shape::Value,
    }
}

fn fallible(value: Option<&Type>) -> Shape {
    match value {
        Some(ty) if matches!(shape(ty), Shape::Growing) => Shape::FallibleGrowing(ty.clone()),
        _ => Shape::Fallible(value.cloned()),
    }
}

/// `Result<f64, MyErr>` of `anyhow::Result<f64, MyErr>`.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match peel(ty) {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

/// `f64` of `Result<f64, MyErr>`.
fn first_type(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// `MyErr` of `Result<f64, MyErr>`; the type itself if it has no arguments.
pub(crate) fn last_type(ty: &Type) -> &Type {
    let arguments = last_segment(ty).map(|segment| &segment.arguments);
    let Some(PathArguments::AngleBracketed(arguments)) = arguments else { return ty };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.last().unwrap_or(ty)
}

/// The place of the `f64` in `Result<f64, MyErr>`.
pub(crate) fn first_type_mut(ty: &mut Type) -> Option<&mut Type> {
    match ty {
        Type::Paren(paren) => first_type_mut(&mut paren.elem),
        Type::Group(group) => first_type_mut(&mut group.elem),
        Type::Path(path) => match &mut path.path.segments.last_mut()?.arguments {
            PathArguments::AngleBracketed(arguments) => arguments.args.iter_mut().find_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            }),
            _ => None,
        },
        _ => None,
    }
}

/// The type itself, without parentheses and without the invisible ones around a `$t:ty` of a `macro_rules!`.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => peel(&paren.elem),
        Type::Group(group) => peel(&group.elem),
        _ => ty,
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    #[test]
    fn the_last_name_of_a_return_type_decides() {
        let cases = [
            ("", "value"),
            ("-> u32", "value"),
            ("-> Option<Result<u32, E>>", "value"),
            ("-> <T as Trait>::Result<u32>", "value"),
            ("-> Result<u32, E>", "fallible u32"),
            ("-> ::std::io::Result<(u8, u8)>", "fallible (u8 , u8)"),
            ("-> Result<Vec<DC<u32>>, E>", "fallible Vec < DC < u32 > >"),
            ("-> fmt::Result", "fallible, hidden"),
            ("-> DC<u32>", "growing"),
            ("-> (taskgraph::DC<u32>)", "growing"),
            ("-> Result<DC<u32>, E>", "fallible, growing DC < u32 >"),
            ("-> (Result<(DC<u32>), E>)", "fallible, growing (DC < u32 >)"),
        ];
        for (written, expected) in cases {
            let found = match output(&syn::parse_str(written).expect("the test is written in Rust")).shape {
                Shape::Value => "value".to_owned(),
                Shape::Fallible(Some(value)) => format!("fallible {}", value.to_token_stream()),
                Shape::Fallible(None) => "fallible, hidden".to_owned(),
                Shape::Growing => "growing".to_owned(),
                Shape::FallibleGrowing(computed) => format!("fallible, growing {}", computed.to_token_stream()),
            };
            assert_eq!(found, expected, "of `{written}`");
        }
    }
}
