//! `const`, `unsafe`, `extern`, `...`, and methods without a body.

use syn::Safety;

use crate::complaints::Complaints;
use crate::model::{Delayed, WrittenBody};

pub(super) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    let sig = &delayed.function.sig;
    if let Some(token) = &sig.constness {
        complaints.about(
            token,
            "a `#[delayed]` function cannot be `const`: nothing of it runs before a run",
            "remove `const`",
        );
    }
    if let Safety::Unsafe(token) = &sig.safety {
        complaints.about(
            token,
            "a `#[delayed]` function cannot be `unsafe`: its caller does not say when it runs",
            "remove `unsafe`, and use an `unsafe` block in the body",
        );
    }
    if let Some(abi) = &sig.abi {
        complaints.about(
            abi,
            "a `#[delayed]` function cannot be `extern`: it takes and returns Rust types",
            "remove `extern`",
        );
    }
    if let Some(variadic) = &sig.variadic {
        complaints.about(variadic.dots, "a `#[delayed]` function cannot be variadic", "take a `Vec`");
    }
    if let WrittenBody::Missing(semicolon) = &delayed.function.body {
        complaints.about(
            semicolon,
            "a `#[delayed]` method needs a body",
            format!("declare the constructor instead: `fn {}(x: impl IntoArg<T>) -> DC<T>;`", sig.ident),
        );
    }
}
