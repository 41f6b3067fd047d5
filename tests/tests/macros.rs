//! What `#[delayed]` makes of every kind of function.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::num::ParseIntError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskgraph::{DC, Error, IntoArg, IntoRef, Runtime, delayed};

fn try_run<T: Send + 'static>(computation: DC<T>) -> Result<T, Error> {
    Runtime::builder().max_workers(2).no_control().build().expect("two workers are few").run(computation)
}

#[track_caller]
fn check<T: Send + Debug + PartialEq + 'static>(computation: DC<T>, expected: T) {
    match try_run(computation) {
        Ok(value) => assert_eq!(value, expected),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn check_fails<T: Send + 'static>(computation: DC<T>) {
    assert!(try_run(computation).is_err(), "the computation should have failed");
}

#[delayed]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

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
        check_fails(question_mark("1", "two"));
        check(aliased("ab\nc"), 2);
        check_fails(aliased(""));
        check(alias_without_arguments(true), ());
        check_fails(alias_without_arguments(false));
        check(fibonacci(10), 55);
        check(parsed_fibonacci("10"), 55);
        check_fails(parsed_fibonacci("ten"));
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
        check_fails(add(add(1, 2), add(parse("three"), 4)));
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
        let text = try_run(computation).expect_err("no luck").to_string();
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

mod methods {
    use super::*;

    #[derive(Clone)]
    struct Counted {
        used: u32,
        unused: Arc<()>,
    }

    impl Counted {
        #[delayed]
        fn new(used: u32) -> Self {
            Self { used, unused: Arc::default() }
        }

        #[delayed]
        fn by_value(self, more: u32) -> u32 {
            self.used + more
        }

        #[delayed]
        fn by_mutable_value(mut self) -> u32 {
            self.used += Self::MORE;
            self.used
        }

        #[delayed]
        fn boxed(self: Box<Self>) -> Self {
            *self
        }

        #[delayed]
        fn counted(self: Arc<Self>, more: &u32) -> u32 {
            self.used + more
        }

        #[delayed]
        fn unused(self) {}

        #[delayed]
        fn generator(mut self, n: u32) -> Vec<u32> {
            for _ in 0..n {
                self.used += 1;
                yield_!(self.clone().by_value(n));
            }
        }

        const MORE: u32 = 1;
    }

    impl<T: Send + 'static> Boxed<T> {
        #[delayed]
        fn open(self, _: u32) -> T {
            self.0
        }

        #[delayed]
        fn close(value: T) -> Self {
            Self(value)
        }
    }

    struct Boxed<T>(T);

    /// Declares a constructor, which a delayed method implements.
    trait Scale {
        fn scale(self, factor: impl IntoArg<u32>, name: impl IntoRef<str>) -> DC<usize>;
    }

    impl Scale for u32 {
        #[delayed]
        fn scale(self, factor: u32, name: &str) -> usize {
            (self * factor) as usize + name.len()
        }
    }

    trait Area: Sized + Send + 'static {
        const SIDES: u32;

        #[delayed]
        fn area(self) -> u32 {
            Self::SIDES
        }

        #[delayed]
        fn sides(more: u32) -> u32 {
            Self::SIDES + more
        }
    }

    impl Area for Counted {
        const SIDES: u32 = 7;
    }

    impl Area for u32 {
        const SIDES: u32 = 0;

        #[delayed]
        fn area(self) -> u32 {
            self
        }
    }

    #[test]
    fn methods_keep_their_receiver() {
        let counted = || Counted { used: 1, unused: Arc::default() };
        check(Counted::new(1).map(|new| new.used), 1);
        check(counted().by_value(add(1, 1)), 3);
        check(counted().by_mutable_value(), 2);
        check(Box::new(counted()).boxed().then(Counted::by_mutable_value), 2);
        check(Arc::new(counted()).counted(2), 3);
        check(counted().generator(2), vec![4, 5]);
        check(Boxed::close("text".to_owned()).then(|closed| closed.open(0)), "text".to_owned());
        check(counted().area(), 7);
        check(5u32.area(), 5);
        check(Counted::sides(1), 8);
        check(2u32.scale(add(1, 2), "a"), 7);
    }

    #[test]
    fn a_receiver_is_dropped_when_the_task_has_run() {
        let unused = Arc::new(());
        let counted = || Counted { used: 1, unused: Arc::clone(&unused) };
        let delayed = (counted().by_value(1), counted().unused(), counted().generator(1));
        assert_eq!(Arc::strong_count(&unused), 4, "the whole receiver waits for the task");
        check(delayed.0, 2);
        check(delayed.1, ());
        check(delayed.2, vec![3]);
        assert_eq!(Arc::strong_count(&unused), 1);
        assert_eq!(counted().unused, unused);
    }
}

mod generators {
    use super::*;

    #[delayed]
    fn everywhere(n: u32, text: &str) -> Vec<u32> {
        yield_!(0);
        yield_![add(0, 1)];
        yield_! { 2 }
        taskgraph::yield_!(3);
        if n == 0 {
            yield_!(100)
        } else if n == 1 {
            yield_!(add(2, 2));
        }
        match n {
            1 => yield_!(5),
            _ => (),
        }
        let () = yield_!(6);
        let mut i = 7;
        while i < 9 {
            yield_!(i);
            i += 1;
        }
        let last = 'outer: loop {
            for j in 9..12 {
                if j == 11 {
                    break 'outer j;
                }
                yield_!(j);
            }
        };
        {
            yield_!(last);
        }
        let Some(_) = text.chars().next() else {
            yield_!(12);
            return;
        };
        yield_!(add(text.len() as u32, {
            yield_!(99);
            1
        }));
        let [()] = [yield_!(13)];
    }

    #[delayed]
    fn nothing(n: u32) -> Vec<u32> {
        if n > 0 {
            yield_!(n);
        }
    }

    #[delayed]
    fn words(text: &str) -> Result<HashMap<String, u32>, ParseIntError> {
        for line in text.lines() {
            let (word, count) = line.split_once(' ').unwrap_or((line, "1"));
            let count: u32 = count.parse()?;
            if count == 0 {
                return Ok(());
            }
            yield_!((word.to_owned(), count));
        }
        Ok(())
    }

    #[delayed]
    fn trailing_yield() -> Vec<u32> {
        yield_!(1)
    }

    #[delayed]
    fn endless(n: u32) -> Result<Vec<u32>, String> {
        let mut i = 0;
        loop {
            yield_!(i);
            i += 1;
            if i == n {
                return Ok(());
            }
        }
    }

    #[delayed]
    fn nested(n: u32) -> Vec<Vec<u32>> {
        #[delayed]
        fn inner(n: u32) -> Vec<u32> {
            yield_!(n);
            yield_!(n);
        }
        for i in 0..n {
            yield_!(inner(i));
        }
    }

    #[delayed]
    fn only_inside(n: u32) -> Vec<u32> {
        #[delayed]
        fn inner(n: u32) -> Vec<u32> {
            yield_!(n);
        }
        drop(inner(1).map(|_| ()).map(drop));
        vec![n]
    }

    #[test]
    fn a_body_may_yield_at_any_place() {
        check(everywhere(1, ""), vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        check(everywhere(0, "ab").map(|all| all[4..].to_vec()), vec![100, 6, 7, 8, 9, 10, 11, 99, 3, 13]);
        check(nothing(0), vec![]);
        check(nothing(1), vec![1]);
        check(words("a 1\nb 2"), HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
        check(words("a 1\nb 0\nc d"), HashMap::from([("a".to_owned(), 1)]));
        check_fails(words("a b"));
        check(trailing_yield(), vec![1]);
        check(endless(2), vec![0, 1]);
        check(nested(2), vec![vec![0, 0], vec![1, 1]]);
    }

    #[test]
    fn only_the_function_with_the_yield_is_a_generator() {
        check(only_inside(1), vec![1]);
    }
}

mod hygiene {
    use super::*;

    // Names that generated code must not mean.
    #[allow(dead_code, non_camel_case_types)]
    mod shadows {
        use taskgraph::delayed;

        mod core {}
        mod std {}
        mod taskgraph_private {}
        struct Option;
        struct Some;
        struct None;
        struct str;
        trait Send {}
        trait Sized {}

        #[delayed]
        pub(super) fn shadowed(a: u32, (b, _): (u32, u8)) -> Vec<u32> {
            yield_!(a);
            yield_!(b);
        }

        #[delayed(name = "named")]
        pub(super) fn plain(a: u32) -> u32 {
            a
        }
    }

    type Number = u32;

    /// What a body declares must not change what its parameters mean.
    #[delayed]
    #[allow(unused_variables)]
    fn items_in_the_body(a: Number, b: &Number) -> Number {
        type Number = u64;
        #[allow(non_upper_case_globals, dead_code)]
        const a: u64 = 7;
        let sum: Number = a + Number::from(*b);
        sum as u32
    }

    macro_rules! function {
        ($(#[$attr:meta])* $vis:vis $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
            $(#[$attr])* #[delayed] $vis fn $name($($arg: $ty),*) -> $ret $body
        };
    }

    function! {
        /// Made by a macro.
        pub(crate) made(a: u32, b: &str) -> Result<u32, ParseIntError> { Ok(a + b.parse::<u32>()?) }
    }

    function! {
        made_generator(a: u32, b: &[u32]) -> Vec<u32> {
            yield_!(a);
            for &b in b { yield_!(b); }
        }
    }

    macro_rules! hygienic {
        ($name:ident, $x:ident, $pattern:pat, $value:expr, $statement:stmt) => {
            #[delayed]
            fn $name(x: u32, $x: u32, $pattern: (u32, u32)) -> Vec<u32> {
                $statement;
                yield_!(x);
                yield_!($x + $value);
                yield_!($value);
            }
        };
    }

    hygienic!(two_of_one_spelling, x, (_, y), x * 10 + y, let _z = x);

    macro_rules! method {
        ($name:ident, $this:ident, $body:expr) => {
            impl Wrapper {
                #[delayed]
                fn $name($this, more: u32) -> u32 {
                    more + $body
                }
            }
        };
    }

    struct Wrapper(u32);

    method!(unwrapped, self, self.0);

    macro_rules! item {
        ($item:item) => {
            #[delayed]
            $item
        };
    }

    item! {
        fn whole(a: u32) -> Vec<u32> {
            yield_!(a);
        }
    }

    macro_rules! yielding {
        ($($value:expr),*) => {
            #[delayed]
            fn from_values() -> Vec<u32> {
                $( yield_!($value); )*
            }
        };
    }

    yielding!(1, add(1, 1), { 3 });

    #[test]
    fn names_mean_what_they_mean_where_they_are_written() {
        check(shadows::shadowed(1, (2, 3)), vec![1, 2]);
        check(shadows::plain(1), 1);
        check(items_in_the_body(1, 2), 9);
        check(made(1, "2"), 3);
        check(made_generator(1, vec![2, 3]), vec![1, 2, 3]);
        check(two_of_one_spelling(1, 2, (0, 3)), vec![1, 25, 23]);
        check(Wrapper(1).unwrapped(2), 3);
        check(whole(1), vec![1]);
        check(from_values(), vec![1, 2, 3]);
    }
}

/// Nothing that the attribute writes may be warned about, whatever is switched on.
#[deny(
    warnings,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    missing_debug_implementations,
    missing_docs,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]
mod lints {
    use std::num::ParseIntError;
    use std::sync::Arc;

    use taskgraph::{DC, IntoArg, IntoRef, delayed};

    #[delayed]
    fn plain(a: u32, mut b: u32, _: u32, _c: u32) -> u32 {
        b += 1;
        a + b
    }

    #[delayed]
    fn borrowed(text: &str, by_value: String, (a, b): (u32, u32)) -> usize {
        text.len() + by_value.len() + a as usize + b as usize
    }

    #[delayed]
    fn fallible(text: &str) -> Result<u32, ParseIntError> {
        text.parse()
    }

    #[delayed]
    fn growing(text: &str) -> Result<DC<u32>, ParseIntError> {
        let n: u32 = text.parse()?;
        Ok(plain(n, 1, 1, 1))
    }

    #[delayed]
    fn nothing(_: &str) {}

    #[delayed]
    fn object(f: &(dyn Fn(u32) -> u32 + Send + Sync)) -> u32 {
        f(1)
    }

    #[delayed]
    fn generator(n: u32, text: &str, _: Vec<u32>) -> Vec<u32> {
        for i in 0..n {
            yield_!(i);
        }
        yield_!(fallible(text.to_owned()))
    }

    #[delayed]
    fn fallible_generator(text: &str) -> Result<Vec<u32>, ParseIntError> {
        let n: u32 = text.parse()?;
        yield_!(n);
        Ok(())
    }

    struct Receiver(Arc<u32>);

    impl Receiver {
        #[delayed]
        fn new(n: u32) -> Self {
            Self(Arc::new(n))
        }

        #[delayed]
        fn read(self) -> u32 {
            *self.0
        }

        #[delayed]
        fn ignored(self) {}
    }

    #[delayed]
    fn panics(n: u32) -> u32 {
        panic!("{n}")
    }

    #[delayed]
    fn opaque(n: u32) -> impl Iterator<Item = u32> + Send {
        0..n
    }

    #[expect(clippy::redundant_pub_crate, reason = "rustc and clippy want opposite things here")]
    pub(super) fn use_all(a: impl IntoArg<u32>, text: impl IntoRef<str>) -> Vec<DC<()>> {
        let identity: Arc<dyn Fn(u32) -> u32 + Send + Sync> = Arc::new(|x| x);
        vec![
            plain(a, 1, 2, 3).map(drop),
            borrowed(text, "", (1, 2)).map(drop),
            growing("1").map(drop),
            nothing("1"),
            object(identity).map(drop),
            generator(1, "2", Vec::<u32>::new()).map(drop),
            fallible_generator("1").map(drop),
            Receiver::new(1).then(Receiver::read).map(drop),
            Receiver(Arc::new(1)).ignored(),
            opaque(1).map(drop),
        ]
    }

    #[expect(clippy::redundant_pub_crate, reason = "as above")]
    pub(super) fn panicking() -> DC<u32> {
        panics(1)
    }
}

#[test]
fn generated_code_gives_no_warnings() {
    for computation in lints::use_all(1, "text") {
        check(computation, ());
    }
    check_fails(lints::panicking());
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
