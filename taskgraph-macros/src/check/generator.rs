//! What only a function that yields can do wrong.

use quote::ToTokens;
use syn::{Expr, ExprCall, ReturnType, Stmt};

use super::borrows;
use crate::complaints::Complaints;
use crate::model::{Delayed, Finding, Generator, Place, Shape};

pub(super) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    let Some(generator) = &delayed.generator else { return };
    check_return_type(delayed, complaints);
    for finding in &generator.findings {
        match finding {
            Finding::Await(_) if delayed.function.sig.asyncness.is_some() => {}
            _ => check_finding(finding, &delayed.output.shape, complaints),
        }
    }
    if let Some(trailing) = trailing(generator) {
        check_ending(trailing, &delayed.output.shape, complaints);
    }
}

fn check_return_type(delayed: &Delayed, complaints: &mut Complaints) {
    let sig = &delayed.function.sig;
    match (&sig.output, &delayed.output.shape) {
        (ReturnType::Default, _) => complaints.about(
            &sig.ident,
            format!("`{}` yields, but has no return type to collect what it yields", sig.ident),
            "return a collection: `-> Vec<T>`",
        ),
        (_, Shape::Growing | Shape::FallibleGrowing(_)) => complaints.about(
            &delayed.output.written,
            "a generator cannot return a `DC`: what it yields is collected when it has run",
            "return the collection itself: `-> Vec<T>`; calling the function gives a `DC<Vec<T>>`",
        ),
        (_, Shape::Fallible(None)) => complaints.about(
            &delayed.output.written,
            "this `Result` hides the collection from the generator",
            "write it out: `-> Result<Vec<T>, E>`",
        ),
        (ReturnType::Type(_, ty), _) => {
            for impl_token in borrows::of(ty).impls {
                complaints.about(
                    impl_token,
                    "a generator needs the name of the collection to collect what it yields",
                    "name it: `-> Vec<T>`",
                );
            }
        }
    }
}

fn check_finding(finding: &Finding, shape: &Shape, complaints: &mut Complaints) {
    match finding {
        Finding::Misplaced(place, span) => {
            let (what, help) = misplaced(place);
            complaints.at(*span, what, help);
        }
        Finding::NotOneArgument(mac) => {
            complaints.about(mac, "`yield_!` takes one computation or value", "write one `yield_!(x);` for each");
        }
        Finding::Syntax(error) => complaints.syntax(error.clone()),
        Finding::Return(value) => check_ending(value, shape, complaints),
        Finding::Await(await_token) => complaints.about(
            await_token,
            "`.await` only works in an `async fn`",
            "write `async fn`, or take what it gives as an argument",
        ),
        Finding::Try(question_token) => complaints.about(
            question_token,
            "`yield_!` does not wait for what it yields, so there is no failure yet that `?` could return",
            "remove the `?`: if what is yielded fails, so does the generator",
        ),
    }
}

fn misplaced(place: &Place) -> (String, String) {
    let (inside, help) = match place {
        Place::Closure => {
            ("in a closure".to_owned(), "use a loop in the function itself: `for x in xs { yield_!(f(x)); }`")
        }
        Place::Async => ("in an `async` block".to_owned(), "yield in the function itself"),
        Place::Item => (
            "in an item inside the function".to_owned(),
            "yield in the function itself, or make the inner one `#[delayed]`",
        ),
        Place::Const => ("in a `const` block".to_owned(), "yield in the function itself"),
        Place::Unknown => ("in syntax that `#[delayed]` does not know".to_owned(), "yield in a statement of its own"),
        Place::Macro(name) => (format!("inside another macro, `{name}!`"), "yield in a statement of its own, before"),
    };
    (format!("`yield_!` does not work {inside}: only the function itself can yield"), help.to_owned())
}

/// The expression at the end of the body, unless it is plainly without a value.
fn trailing(generator: &Generator) -> Option<&Expr> {
    match generator.body.stmts.last() {
        Some(Stmt::Expr(expr, None)) => Some(expr),
        _ => None,
    }
}

/// A generator's body, or a `return` in it, ends with a value.
fn check_ending(value: &Expr, shape: &Shape, complaints: &mut Complaints) {
    let what = "a generator returns what it has yielded, and no value of its own";
    match shape {
        Shape::Fallible(_) => {
            if let Some(inside) = ok_with_value(value) {
                complaints.about(inside, what, "end with `Ok(())`, and `yield_!(..)` each element");
            }
        }
        _ if is_value(value) => complaints.about(value, what, "remove this, and `yield_!(..)` each element"),
        _ => {}
    }
}

/// `x` of `Ok(x)`, unless it is `()`.
fn ok_with_value(value: &Expr) -> Option<&Expr> {
    let Expr::Call(ExprCall { func, args, .. }) = value else { return None };
    let is_ok = func.to_token_stream().to_string().ends_with("Ok");
    args.first().filter(|inside| is_ok && is_value(inside))
}

/// Does this look like a value? A call may well give `()`; the compiler knows, and will say.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(paren) => is_value(&paren.expr),
        Expr::Group(group) => is_value(&group.expr),
        Expr::Tuple(tuple) => !tuple.elems.is_empty(),
        Expr::Macro(mac) => mac.mac.path.is_ident("vec"),
        Expr::Array(_)
        | Expr::Cast(_)
        | Expr::Closure(_)
        | Expr::Field(_)
        | Expr::Index(_)
        | Expr::Lit(_)
        | Expr::Path(_)
        | Expr::Range(_)
        | Expr::Reference(_)
        | Expr::Repeat(_)
        | Expr::Struct(_) => true,
        _ => false,
    }
}
