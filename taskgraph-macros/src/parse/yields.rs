//! Generators: finds every `yield_!(x)` in a body and replaces it with what it stands for.
//!
//! ```text
//! in:   for part in parts { yield_!(count(part)); }
//! out:  for part in parts { { let __pause = __yielder.put(count(part)); __yielder.pause(__pause).await }; }
//!
//! in:   let total = yield_!(count(part));
//! out:  let total = { let (__shared, __pause) = __yielder.put_shared(count(part)); __yielder.pause(__pause).await; __shared };
//! ```
//!
//! A `yield_!` whose value is [used](Use) gives a handle on the result; any other is `()`. What `x` borrows meanwhile, such
//! as the guard of a lock, is gone before the body is suspended.
//!
//! A `yield_!` suspends the function that it is in, so it cannot work in a closure, a nested item, an `async` block, or
//! among the tokens of another macro (which alone decides what they mean). Those are noted as findings.

use std::mem;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Block, Expr, Ident, Item, Local, Macro, Pat, Stmt, StmtMacro, Token};

use crate::complaints::Complaints;
use crate::model::{Finding, Generator, Place, WrittenBody};
use crate::names;

/// The body as a generator, if it is one. Otherwise it is not even parsed.
pub(crate) fn generator(body: &WrittenBody, complaints: &mut Complaints) -> Option<Generator> {
    let WrittenBody::Block(brace, statements) = body else { return None };
    if let Some(span) = bare_yield(statements.clone()) {
        complaints.at(span, "a body does not yield with the keyword `yield`", "write `yield_!(..)`");
    }
    first_yield(statements.clone())?;
    let stmts = match Block::parse_within.parse2(statements.clone()) {
        Ok(stmts) => stmts,
        Err(error) => {
            complaints.syntax(error);
            return None;
        }
    };
    let mut body = Block { brace_token: *brace, stmts };
    let mut rewrite = Rewrite::default();
    rewrite.visit_block_mut(&mut body);
    rewrite.yields.then_some(Generator { body, findings: rewrite.findings })
}

/// What becomes of the value of the expression that is visited.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Use {
    /// Nothing: it ends a statement, or a block whose value is not used.
    #[default]
    Dropped,
    /// It is the value of a variable, or of a block, branch or arm whose value is used.
    Kept,
    /// It is a part of a larger expression.
    Operand,
}

#[derive(Default)]
struct Rewrite {
    /// Of the expression that is visited next.
    used: Use,
    /// Where we are, if not in the generator itself.
    place: Option<Place>,
    /// Was there a `yield_!`, at the right place or not? The only ones may be those of a delayed function inside this one.
    yields: bool,
    findings: Vec<Finding>,
}

impl Rewrite {
    fn visit_used(&mut self, used: Use, visit: impl FnOnce(&mut Self)) {
        let outside = mem::replace(&mut self.used, used);
        visit(self);
        self.used = outside;
    }

    fn within(&mut self, place: Place, visit: impl FnOnce(&mut Self)) {
        let outside = self.place.replace(place);
        visit(self);
        self.place = outside;
    }

    /// What a `yield_!(x)` becomes.
    fn put(&mut self, attrs: &[Attribute], mac: &Macro) -> TokenStream {
        let Some(yielded) = self.yielded(mac) else { return quote!(()) };
        let written = mac.path.span();
        let yielder = names::yielder(written);
        let put = quote_spanned! {names::here_at(written)=> {
            let __pause = #yielder.put(#yielded);
            #yielder.pause(__pause).await
        }};
        quote!(#(#attrs)* #put)
    }

    /// What a `yield_!(x)` whose value is used becomes, such as that of `let name = yield_!(x)`.
    fn put_shared(&mut self, attrs: &[Attribute], mac: &Macro) -> TokenStream {
        let Some(yielded) = self.yielded(mac) else { return quote!(()) };
        let written = mac.path.span();
        let yielder = names::yielder(written);
        let put = quote_spanned! {names::here_at(written)=> {
            let (__shared, __pause) = #yielder.put_shared(#yielded);
            #yielder.pause(__pause).await;
            __shared
        }};
        let put = if self.used == Use::Operand { quote_spanned!(names::here()=> (#put)) } else { put };
        quote!(#(#attrs)* #put)
    }

    /// The `x` of a `yield_!(x)` at the right place.
    fn yielded(&mut self, mac: &Macro) -> Option<Expr> {
        self.yields = true;
        if let Some(place) = &self.place {
            self.findings.push(Finding::Misplaced(place.clone(), mac.path.span()));
            return None;
        }
        match argument(mac) {
            Ok(mut yielded) => {
                self.visit_used(Use::Operand, |inside| inside.visit_expr_mut(&mut yielded));
                Some(yielded)
            }
            Err(finding) => {
                self.findings.push(finding);
                None
            }
        }
    }

    /// Looks for a `yield_!` where nothing can be rewritten.
    fn search(&mut self, place: Place, tokens: TokenStream) {
        if let Some(span) = first_yield(tokens) {
            self.yields = true;
            self.findings.push(Finding::Misplaced(place, span));
        }
    }
}

impl VisitMut for Rewrite {
    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        match stmt {
            Stmt::Macro(written) if is_yield(&written.mac) && self.used != Use::Dropped => {
                *stmt = Stmt::Expr(Expr::Verbatim(self.put_shared(&written.attrs, &written.mac)), None);
            }
            Stmt::Macro(written) if is_yield(&written.mac) => {
                let put = self.put(&written.attrs, &written.mac);
                let semicolon = written.semi_token.unwrap_or(Token![;](names::here()));
                *stmt = Stmt::Expr(Expr::Verbatim(put), Some(semicolon));
            }
            _ => visit_mut::visit_stmt_mut(self, stmt),
        }
    }

    /// The value of a block is that of its last expression.
    fn visit_block_mut(&mut self, block: &mut Block) {
        let used = self.used;
        let last = block.stmts.len().saturating_sub(1);
        for (i, stmt) in block.stmts.iter_mut().enumerate() {
            let is_value =
                i == last && matches!(stmt, Stmt::Expr(_, None) | Stmt::Macro(StmtMacro { semi_token: None, .. }));
            self.visit_used(if is_value { used } else { Use::Dropped }, |inside| inside.visit_stmt_mut(stmt));
        }
    }

    fn visit_local_mut(&mut self, local: &mut Local) {
        let Some(init) = &mut local.init else { return };
        let used = if takes_nothing(&local.pat) { Use::Dropped } else { Use::Kept };
        self.visit_used(used, |inside| inside.visit_expr_mut(&mut init.expr));
        if let Some((_, otherwise)) = &mut init.diverge {
            self.visit_expr_mut(otherwise);
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Macro(written) if is_yield(&written.mac) => {
                let attrs = mem::take(&mut written.attrs);
                *expr = Expr::Verbatim(match self.used {
                    Use::Dropped => self.put(&attrs, &written.mac),
                    Use::Kept | Use::Operand => self.put_shared(&attrs, &written.mac),
                });
            }
            // The value of these is that of a part of them.
            Expr::Paren(_) | Expr::Group(_) | Expr::Block(_) | Expr::Unsafe(_) => visit_mut::visit_expr_mut(self, expr),
            Expr::If(branch) => {
                self.visit_used(Use::Kept, |inside| inside.visit_expr_mut(&mut branch.cond));
                self.visit_block_mut(&mut branch.then_branch);
                if let Some((_, otherwise)) = &mut branch.else_branch {
                    self.visit_expr_mut(otherwise);
                }
            }
            Expr::Match(matching) => {
                self.visit_used(Use::Kept, |inside| inside.visit_expr_mut(&mut matching.expr));
                for arm in &mut matching.arms {
                    // It may have a guard.
                    self.visit_used(Use::Kept, |inside| inside.visit_pat_mut(&mut arm.pat));
                    self.visit_expr_mut(&mut arm.body);
                }
            }
            Expr::ForLoop(_) | Expr::Loop(_) | Expr::While(_) | Expr::Break(_) | Expr::Return(_) => {
                self.note(expr);
                self.visit_used(Use::Dropped, |inside| visit_mut::visit_expr_mut(inside, expr));
            }
            Expr::Assign(assign) if matches!(*assign.left, Expr::Infer(_)) => {
                self.visit_used(Use::Dropped, |inside| inside.visit_expr_mut(&mut assign.right));
            }
            Expr::Closure(closure) => {
                self.within(Place::Closure, |inside| visit_mut::visit_expr_closure_mut(inside, closure));
            }
            Expr::Async(block) => self.within(Place::Async, |inside| visit_mut::visit_expr_async_mut(inside, block)),
            Expr::Const(block) => self.within(Place::Const, |inside| visit_mut::visit_expr_const_mut(inside, block)),
            Expr::Verbatim(unknown) => self.search(Place::Unknown, unknown.clone()),
            _ => {
                self.note(expr);
                self.visit_used(Use::Operand, |inside| visit_mut::visit_expr_mut(inside, expr));
            }
        }
    }

    fn visit_item_mut(&mut self, item: &mut Item) {
        self.within(Place::Item, |inside| visit_mut::visit_item_mut(inside, item));
    }

    fn visit_macro_mut(&mut self, mac: &mut Macro) {
        let name = mac.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        self.search(Place::Macro(name), mac.tokens.clone());
    }

    // A function that is delayed itself handles its own yields.

    fn visit_item_fn_mut(&mut self, function: &mut syn::ItemFn) {
        if !is_delayed(&function.attrs) {
            visit_mut::visit_item_fn_mut(self, function);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut syn::ImplItemFn) {
        if !is_delayed(&function.attrs) {
            visit_mut::visit_impl_item_fn_mut(self, function);
        }
    }

    fn visit_trait_item_fn_mut(&mut self, function: &mut syn::TraitItemFn) {
        if !is_delayed(&function.attrs) {
            visit_mut::visit_trait_item_fn_mut(self, function);
        }
    }
}

impl Rewrite {
    /// Notes what only matters in the generator itself.
    fn note(&mut self, expr: &Expr) {
        if self.place.is_some() {
            return;
        }
        match expr {
            Expr::Return(returning) => {
                self.findings.extend(returning.expr.clone().map(Finding::Return));
            }
            Expr::Await(awaiting) => self.findings.push(Finding::Await(awaiting.await_token)),
            Expr::Try(trying) if matches!(unwrapped(&trying.expr), Expr::Macro(mac) if is_yield(&mac.mac)) => {
                self.findings.push(Finding::Try(trying.question_token));
            }
            _ => {}
        }
    }
}

/// What is in parentheses, if anything is.
fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => unwrapped(&paren.expr),
        Expr::Group(group) => unwrapped(&group.expr),
        _ => expr,
    }
}

/// `_`, or `()`
fn takes_nothing(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Tuple(tuple) => tuple.elems.is_empty(),
        Pat::Type(typed) => takes_nothing(&typed.pat),
        _ => false,
    }
}

/// The `x` of `yield_!(x)`.
fn argument(mac: &Macro) -> Result<Expr, Finding> {
    let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(mac.tokens.clone());
    let mut arguments = arguments.map_err(Finding::Syntax)?.into_iter();
    match (arguments.next(), arguments.next()) {
        (Some(yielded), None) => Ok(yielded),
        _ => Err(Finding::NotOneArgument(mac.to_token_stream())),
    }
}

/// `yield_!(x)`, also by path: `taskgraph::yield_!(x)`.
fn is_yield(mac: &Macro) -> bool {
    mac.path.segments.last().is_some_and(|segment| segment.ident == "yield_")
}

fn is_delayed(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().segments.last().is_some_and(|segment| segment.ident == "delayed"))
}

/// The first `yield_!` among tokens, at any depth.
fn first_yield(tokens: TokenStream) -> Option<Span> {
    let mut candidate = None;
    for token in tokens {
        match token {
            TokenTree::Punct(bang) if bang.as_char() == '!' && candidate.is_some() => return candidate,
            TokenTree::Group(group) => {
                if let Some(found) = first_yield(group.stream()) {
                    return Some(found);
                }
                candidate = None;
            }
            TokenTree::Ident(name) => candidate = (name == "yield_").then(|| name.span()),
            _ => candidate = None,
        }
    }
    None
}

/// The first keyword `yield` among tokens; but not among those of a macro, which may give it a meaning, nor where an unstable
/// compiler knows it.
fn bare_yield(tokens: TokenStream) -> Option<Span> {
    // Whether the next group is that of a macro, or of a `gen` block.
    let mut is_others = false;
    let mut last = None;
    for token in tokens {
        let before = last.take();
        match token {
            TokenTree::Ident(name) if name == "yield" => return Some(name.span()),
            TokenTree::Ident(name) => {
                // The name in `macro_rules! name { .. }` comes between.
                is_others = is_others || name == "gen";
                last = Some(name);
            }
            TokenTree::Punct(punct) => is_others = punct.as_char() == '!' && before.is_some_and(is_name),
            TokenTree::Literal(_) => is_others = false,
            TokenTree::Group(_) if mem::take(&mut is_others) => {}
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket && is_coroutine(&group) => return None,
            TokenTree::Group(group) => {
                if let Some(found) = bare_yield(group.stream()) {
                    return Some(found);
                }
            }
        }
    }
    None
}

/// Not a keyword.
fn is_name(word: Ident) -> bool {
    syn::parse2::<Ident>(word.into_token_stream()).is_ok()
}

/// What `#[coroutine]` has in its brackets.
fn is_coroutine(brackets: &Group) -> bool {
    syn::parse2::<Ident>(brackets.stream()).is_ok_and(|name| name == "coroutine")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&str>) {
        let Block { brace_token, stmts } = syn::parse_str::<Block>(body).expect("the test is written in Rust");
        let body = WrittenBody::Block(brace_token, quote!(#(#stmts)*));
        let mut complaints = Complaints::default();
        let found = generator(&body, &mut complaints).map(|generator| generator.body);
        let expected = expected.map(|expected| syn::parse_str::<Block>(expected).expect("the test is written in Rust"));
        assert_eq!(found.map(|block| quote!(#block).to_string()), expected.map(|block| quote!(#block).to_string()));
        assert!(complaints.is_empty());
    }

    #[test]
    fn every_yield_becomes_a_put() {
        check("{ yield_!(x); }", Some("{ { let __pause = __yielder.put(x); __yielder.pause(__pause).await }; }"));
        check("{ yield_![x] }", Some("{ { let __pause = __yielder.put(x); __yielder.pause(__pause).await } }"));
        check(
            "{ yield_! { f(x) } y(); }",
            Some("{ { let __pause = __yielder.put(f(x)); __yielder.pause(__pause).await }; y(); }"),
        );
        check(
            "{ taskgraph::yield_!(x,); }",
            Some("{ { let __pause = __yielder.put(x); __yielder.pause(__pause).await }; }"),
        );
        check(
            "{ #[cfg(a)] yield_!(x); }",
            Some("{ #[cfg(a)] { let __pause = __yielder.put(x); __yielder.pause(__pause).await }; }"),
        );
        check(
            "{ if a { yield_!(x) } }",
            Some("{ if a { { let __pause = __yielder.put(x); __yielder.pause(__pause).await } } }"),
        );
        check(
            "{ let () = yield_!(x); }",
            Some("{ let () = { let __pause = __yielder.put(x); __yielder.pause(__pause).await }; }"),
        );
        check(
            "{ let y = yield_!(x); }",
            Some(
                "{ let y = { let (__shared, __pause) = __yielder.put_shared(x); __yielder.pause(__pause).await; __shared }; }",
            ),
        );
        let shared = |x| {
            format!(
                "{{ let (__shared, __pause) = __yielder.put_shared({x}); __yielder.pause(__pause).await; __shared }}"
            )
        };
        let used = |body: &str| check(body, Some(&body.replace("yield_!(x)", &shared("x"))));
        used("{ let (y, _): T = if a { yield_!(x) } else { match b { _ => { f(); yield_!(x) } } }; }");
        used("{ let y = if a { yield_!(x) } else { return }; }");
        used("{ if let Some(y) = a && b { let y = yield_!(x); } }");
        let operand = |body: &str| check(body, Some(&body.replace("yield_!(x)", &format!("({})", shared("x")))));
        operand("{ all.push(yield_!(x)); }");
        operand("{ y = [yield_!(x)]; }");
        operand("{ yield_!(x).await?; }");
        operand("{ f([yield_!(x), #[cfg(a)] yield_!(x)]); }");
        check("{ let y = { yield_! { x } }; }", Some(&format!("{{ let y = {{ {} }}; }}", shared("x"))));
        let dropped = |body: &str| {
            check(
                body,
                Some(&body.replace("yield_!(x)", "{ let __pause = __yielder.put(x); __yielder.pause(__pause).await }")),
            );
        };
        dropped("{ _ = yield_!(x); }");
        dropped("{ loop { break yield_!(x); } }");
        dropped("{ let Some(y) = z else { return yield_!(x) }; }");
        operand("{ let y = S { x: yield_!(x), y: (a, yield_!(x)) }; }");
        check(
            "{ let _ = if a { yield_!(x) } else { for y in z { yield_!(x) } }; }",
            Some(
                "{ let _ = if a { { let __pause = __yielder.put(x); __yielder.pause(__pause).await } } else { for y in z { { let __pause = __yielder.put(x); __yielder.pause(__pause).await } } }; }",
            ),
        );
        check(
            "{ match a { _ => yield_!(x), } }",
            Some("{ match a { _ => { let __pause = __yielder.put(x); __yielder.pause(__pause).await }, } }"),
        );
        check(
            "{ yield_!(f({ yield_!(x); y })); }",
            Some(
                "{ { let __pause = __yielder.put(f({ { let __pause = __yielder.put(x); __yielder.pause(__pause).await }; y })); __yielder.pause(__pause).await }; }",
            ),
        );
    }

    #[test]
    fn the_keyword_is_no_yield() {
        let finds = |body: &str| bare_yield(body.parse().expect("the test is written in tokens")).is_some();
        assert!(finds("yield x;") && finds("for x in y { if a { yield x; } }") && finds("f(yield x)"));
        assert!(!finds("yield_!(x); r#yield(x); let x = stream! { yield x; };"));
        assert!(!finds("macro_rules! dsl { (yield $x:expr) => { $x } }"));
        assert!(!finds("let x = gen { yield x; }; let y = #[coroutine] || { yield x };"));
        assert!(finds("f!(x); if !a { yield x; }"));
    }

    #[test]
    fn a_function_without_a_yield_of_its_own_is_no_generator() {
        check("{ yield_ != x; }", None);
        check("{ #[delayed] fn f() -> Vec<u8> { yield_!(1); } f(); }", None);
        check("{ impl S { #[taskgraph::delayed(name = \"f\")] fn f() -> Vec<u8> { yield_!(1); } } }", None);
    }
}
