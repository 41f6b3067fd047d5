//! What `#[delayed]` makes of a function's parameters, result, attributes, name and generics.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::num::ParseIntError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskgraph::{DC, delayed};
use taskgraph_tests::checks::check;
use taskgraph_tests::run;
use taskgraph_tests::tasks::add;

#[delayed]
fn parse(text: &str) -> Result<u32, ParseIntError> {
    text.parse()
}

mod shapes {
    use super::*;

    #[delayed]
    fn nothing() {}

    #[delayed]
    fn unit() -> () {}

    #[delayed]
    fn question_mark(a: &str, b: &str) -> Result<u32, ParseIntError> {
        let a: u32 = a.parse()?;
        Ok(a + b.parse::<u32>()?)
    }

    #[delayed]
    fn aliased(text: &str) -> std::io::Result<usize> {
        text.lines().next().map(str::len).ok_or_else(|| std::io::Error::other("no line"))
    }

    #[delayed]
    fn alias_without_arguments(fine: bool) -> std::fmt::Result {
        if fine { Ok(()) } else { Err(std::fmt::Error) }
    }

    #[delayed]
    fn fibonacci(n: u32) -> DC<u32> {
        if n < 2 {
            return DC::value(n);
        }
        add(fibonacci(n - 1), fibonacci(n - 2))
    }

    #[delayed]
    fn parsed_fibonacci(n: &str) -> Result<taskgraph::DC<u32>, ParseIntError> {
        Ok(fibonacci(n.parse::<u32>()?))
    }

    #[delayed]
    #[allow(unused_parens)]
    fn parenthesized(n: u32) -> (Result<(DC<(u32)>), ParseIntError>) {
        Ok(fibonacci(n))
    }

    #[delayed]
    fn opaque(n: u32) -> impl Iterator<Item = u32> + Send {
        0..n
    }

    #[delayed]
    fn opaque_result(n: &str) -> Result<impl Iterator<Item = u32> + Send, ParseIntError> {
        let n = n.parse()?;
        Ok(0..n)
    }

    #[delayed]
    fn result_of_option(n: u32) -> Option<Result<u32, String>> {
        Some(Err(n.to_string()))
    }

    #[test]
    fn a_result_is_what_its_name_says() {
        check(nothing(), ());
        check(unit(), ());
        check(question_mark("1", "2"), 3);
        assert!(run(question_mark("1", "two"), 2).is_err());
        check(aliased("ab\nc"), 2);
        assert!(run(aliased(""), 2).is_err());
        check(alias_without_arguments(true), ());
        assert!(run(alias_without_arguments(false), 2).is_err());
        check(fibonacci(10), 55);
        check(parsed_fibonacci("10"), 55);
        assert!(run(parsed_fibonacci("ten"), 2).is_err());
        check(parenthesized(10), 55);
        check(opaque(3).map(Iterator::collect::<Vec<_>>), vec![0, 1, 2]);
        check(opaque_result("3").map(Iterator::count), 3);
        check(result_of_option(1), Some(Err("1".to_owned())));
    }
}

mod parameters {
    use super::*;

    struct Point {
        x: u32,
        y: u32,
    }

    #[delayed]
    fn patterns((a, b): (u32, u32), [c, .., d]: [u32; 4], Point { x, y: _ }: Point, &e: &u32, _: String) -> u32 {
        a + b + c + d + x + e
    }

    #[delayed]
    fn mutable(mut values: Vec<u32>, mut last: u32) -> Vec<u32> {
        last += 1;
        values.push(last);
        values
    }

    #[delayed]
    fn bound(whole @ (first, _): (u32, u32), ref name: String) -> (u32, u32, usize) {
        (whole.1, first, name.len())
    }

    #[delayed]
    fn borrowed(text: &str, parts: &[u32], path: &Path, exact: &Vec<u32>, whole: &(u32, u32)) -> usize {
        text.len() + parts.len() + path.as_os_str().len() + exact.len() + whole.0 as usize
    }

    #[delayed]
    #[allow(unused_parens)]
    fn for_ever(name: &'static str, parenthesized: &(str)) -> String {
        format!("{name} {parenthesized}")
    }

    #[delayed]
    fn functions(f: fn(&str) -> &str, g: Box<dyn for<'a> Fn(&'a str) -> usize + Send>) -> usize {
        g(f("  four "))
    }

    #[delayed]
    #[rustfmt::skip]
    #[expect(clippy::too_many_arguments, reason = "as many as there may be")]
    fn sixteen(
        a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32,
        i: u32, j: u32, k: u32, l: u32, m: u32, n: u32, o: u32, p: u32,
    ) -> u32 {
        a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p
    }

    #[delayed]
    fn r#match(r#type: u32) -> u32 {
        r#type
    }

    #[delayed]
    fn our_names(__arg0: u32, __yielder: u32, __ended: u32, (x, _): (u32, u32)) -> Vec<u32> {
        yield_!(__arg0 + __yielder);
        yield_!(__ended + x);
    }

    #[test]
    fn an_argument_reaches_the_body_by_any_pattern() {
        check(patterns((1, 2), [4, 0, 0, 8], Point { x: 16, y: 0 }, 32, "unused"), 63);
        let point = Point { x: 0, y: 1 };
        assert_eq!(point.y, 1);
        check(mutable(vec![1], add(1, 1)), vec![1, 3]);
        check(bound((1, 2), "three"), (2, 1, 5));
        check(borrowed("a", vec![1, 2], Path::new("abc").to_owned(), vec![1], (4, 0)), 11);
        check(for_ever("a", "b"), "a b".to_owned());
        check(
            functions(
                str::trim as fn(&str) -> &str,
                Box::new(str::len) as Box<dyn for<'a> Fn(&'a str) -> usize + Send>,
            ),
            4,
        );
        check(sixteen(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, add(0, 1)), 16);
        check(r#match(add(1, 2)), 3);
        check(our_names(1, 2, 4, (8, 0)), vec![3, 12]);
    }

    #[test]
    fn all_arguments_may_be_delayed() {
        check(add(add(1, 2), add(parse("3"), 4)), 10);
        assert!(run(add(add(1, 2), add(parse("three"), 4)), 2).is_err());
    }
}

mod attributes {
    use super::*;

    /// Says hello.
    #[delayed(name = "a name")]
    #[must_use = "a greeting"]
    #[inline]
    #[track_caller]
    pub(super) fn decorated() -> u32 {
        #![allow(unused_variables)]
        let unused = 1;
        2
    }

    #[inline(never)]
    #[delayed()]
    fn below(#[expect(unused_variables, reason = "only the type counts")] a: u32) -> u32 {
        3
    }

    #[delayed]
    #[expect(unused_mut, reason = "attributes of the function are about its body")]
    fn expected(a: u32) -> u32 {
        let mut b = a;
        a + b
    }

    #[delayed]
    fn conditional(
        a: u32,
        #[cfg(test)] b: u32,
        #[cfg(not(test))] b: &str,
        #[cfg(test)]
        #[allow(unused_variables)]
        #[cfg(not(any()))]
        c: u32,
    ) -> u32 {
        a + b
    }

    #[delayed]
    fn conditional_generator(n: u32) -> Vec<u32> {
        yield_!(n);
        #[cfg(test)]
        yield_!(n + 1);
        #[cfg(not(test))]
        yield_!(n + 2);
    }

    #[test]
    fn attributes_mean_what_they_mean_on_any_function() {
        check(decorated(), 2);
        check(below(1), 3);
        check(expected(1), 2);
        check(conditional(1, 2, 3), 3);
        check(conditional_generator(1), vec![1, 2]);
    }
}

mod names {
    use super::*;

    #[delayed]
    fn unlucky() -> Result<(), &'static str> {
        Err("no luck")
    }

    #[delayed(name = "the last hope")]
    fn r#try() -> Result<(), &'static str> {
        Err("no luck")
    }

    #[track_caller]
    fn check_names(computation: DC<()>, parts: &[&str]) {
        let text = run(computation, 2).expect_err("no luck").to_string();
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in `{text}`");
        }
    }

    #[test]
    fn an_error_names_the_function_and_the_line_of_the_call() {
        let here = format!("macros.rs:{}", line!() + 1);
        check_names(unlucky(), &["unlucky", &here, "no luck"]);
        let here = format!("macros.rs:{}", line!() + 1);
        check_names(r#try(), &["try", "the last hope", &here]);
    }
}

mod generics {
    use super::*;

    #[delayed]
    fn largest<T: PartialOrd + Send + 'static, const N: usize>(values: [T; N]) -> Option<T>
    where
        Option<T>: Clone,
    {
        let mut values = values.into_iter();
        let first = values.next()?;
        Some(values.fold(first, |a, b| if a < b { b } else { a }))
    }

    #[delayed]
    fn apply<F: FnOnce(T) -> U + Send + 'static, T: Send + 'static, U: Send + 'static>(f: F, x: T) -> U {
        f(x)
    }

    #[delayed]
    fn show<T: ?Sized + Debug + Send + Sync + 'static>(value: &T) -> String
    where
        Arc<T>: Clone,
    {
        format!("{value:?}")
    }

    #[delayed]
    fn collect<C>(n: u32) -> C
    where
        C: FromIterator<u32> + IntoIterator<Item = u32> + Send + 'static,
    {
        for i in 0..n {
            yield_!(i);
        }
    }

    #[test]
    fn generics_stay() {
        check(largest([1, 3, 2]), Some(3));
        check(apply(|x: u32| x + 1, 1), 2);
        check(show::<u32>(1), "1".to_owned());
        check(collect::<BTreeSet<u32>>(3), BTreeSet::from([0, 1, 2]));
    }
}

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[delayed]
fn counts_runs() {
    RUNS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn calling_the_constructor_runs_nothing() {
    let delayed = counts_runs();
    assert_eq!(RUNS.load(Ordering::Relaxed), 0);
    check(delayed, ());
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
}
