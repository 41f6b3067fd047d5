//! From tokens to the model.
//!
//! Complains only about what has no place in the model; [`check`](crate::check) does the rest.

mod durations;
mod function;
mod input;
mod options;
mod output;
mod words;
mod yields;

use proc_macro2::TokenStream;
use syn::FnArg;

use crate::complaints::Complaints;
use crate::model::{Delayed, Function};
use crate::names::ParameterNames;

pub(crate) use function::function;
pub(crate) use input::inside_option;
pub(crate) use options::library;
pub(crate) use output::{first_type_mut, last_segment, last_type, output, peel};

/// Interprets a function as a delayed one.
pub(crate) fn delayed(options: TokenStream, function: Function, complaints: &mut Complaints) -> Delayed {
    let options = options::options(options, complaints);
    let mut receiver = None;
    let mut inputs = Vec::new();
    let mut names = ParameterNames::default();
    for parameter in &function.sig.inputs {
        match parameter {
            FnArg::Receiver(written) => receiver = Some(written.clone()),
            FnArg::Typed(written) => {
                let mut input = input::input(written, &mut names);
                input.words = options.named.as_ref().map(|_| words::words(&mut input.attrs, complaints));
                inputs.push(input);
            }
        }
    }
    Delayed {
        options,
        receiver,
        inputs,
        output: output(&function.sig.output),
        generator: yields::generator(&function.body, complaints),
        function,
    }
}
