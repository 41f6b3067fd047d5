//! The receiver and the parameters.

use quote::ToTokens;
use syn::{Attribute, Receiver, ReceiverKind, Type, TypeReference};

use super::borrows;
use crate::complaints::Complaints;
use crate::model::{Delayed, Input, Passing};
use crate::parse::{last_segment, peel};

/// The longest tuple of inputs for which the runtime has an implementation.
const N_PARAMETERS_MAX: usize = 16;

/// Can a caller pass something of the type as it is written?
pub(crate) fn can_be_passed(input: &Input) -> bool {
    let mut complaints = Complaints::default();
    check_parameter(input, &mut complaints);
    complaints.is_empty()
}

pub(super) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    if let Some(receiver) = &delayed.receiver {
        check_receiver(receiver, complaints);
    }
    for input in &delayed.inputs {
        check_attributes(&input.attrs, complaints);
        check_parameter(input, complaints);
    }
    if let Some(input) = delayed.inputs.get(N_PARAMETERS_MAX) {
        complaints.about(
            &input.pattern,
            format!("a `#[delayed]` function takes at most {N_PARAMETERS_MAX} parameters"),
            "bundle some of them into a struct",
        );
    }
}

const OWN_SELF: &str = "take `self`, `self: Box<Self>` or `self: Arc<Self>`";

fn check_receiver(receiver: &Receiver, complaints: &mut Complaints) {
    check_attributes(&receiver.attrs, complaints);
    let borrowed = "a `#[delayed]` method cannot borrow `self`: it runs later, when the borrow may be over";
    match &receiver.kind {
        ReceiverKind::Reference(and, lifetime, mutability) => {
            let mut guilty = and.to_token_stream();
            lifetime.to_tokens(&mut guilty);
            mutability.to_tokens(&mut guilty);
            receiver.self_token.to_tokens(&mut guilty);
            complaints.about(guilty, borrowed, OWN_SELF);
        }
        ReceiverKind::Typed(_, ty) => {
            if let Some(rc) = last_segment(ty).filter(|segment| segment.ident == "Rc") {
                let what = "a `#[delayed]` method cannot take `Rc<Self>`: it may run on another thread";
                complaints.about(&rc.ident, what, OWN_SELF);
            }
            let borrows = borrows::of(ty);
            if let Some(reference) = borrows.elided.first() {
                complaints.about(reference, borrowed, OWN_SELF);
            } else if let Some(lifetime) = borrows.lifetimes.first() {
                complaints.about(lifetime, borrowed, OWN_SELF);
            }
        }
        _ => {}
    }
}

fn check_parameter(input: &Input, complaints: &mut Complaints) {
    let borrows = borrows::of(&input.written);
    for impl_token in &borrows.impls {
        complaints.about(
            impl_token,
            "`impl Trait` cannot be a parameter of a `#[delayed]` function: its type needs a name",
            "name it: `fn f<T: Trait + Send + 'static>(x: T)`",
        );
    }
    let whole = match (&input.passing, peel(&input.written)) {
        (Passing::Borrowed(_), Type::Reference(whole)) => Some(whole),
        _ => None,
    };
    if let Some(reference) = whole {
        check_whole(reference, complaints);
    }
    let is_whole = |reference: &TypeReference| whole.is_some_and(|whole| std::ptr::eq(whole, reference));
    for reference in borrows.elided.into_iter().filter(|reference| !is_whole(reference)) {
        complaints.about(
            reference,
            "a `#[delayed]` function cannot take a borrow inside another type: it runs later, when the borrow may be over",
            "own it (`String` for `&str`, `Vec<T>` for `&[T]`), or borrow the whole parameter",
        );
    }
    let of_whole = whole.and_then(|whole| whole.lifetime.as_ref());
    for lifetime in borrows.lifetimes {
        if !of_whole.is_some_and(|whole| std::ptr::eq(whole, lifetime)) {
            complaints.about(
                lifetime,
                format!(
                    "a `#[delayed]` function cannot take something that lives only for `{lifetime}`: it runs later"
                ),
                "own what is borrowed here",
            );
        }
    }
}

/// A parameter that is a borrow: only `&T` is possible.
fn check_whole(reference: &TypeReference, complaints: &mut Complaints) {
    if let Some(mutability) = &reference.mutability {
        let mut guilty = reference.and_token.to_token_stream();
        reference.lifetime.to_tokens(&mut guilty);
        mutability.to_tokens(&mut guilty);
        complaints.about(
            guilty,
            "a `#[delayed]` function cannot borrow mutably: it runs later, when the borrow may be over",
            "take the value as `mut x: T`, and return it",
        );
    }
    if let Some(lifetime) = reference.lifetime.as_ref().filter(|lifetime| lifetime.ident != "_") {
        complaints.about(
            lifetime,
            "a borrowed parameter of a `#[delayed]` function is borrowed from the graph, for the call only",
            format!("remove `{lifetime}`, write `&T`"),
        );
    }
}

fn check_attributes(attrs: &[Attribute], complaints: &mut Complaints) {
    const LINTS: [&str; 6] = ["allow", "cfg_attr", "deny", "expect", "forbid", "warn"];
    for attr in attrs {
        if attr.path().is_ident("builder") {
            let what = "`#[builder(..)]` is about an argument that is given by its name";
            complaints.about(attr.path(), what, "write `#[delayed(named)]`, or remove this one");
        } else if !LINTS.iter().any(|lint| attr.path().is_ident(lint)) {
            let what = "a parameter of a `#[delayed]` function takes only `#[cfg]` and lint attributes";
            let help = if attr.path().is_ident("doc") {
                "document the parameter at the function; or write `#[delayed(named)]`, where each has a setter"
            } else {
                "remove this one"
            };
            complaints.about(attr, what, help);
        }
    }
}
