//! Calls with named arguments, `#[delayed(named)]`.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::num::ParseIntError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskgraph::{DC, delayed};
use taskgraph_tests::checks::check;
use taskgraph_tests::run;

#[delayed]
fn text(text: &str) -> String {
    text.to_owned()
}

#[delayed]
fn parse(text: &str) -> Result<u32, ParseIntError> {
    text.parse()
}

mod arguments {
    use super::*;

    #[delayed(named)]
    fn show(
        #[builder(start_fn)] first: String,
        #[builder(start_fn)] second: &str,
        owned: Vec<u32>,
        borrowed: &[u32],
        optional: Option<String>,
        #[builder(default)] other: u32,
        #[builder(default = Path::new("by default"))] path: &Path,
    ) -> String {
        let path = path.display();
        format!("{first} {second} {owned:?} {borrowed:?} {optional:?} {other} {path}")
    }

    #[test]
    fn an_argument_is_a_value_or_delayed_or_shared() {
        let values = show("a", "b").owned(vec![1]).borrowed(vec![2]).optional("c").other(3).path("d");
        check(values.dc(), "a b [1] [2] Some(\"c\") 3 d".to_owned());

        let numbers = || DC::value(vec![4, 5]);
        let path = DC::value(Path::new("e").to_owned());
        let delayed = show(text("a"), text("b")).owned(numbers()).borrowed(numbers()).optional(text("c"));
        check(delayed.other(parse("6")).path(path).dc(), "a b [4, 5] [4, 5] Some(\"c\") 6 e".to_owned());

        let (text, numbers, number) = (text("a").shared(), numbers().shared(), parse("7").shared());
        let shared = || {
            let shared = show(text.clone(), text.clone()).owned(numbers.clone()).borrowed(numbers.clone());
            shared.optional(text.clone()).other(number.clone()).path(text.clone()).dc()
        };
        let expected = "a a [4, 5] [4, 5] Some(\"a\") 7 a".to_owned();
        check(taskgraph::all([shared(), shared()]), vec![expected.clone(), expected]);
    }

    #[test]
    fn a_collection_of_computations_is_an_argument() {
        let many = || (0..100).map(|i| parse(i.to_string()));
        let both = show("a", "b").owned(many().collect::<Vec<_>>()).borrowed(many().collect::<Vec<_>>());
        check(both.dc().map(|text| text.matches("99").count()), 2);
    }
}

mod defaults {
    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    fn asked() -> u32 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        7
    }

    #[delayed(named)]
    fn lazy(#[builder(default = asked())] x: u32) -> u32 {
        x
    }

    #[delayed(named)]
    fn window(
        #[builder(start_fn)] values: Vec<u32>,
        #[builder(default = values.len())] end: usize,
        #[builder(default = end / 2)] start: usize,
        #[builder(default = &values[..1])] suffix: &[u32],
    ) -> Vec<u32> {
        [&values[start..end], suffix].concat()
    }

    #[delayed(named)]
    fn options(
        left_out: Option<u32>,
        #[builder(required)] whole: Option<u32>,
        #[builder(required, default = Some(1))] some: Option<u32>,
        #[builder(default)] nested: Vec<Option<u32>>,
    ) -> Vec<Option<u32>> {
        [&[left_out, whole, some][..], &nested].concat()
    }

    #[test]
    fn a_default_is_made_in_the_task_and_only_if_it_is_needed() {
        let (with, without) = (lazy().x(1).dc(), lazy().dc());
        assert_eq!(ASKED.load(Ordering::Relaxed), 0);
        check(with, 1);
        assert_eq!(ASKED.load(Ordering::Relaxed), 0);
        check(without, 7);
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_default_may_depend_on_earlier_arguments() {
        let values = || DC::value(vec![1, 2, 3, 4]);
        check(window(values()).dc(), vec![3, 4, 1]);
        check(window(values()).end(2).dc(), vec![2, 1]);
        check(window(values()).start(3).end(4).suffix(vec![9]).dc(), vec![4, 9]);
    }

    #[test]
    fn an_option_that_is_not_given_is_none() {
        check(options().whole(None).dc(), vec![None, None, Some(1)]);
        let maybe = options().maybe_left_out(Some(parse("5"))).whole(DC::value(Some(6))).some(None);
        check(maybe.nested(vec![None]).dc(), vec![Some(5), Some(6), None, None]);
        check(
            options().maybe_left_out(None::<u32>).whole(None).maybe_some(None::<Option<u32>>).dc(),
            vec![None, None, Some(1)],
        );
    }
}

mod failures {
    use super::*;

    #[delayed(named, name = "the last hope")]
    fn hopeless(#[builder(start_fn)] reason: String, #[builder(default)] _more: u32) -> Result<(), String> {
        Err(reason)
    }

    #[delayed(named)]
    fn take(
        held: Arc<()>,
        number: u32,
        lent: &Arc<()>,
        more: Option<Arc<()>>,
        #[builder(default = 1)] last: u32,
        #[builder(default)] names: Vec<String>,
    ) -> u32 {
        drop(held);
        let _ = (lent, more, names);
        number + last
    }

    struct NoClone;

    impl Clone for NoClone {
        fn clone(&self) -> Self {
            panic!("there is only one of me")
        }
    }

    #[delayed(named)]
    fn twice(#[builder(start_fn)] _one: NoClone) {}

    #[test]
    fn an_error_names_the_line_where_the_call_ends() {
        let started = hopeless("no luck");
        let (dc, line) = (started.dc(), line!());
        let error = run(dc, 2).expect_err("no luck");
        let task = error.task().expect("a task has failed");
        assert_eq!((task.name(), task.label(), task.line()), ("hopeless", Some("the last hope"), line));
        assert!(task.file().ends_with("named.rs"));
        assert!(error.to_string().ends_with("failed: no luck"));
    }

    #[test]
    fn a_trace_has_the_call_and_nothing_of_the_builder() {
        let (dc, line) = (take().held(Arc::default()).number(parse("one").shared()).lent(Arc::new(())).dc(), line!());
        let error = run(dc, 2).expect_err("it is no number");
        assert_eq!(error.task().map(|task| task.name()), Some("parse"));
        let trace: Vec<_> = error.trace().iter().map(|task| (task.name(), task.line())).collect();
        assert_eq!(trace, [("take", line)]);
    }

    #[delayed(named)]
    fn sum(numbers: &[u32]) -> u32 {
        numbers.iter().sum()
    }

    #[test]
    fn a_trace_through_a_long_list_stays_in_the_file() {
        let numbers = (0..99).map(|_| parse("1")).chain([parse("one")]);
        let (dc, line) = (sum().numbers(numbers.collect::<Vec<_>>()).dc(), line!());
        let error = run(dc, 2).expect_err("one is no number");
        assert_eq!(error.trace().last().map(|task| (task.name(), task.line())), Some(("sum", line)));
        assert!(error.trace().iter().all(|task| task.file().ends_with("named.rs")), "{error:#}");
    }

    #[test]
    fn what_fails_before_the_call_is_at_its_line_too() {
        let shared = DC::value(()).map(|()| NoClone).shared();
        let (dc, line) = (twice(shared.clone()).dc(), line!());
        let error = run(dc, 2).expect_err("somebody else needs it, too");
        assert!(error.is_panic());
        assert_eq!(error.task().map(|task| task.line()), Some(line));
        drop(shared);
    }

    #[test]
    fn what_was_given_is_dropped_once_however_the_call_ends() {
        let held = Arc::new(());
        let call = |number: DC<u32>| {
            let shared = DC::value(Arc::clone(&held)).shared();
            take().held(DC::value(Arc::clone(&held))).number(number).lent(shared).more(Arc::clone(&held))
        };
        check(call(parse("1")).dc(), 2);
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(run(call(parse("one")).dc(), 2).is_err());
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(run(call(parse("1")).last(parse("one")).names(vec![text("a"), text("b")]).dc(), 2).is_err());
        assert_eq!(Arc::strong_count(&held), 1);
        let not_run = call(parse("1")).names(vec![text("a"), text("b")]).dc();
        assert!(1 < Arc::strong_count(&held));
        drop(not_run);
        drop(call(parse("1")).last(1));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

mod shapes {
    use super::*;

    #[delayed(named)]
    fn no_arguments() {}

    #[delayed(named)]
    fn largest<T: PartialOrd + Send + 'static, const N: usize>(values: [T; N], or: Option<u8>) -> Option<T>
    where
        Option<T>: Clone,
    {
        let mut values = values.into_iter();
        let first = values.next().filter(|_| or.is_none())?;
        Some(values.fold(first, |a, b| if a < b { b } else { a }))
    }

    #[delayed(named)]
    fn show<T: ?Sized + Debug + Send + Sync + 'static>(
        #[builder(start_fn)] value: &T,
        #[builder(default)] or: &str,
    ) -> String {
        format!("{value:?}{or}")
    }

    #[delayed(named)]
    fn fibonacci(n: u32) -> DC<u32> {
        if n < 2 {
            return DC::value(n);
        }
        DC::new(|a: u32, b: u32| a + b, (fibonacci().n(n - 1).dc(), fibonacci().n(n - 2).dc()))
    }

    #[delayed(named)]
    fn parsed_fibonacci(n: &str) -> Result<DC<u32>, ParseIntError> {
        Ok(fibonacci().n(n.parse::<u32>()?).dc())
    }

    #[delayed(named)]
    fn count<C>(#[builder(default = 1)] from: u32, to: u32) -> Result<C, String>
    where
        C: FromIterator<u32> + IntoIterator<Item = u32> + Send + 'static,
    {
        if to < from {
            return Err("backwards".to_owned());
        }
        for i in from..to {
            yield_!(i);
        }
        Ok(())
    }

    #[delayed(named)]
    fn opaque(n: u32) -> impl Iterator<Item = u32> + Send {
        0..n
    }

    #[delayed(named)]
    #[allow(unused_parens)]
    fn patterns(
        #[builder(start_fn)] (a, b): (u32, u32),
        #[builder(name = third)] [c, ..]: [u32; 2],
        mut d: u32,
        _unused: u8,
        r#type: u32,
        #[builder(name = r#match)] e: (Option<(u32)>),
    ) -> u32 {
        d += 1;
        a + b + c + d + r#type + e.unwrap_or(0)
    }

    #[delayed(named)]
    fn r#if(
        #[cfg(test)] a: u32,
        #[cfg(not(test))] a: &str,
        #[cfg(not(test))] b: u32,
        #[cfg(test)]
        #[allow(unused)]
        c: u32,
    ) -> u32 {
        a
    }

    #[test]
    fn every_kind_of_function_may_have_named_arguments() {
        check(no_arguments().dc(), ());
        check(largest().values([1, 3, 2]).dc(), Some(3));
        check(largest::<f32, 2>().values([1.0, 3.0]).dc(), Some(3.0));
        check(show::<u32>(1).dc(), "1".to_owned());
        check(show::<str>("a").or("b").dc(), "\"a\"b".to_owned());
        check(fibonacci().n(10).dc(), 55);
        check(parsed_fibonacci().n("10").dc(), 55);
        assert!(run(parsed_fibonacci().n("ten").dc(), 2).is_err());
        check(count::<BTreeSet<u32>>().to(parse("3")).dc(), BTreeSet::from([1, 2]));
        assert!(run(count::<Vec<u32>>().from(2).to(1).dc(), 2).is_err());
        check(opaque().n(3).dc().map(Iterator::count), 3);
    }

    #[test]
    fn a_setter_has_the_name_of_its_parameter() {
        check(patterns((1, 2)).third([4, 0]).d(7).unused(0).r#type(16).dc(), 31);
        check(patterns((1, 2)).third([4, 0]).d(7).unused(0).r#type(16).r#match(32).dc(), 63);
        check(patterns((1, 2)).third([4, 0]).d(7).unused(0).r#type(16).maybe_match(Some(32)).dc(), 63);
        check(r#if().c(1).a(2).dc(), 2);
    }

    #[test]
    fn arguments_may_be_given_bit_by_bit_and_anywhere() {
        fn is_send(_: &impl Send) {}
        let started = patterns((DC::value(1), parse("2"))).third([4, 0]);
        is_send(&started);
        let computation = std::thread::spawn(move || started.d(0).unused(0).r#type(0).dc()).join().expect("no panic");
        check(computation, 8);
    }
}

mod places {
    use super::*;

    mod inside {
        /// Says hello.
        #[taskgraph::delayed(named)]
        #[must_use = "a greeting"]
        #[inline]
        pub(in super::super) fn public(
            /// To whom.
            name: &str,
        ) -> String {
            #![allow(unused_variables)]
            let unused = 1;
            format!("hello {name}")
        }
    }

    macro_rules! function {
        ($(#[$attr:meta])* $vis:vis $name:ident($($arg:ident: $ty:ty = $default:expr),*) -> $ret:ty $body:block) => {
            $(#[$attr])* #[delayed(named)] $vis fn $name($(#[builder(default = $default)] $arg: $ty),*) -> $ret $body
        };
    }

    function! {
        /// Made by a macro.
        pub(super) made(a: u32 = 1, b: &str = "2") -> Result<u32, ParseIntError> { Ok(a + b.parse::<u32>()?) }
    }

    #[cfg(not(test))]
    #[delayed(named)]
    fn nowhere(a: u32) {}

    #[delayed(named)]
    #[cfg(not(test))]
    fn nowhere(a: u32) {}

    #[test]
    fn a_function_with_named_arguments_may_be_anywhere() {
        #[delayed(named)]
        fn local(a: u32, b: Option<u32>) -> u32 {
            a + b.unwrap_or(1)
        }

        fn nowhere() {}

        check(inside::public().name("you").dc(), "hello you".to_owned());
        check(made().a(2).dc(), 4);
        check(local().a(1).dc(), 2);
        nowhere();
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

    use taskgraph::{DC, delayed};

    #[delayed(named)]
    fn plain(
        #[builder(start_fn)] a: u32,
        mut b: u32,
        _c: u32,
        #[builder(default = 1 + b)] d: u32,
        e: Option<u32>,
    ) -> u32 {
        b += 1;
        a + b + d + e.unwrap_or(0)
    }

    #[delayed(named)]
    fn borrowed(text: &str, #[builder(default)] _name: &str, #[builder(default = "a")] last: &str) -> usize {
        text.len() + last.len()
    }

    #[delayed(named)]
    fn fallible_generator(text: &str, #[builder(default = text.len())] n: usize) -> Result<Vec<u32>, ParseIntError> {
        for _ in 0..n {
            yield_!(text.parse::<u32>()?);
        }
        Ok(())
    }

    #[expect(clippy::redundant_pub_crate, reason = "rustc and clippy want opposite things here")]
    pub(super) fn use_all() -> Vec<DC<()>> {
        vec![
            plain(1).b(2).c(3).dc().map(drop),
            borrowed().text("a").dc().map(drop),
            fallible_generator().text("1").dc().map(drop),
        ]
    }
}

#[test]
fn generated_code_gives_no_warnings() {
    for computation in lints::use_all() {
        check(computation, ());
    }
}

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[delayed]
fn counts_runs() -> u32 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    1
}

#[delayed(named)]
fn counts_runs_too(#[builder(start_fn)] _argument: u32, _other: &u32) {
    RUNS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn nothing_runs_before_a_run() {
    let shared = counts_runs().shared();
    let delayed = counts_runs_too(counts_runs()).other(shared.clone()).dc();
    let never_finished = counts_runs_too(counts_runs()).other(shared);
    drop(never_finished);
    assert_eq!(RUNS.load(Ordering::Relaxed), 0);
    check(delayed, ());
    assert_eq!(RUNS.load(Ordering::Relaxed), 3);
}
