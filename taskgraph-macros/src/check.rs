//! From the model to everything that is wrong with it.

mod borrows;
mod generator;
mod named;
mod options;
mod parameters;
mod qualifiers;
mod result;

pub(crate) use named::is_method;
pub(crate) use parameters::can_be_passed;

use crate::complaints::Complaints;
use crate::model::Delayed;

/// Complains about everything that a delayed function cannot be, in the order it is written.
pub(crate) fn check(delayed: &Delayed, complaints: &mut Complaints) {
    options::check(delayed, complaints);
    qualifiers::check(delayed, complaints);
    parameters::check(delayed, complaints);
    named::check(delayed, complaints);
    result::check(delayed, complaints);
    generator::check(delayed, complaints);
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;

    use super::*;
    use crate::parse;

    /// The complaints about a function, without the help.
    fn complaints(options: &str, function: &str) -> Vec<String> {
        let mut complaints = Complaints::default();
        let tokens: TokenStream = function.parse().expect("the test is written in Rust");
        if let Some(function) = parse::function(tokens, &mut complaints) {
            let delayed =
                parse::delayed(options.parse().expect("the test is written in Rust"), function, &mut complaints);
            check(&delayed, &mut complaints);
        }
        complaints
            .texts()
            .iter()
            .map(|text| text.lines().next().expect("a complaint says something").to_owned())
            .collect()
    }

    #[test]
    fn what_is_fine_is_not_complained_about() {
        let fine = [
            "fn f() {}",
            "fn f(a: &str, b: &[u8], c: &'static str, d: &'_ str, _: (u8, &'static str)) -> &'static str { c }",
            "fn f(a: fn(&str) -> &str, b: Box<dyn for<'a> Fn(&'a u8) -> &'a u8 + Send>) {}",
            "fn f(a: [u8; { let x = &1; *x }], b: Cow<'static, str>) {}",
            "fn f(mut self: Box<Self>, #[allow(unused)] a: u8) -> impl Iterator<Item = &'static str> { x }",
            "fn f() -> Vec<u8> { yield_!(1); return; }",
            "fn f() -> Result<Vec<u8>, E> { yield_!(g()?); return Err(E); Ok(()) }",
            "fn f() -> Vec<u8> { yield_!(1); xs.iter().map(|x| { return x; }).for_each(g) }",
            "fn f() -> Vec<u8> { yield_!(1); loop {} }",
            "async fn f() -> Result<Vec<u8>, E> { let y = yield_!(x.await?); y.await?; Ok(()) }",
        ];
        for function in fine {
            assert_eq!(complaints("name = \"f\"", function), [""; 0], "about `{function}`");
        }
    }

    #[test]
    fn every_mistake_is_complained_about_once() {
        let cases = [
            ("fn f(&self) {}", "a `#[delayed]` method cannot borrow `self`"),
            ("fn f(self: &Arc<Self>) {}", "a `#[delayed]` method cannot borrow `self`"),
            ("fn f(self: Foo<'_>) {}", "a `#[delayed]` method cannot borrow `self`"),
            ("fn f(self: Rc<Self>) {}", "a `#[delayed]` method cannot take `Rc<Self>`"),
            ("fn f(a: &mut u8) {}", "a `#[delayed]` function cannot borrow mutably"),
            ("fn f(a: &(dyn Any + '_)) {}", "a `#[delayed]` function cannot take something that lives only for `'_`"),
            ("fn f<'a>(a: &'a u8) {}", "a borrowed parameter of a `#[delayed]` function"),
            ("fn f(a: Vec<&u8>) {}", "a `#[delayed]` function cannot take a borrow inside another type"),
            ("fn f(a: impl Copy) {}", "`impl Trait` cannot be a parameter"),
            ("fn f() -> (u8, &u8) {}", "a `#[delayed]` function cannot return a borrow"),
            ("fn f() -> impl Iterator + '_ {}", "a `#[delayed]` function cannot return a borrow"),
            ("fn f() -> ! {}", "a `#[delayed]` function must return"),
            ("fn f(self);", "a `#[delayed]` method needs a body"),
            ("fn f() -> Vec<u8> { yield_!(x.await); }", "`.await` only works in an `async fn`"),
            ("const fn f() {}", "a `#[delayed]` function cannot be `const`"),
            ("unsafe fn f() {}", "a `#[delayed]` function cannot be `unsafe`"),
            ("extern \"C\" fn f() {}", "a `#[delayed]` function cannot be `extern`"),
            ("enum E {}", "`#[delayed]` makes a function a delayed computation"),
            ("fn f() { yield_!(1); }", "`f` yields, but has no return type"),
            ("fn f() -> DC<Vec<u8>> { yield_!(1); }", "a generator cannot return a `DC`"),
            ("fn f() -> Vec<u8> { const { yield_!(1) }; }", "`yield_!` does not work in a `const` block"),
            ("fn f() -> Vec<u8> { g!(yield_!(1)); }", "`yield_!` does not work inside another macro, `g!`"),
            ("fn f() -> Vec<u8> { yield_!(1); [1] }", "a generator returns what it has yielded"),
            ("fn f() -> Vec<u8> { yield_!(1); return x; }", "a generator returns what it has yielded"),
        ];
        for (function, expected) in cases {
            let found = complaints("", function);
            assert!(matches!(&found[..], [one] if one.starts_with(expected)), "`{function}` gives {found:#?}");
        }
    }

    #[test]
    fn named_arguments_may_be_given_in_these_ways() {
        let fine = [
            "fn f() {}",
            "fn f(#[builder(start_fn)] (a, _): (u8, u8), b: &str, mut c: u8, _d: Option<&'static str>) {}",
            "fn f(#[builder(default)] a: u8, #[builder(default = b(1, c::<u8, u8>()))] b: &u8) {}",
            "fn f(#[builder(required, default = Some(1))] a: Option<u8>, #[builder(required)] b: (Option<u8>)) {}",
            "fn f(/** The first. */ #[builder(name = a, default)] (x, y): (u8, u8), #[builder(name = r#type)] b: u8) {}",
            "fn f() { struct S; impl S { fn new() -> Self { Self } } }",
        ];
        for function in fine {
            assert_eq!(complaints("named", function), [""; 0], "about `{function}`");
        }
    }

    #[test]
    fn every_mistake_about_named_arguments_is_complained_about_once() {
        let cases = [
            ("fn f(self, a: u8) {}", "a method cannot have named arguments"),
            ("fn f(a: u8) -> Self { a }", "a method cannot have named arguments"),
            ("fn f(a: u8) { let b = Self::B; }", "a method cannot have named arguments"),
            ("fn f((a, _): (u8, u8)) {}", "a named argument needs a name"),
            ("fn f(_: u8) {}", "a named argument needs a name"),
            ("fn f(dc: u8) {}", "an argument cannot be called `dc`"),
            ("fn f(#[builder(name = dc)] a: u8) {}", "an argument cannot be called `dc`"),
            ("fn f(a: u8, _a: u8) {}", "two arguments are called `a`"),
            ("fn f(a: u8, #[builder(name = a)] b: u8) {}", "two arguments are called `a`"),
            ("fn f(a: u8, #[builder(start_fn)] b: u8) {}", "positional arguments come first"),
            ("fn f(#[builder(start_fn, default)] a: u8) {}", "a positional argument is always given"),
            ("fn f(#[builder(start_fn, name = b)] a: u8) {}", "a positional argument is always given"),
            ("fn f(#[builder(start_fn, required)] a: Option<u8>) {}", "a positional argument is always given"),
            ("fn f(/** Doc. */ #[builder(start_fn)] a: u8) {}", "a positional argument is always given"),
            ("fn f(#[builder(required)] a: u8) {}", "only an `Option` can be left out"),
            ("fn f(#[builder(default)] a: Option<u8>) {}", "an `Option` that is not given is `None`"),
            ("fn f(#[builder] a: u8) {}", "`#[builder]` needs at least one word here"),
            ("fn f(#[builder()] a: u8) {}", "`#[builder]` needs at least one word here"),
            ("fn f(#[builder(into)] a: u8) {}", "`#[delayed(named)]` does not know `into` of `#[builder(..)]`"),
            ("fn f(#[builder(start_fn(x))] a: u8) {}", "`#[delayed(named)]` does not know `start_fn` of"),
            ("fn f(#[builder(start_fn = 1)] a: u8) {}", "`start_fn` takes no value"),
            ("fn f(#[builder(name = \"b\")] a: u8) {}", "`name` takes the name of a method"),
            ("fn f(#[builder(name)] a: u8) {}", "`name` takes the name of a method"),
            ("fn f(#[builder(name = b, name = c)] a: u8) {}", "`name` is given twice"),
            ("fn f(#[builder(default)] #[builder(default = 1)] a: u8) {}", "`default` is given twice"),
            ("fn f(#[builder(default = )] a: u8) {}", "unexpected end of input"),
        ];
        for (function, expected) in cases {
            let found = complaints("named", function);
            assert!(matches!(&found[..], [one] if one.starts_with(expected)), "`{function}` gives {found:#?}");
        }
    }

    #[test]
    fn without_named_there_is_no_builder() {
        let found = complaints("", "fn f(#[builder(start_fn)] a: u8, #[builder(nonsense)] b: u8) {}");
        assert_eq!(found, ["`#[builder(..)]` is about an argument that is given by its name"; 2]);
        assert_eq!(complaints("named = 1", "fn f() {}"), ["`named` takes no value"]);
        assert_eq!(complaints("named, named", "fn f() {}"), ["`named` is given twice"]);
    }

    #[test]
    fn options_are_checked_with_the_function() {
        let found = complaints("nmae = \"f\", name = 1, name = \"f\", name = \"g\"", "const fn f() {}");
        let expected = [
            "`#[delayed]` has no option `nmae`",
            "`name` takes a string literal",
            "`name` is given twice",
            "a `#[delayed]` function cannot be `const`: nothing of it runs before a run",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn options_may_be_written_in_these_ways() {
        let fine = [
            ("limit = 4", "fn f(self) {}"),
            ("limit = \"db\",", "async fn f() {}"),
            ("in_flight = 16u8", "fn f() -> Vec<u8> { yield_!(1); }"),
            ("timeout = \"1m 30s\", priority = 5", "fn f(self: Arc<Self>) {}"),
            ("priority = -2147483648", "fn f() {}"),
            ("retries = 3", "fn f(a: u8, b: &str) -> Self {}"),
            ("backoff = \"1s..1s\", retry_if = <E as Judge>::is_worth::<u8>, retries = 1", "fn f() {}"),
            ("crate = ::engine::taskgraph, priority = 1", "fn f(a: &str) -> Result<u8, u8> {}"),
            ("crate = crate::engine", "fn f(a: u8) {}"),
            ("named, retries = 1, retry_if = Self::f, limit = 1, timeout = \"100ms\", name = \"f\"", "fn f() {}"),
        ];
        for (options, function) in fine {
            assert_eq!(complaints(options, function), [""; 0], "about `{options}`");
        }
    }

    #[test]
    fn every_mistake_about_options_is_complained_about_once() {
        let cases = [
            (
                "limit = 0",
                "`limit` takes an integer literal from 1, or the name of a limit that several functions share",
            ),
            ("limit", "`limit` takes an integer literal from 1"),
            ("limit = db", "`limit` takes an integer literal from 1"),
            ("limit = \" \"", "the name of a limit is one word of at most 100 bytes"),
            ("limit = 1, limit = \"db\"", "`limit` is given twice"),
            ("in_flight = 0", "`in_flight` takes an integer literal from 1"),
            ("in_flight = 8", "`in_flight` says how much of what a generator yields is in flight, and this function"),
            ("timeout = 30", "`timeout` takes a duration in a string literal"),
            ("timeout = \"0s\"", "`0s` is zero"),
            ("timeout = \"30\"", "`30` is not a duration"),
            ("timeout = \"1s\", timeout = \"1s\"", "`timeout` is given twice"),
            ("retries = 0", "`retries` takes an integer literal from 1"),
            ("retries = \"3\", backoff = \"1s..2s\", retry_if = f", "`retries` takes an integer literal from 1"),
            ("retries = 1, retries = 2", "`retries` is given twice"),
            ("backoff = \"1s..2s\"", "`backoff` has no effect without `retries`"),
            ("retries = 1, backoff = \"1s\"", "`1s` has no `..` between two durations"),
            ("retries = 1, backoff = \"2s..1s\"", "the first delay, `2s`, is longer than the longest, `1s`"),
            ("retries = 1, backoff = 1..2", "`backoff` takes two durations in a string literal"),
            ("retry_if = f", "`retry_if` has no effect without `retries`"),
            ("retries = 1, retry_if = |e| true", "`retry_if` takes the path of a function"),
            ("retries = 1, retry_if = f()", "`retry_if` takes the path of a function"),
            ("retries = 1, retry_if = f, retry_if = f", "`retry_if` is given twice"),
            ("priority = 2147483648", "`priority` takes an integer literal from -2147483648 to 2147483647"),
            ("priority = 1.5", "`priority` takes an integer literal"),
            ("priority = 5s", "`priority` takes an integer literal"),
            ("priority = high", "`priority` takes an integer literal"),
            ("priority = 1, priority = -1", "`priority` is given twice"),
            ("crate = \"engine\"", "`crate` takes the path of this library, from a crate on"),
            ("crate = ::a, crate = ::b", "`crate` is given twice"),
            ("crate = engine", "`crate` takes the path of this library, from a crate on"),
            ("crate", "`crate` takes the path of this library, from a crate on"),
        ];
        for (options, expected) in cases {
            let found = complaints(options, "fn f(a: u8) {}");
            assert!(matches!(&found[..], [one] if one.starts_with(expected)), "`{options}` gives {found:#?}");
        }
        let expected = ["a method cannot be tried again: its receiver is used up"];
        assert_eq!(complaints("retries = 1", "fn f(self) {}"), expected);
    }
}
