//! What the attribute knows about a function: first as written, then as a delayed one.
//!
//! The model is wider than what is supported: a function with mistakes has one too, so that all of them can be reported
//! at once and a stub of the right shape can take its place.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::token::Brace;
use syn::{Attribute, Block, Expr, ExprPath, LitInt, LitStr, Pat, Receiver, Signature, Token, Type, Visibility};

/// A function as written. Its tokens are the function again.
#[derive(Clone)]
pub(crate) struct Function {
    /// Including inner ones: `#![allow(..)]` at the top of a body is here as `#[allow(..)]`.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: WrittenBody,
}

/// The tokens stay as they came: what we need not understand we cannot misunderstand.
#[derive(Clone)]
pub(crate) enum WrittenBody {
    Block(Brace, TokenStream),
    /// A trait's method without a body.
    Missing(Token![;]),
}

impl ToTokens for WrittenBody {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            WrittenBody::Block(brace, statements) => brace.surround(tokens, |inside| inside.extend(statements.clone())),
            WrittenBody::Missing(semicolon) => semicolon.to_tokens(tokens),
        }
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.attrs.iter().map(ToTokens::to_token_stream));
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// A function that becomes a constructor.
pub(crate) struct Delayed {
    pub(crate) options: Options,
    pub(crate) function: Function,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) output: Output,
    /// Only for a function that yields.
    pub(crate) generator: Option<Generator>,
}

impl Delayed {
    /// If the body is a future: the `async` that says so, or the `fn` if it is one only to wait for its turn.
    pub(crate) fn future(&self) -> Option<Span> {
        let sig = &self.function.sig;
        let limit = self.options.limit.as_ref().map(|_| sig.fn_token.span);
        sig.asyncness.map(|asyncness| asyncness.span).or(limit)
    }
}

/// What is written in `#[delayed(..)]`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    /// How many of its bodies may run at once.
    pub(crate) limit: Option<Limit>,
    pub(crate) in_flight: Option<InFlight>,
    /// `named`: arguments are given by their names, through a builder.
    pub(crate) named: Option<Ident>,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<Retries>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_if: Option<RetryIf>,
    /// The highest is taken first.
    pub(crate) priority: Option<i32>,
}

/// How many bodies may run at once.
pub(crate) enum Limit {
    /// `limit = 4`: of this function.
    Own(LitInt),
    /// `limit = "db"`: of all functions that name it.
    Named(LitStr),
}

/// `in_flight = 16`: how much of what a generator yields is in flight at most.
pub(crate) struct InFlight {
    pub(crate) key: Ident,
    pub(crate) count: u32,
}

/// `retries = 3`: how many more tries there are after the first.
pub(crate) struct Retries {
    pub(crate) key: Ident,
    pub(crate) count: LitInt,
}

/// `backoff = "100ms..10s"`: how long to wait before the second try, and how long that may become.
pub(crate) struct Backoff {
    pub(crate) key: Ident,
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

/// `retry_if = path`: a function that says whether a failure is worth another try.
pub(crate) struct RetryIf {
    pub(crate) key: Ident,
    pub(crate) function: ExprPath,
}

/// A parameter other than `self`.
pub(crate) struct Input {
    /// They go to the body's variable: they are lints about it.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) pattern: Pat,
    /// The name of the constructor's parameter. Ours: the body cannot see it.
    pub(crate) name: Ident,
    pub(crate) written: Type,
    pub(crate) passing: Passing,
    /// Only for a function with `named`.
    pub(crate) words: Option<Words>,
}

/// How an argument of a function with `named` is given, as its parameter declares it.
#[derive(Default)]
pub(crate) struct Words {
    pub(crate) docs: Vec<Attribute>,
    /// `start_fn`: by position, where the call starts.
    pub(crate) start_fn: Option<Ident>,
    /// `default` or `default = ..`
    pub(crate) default: Option<(Ident, Option<Expr>)>,
    /// `required`: an `Option` like any other type.
    pub(crate) required: Option<Ident>,
    /// `name = ..`: the setter's.
    pub(crate) name: Option<Ident>,
}

/// Whether a caller has to give an argument.
pub(crate) enum Giving<'a> {
    Always,
    /// `x: Option<T>`, which is `None` if it is not given; holds the `T`.
    Optional(&'a Type),
    /// Holds the default, unless it is that of the type.
    Default(Option<&'a Expr>),
}

/// How the body gets an argument.
pub(crate) enum Passing {
    /// `x: T`
    Owned,
    /// `x: &T`, for the length of the call; holds the `T`.
    Borrowed(Box<Type>),
}

/// What the function returns, and what becomes of it.
pub(crate) struct Output {
    /// As written; `()` if nothing is.
    pub(crate) written: Type,
    pub(crate) shape: Shape,
}

/// A return type, judged by its name: an attribute sees no types.
pub(crate) enum Shape {
    /// `-> T`
    Value,
    /// `-> Result<T, E>`. An alias without arguments (`fmt::Result`) hides its `T`.
    Fallible(Option<Type>),
    /// `-> DC<T>`
    Growing,
    /// `-> Result<DC<T>, E>`; holds the `DC<T>`.
    FallibleGrowing(Type),
}

/// The body of a function that yields.
pub(crate) struct Generator {
    /// Every valid `yield_!(x)` is already a `put` on the yielder.
    pub(crate) body: Block,
    /// What is in the body and cannot stay.
    pub(crate) findings: Vec<Finding>,
}

/// Something in a generator's body that cannot stay.
pub(crate) enum Finding {
    /// A `yield_!` where the generator cannot be suspended.
    Misplaced(Place, Span),
    /// A `yield_!` without exactly one argument.
    NotOneArgument(TokenStream),
    /// A `yield_!` whose argument is no expression.
    Syntax(syn::Error),
    /// `return x`
    Return(Box<Expr>),
    /// `x.await`
    Await(Token![await]),
    /// `yield_!(x)?`
    Try(Token![?]),
}

/// A part of a generator's body that is not the generator itself.
#[derive(Clone)]
pub(crate) enum Place {
    Closure,
    Async,
    /// A nested function, or another item.
    Item,
    Const,
    /// The arguments of another macro, by its name.
    Macro(String),
    /// Syntax that is newer than our parser.
    Unknown,
}
