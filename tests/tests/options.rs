//! Functions of each kind with each option: their results do not depend on the option.

use std::collections::BTreeSet;
use std::num::ParseIntError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskgraph::{DC, Error, delayed};
use taskgraph_tests::checks::check;
use taskgraph_tests::run;

fn is_worth_it(error: &ParseIntError) -> bool {
    error.to_string().is_empty()
}

mod judges {
    pub(super) fn always(_: &taskgraph::Error) -> bool {
        true
    }

    pub(super) fn never<E: std::error::Error>(_: &E) -> bool {
        false
    }
}

/// Functions of each kind, with the same options for all.
macro_rules! kinds {
    ($name:ident, $($option:tt)*) => {
        mod $name {
            use super::*;

            #[delayed($($option)*)]
            fn nothing() {}

            #[delayed($($option)*)]
            fn value(x: u64, (y, _): (u64, String)) -> u64 {
                x + y
            }

            #[delayed($($option)*)]
            fn fallible(text: &str, base: u32) -> Result<u64, ParseIntError> {
                u64::from_str_radix(text, base)
            }

            #[delayed($($option)*)]
            fn growing(n: u64) -> DC<u64> {
                if n == 0 { value(1, (2, "y".to_owned())) } else { growing(n - 1) }
            }

            #[delayed($($option)*)]
            fn fallible_growing(text: String, more: &[u64]) -> Result<DC<u64>, Error> {
                let more: u64 = more.iter().sum();
                Ok(fallible(text, 10).map(move |x| x + more))
            }

            #[delayed($($option)*)]
            fn unnamed(n: u64) -> impl Iterator<Item = u64> + Send {
                0..n
            }

            #[delayed($($option)*)]
            fn generator(n: u64, path: &Path) -> Vec<String> {
                for x in 0..n {
                    yield_!(format!("{}{x}", path.display()));
                }
            }

            #[delayed($($option)*)]
            fn fallible_generator(mut texts: Vec<String>) -> Result<BTreeSet<u64>, ParseIntError> {
                texts.push("7".to_owned());
                for text in texts {
                    yield_!(text.parse::<u64>()?);
                }
                Ok(())
            }

            #[delayed($($option)*)]
            async fn asynchronous(x: u64, text: &str) -> Result<u64, Error> {
                Ok(fallible(text.to_owned(), 10).await? + growing(x).await?)
            }

            #[delayed($($option)*)]
            async fn asynchronous_value(_: u64) -> usize {
                unnamed(3).await.map_or(0, Iterator::count)
            }

            #[delayed($($option)*)]
            async fn asynchronous_generator(n: &u64) -> Vec<u64> {
                for x in 0..*n {
                    let y = yield_!(growing(x));
                    let sum = value(y, (x, String::new())).await;
                    yield_!(sum.unwrap_or_default());
                }
            }

            #[delayed($($option)*)]
            fn generic<T, const N: usize>(one: T, many: &[T]) -> [T; N]
            where
                T: Clone + Send + Sync + 'static,
            {
                std::array::from_fn(|i| many.get(i).unwrap_or(&one).clone())
            }

            #[delayed(named, $($option)*)]
            fn named(
                #[builder(start_fn)] first: u64,
                text: &str,
                optional: Option<String>,
                #[builder(default = text.len())] len: usize,
                #[builder(default = &text[1..])] rest: &str,
                #[builder(default)] last: (),
            ) -> String {
                format!("{first} {text} {optional:?} {len} {rest} {last:?}")
            }

            #[delayed($($option)*)]
            fn forked(x: u64, #[cfg(any())] y: &mut u64, #[cfg(all())] (y, z): (u64, u64)) -> u64 {
                x + y + z
            }

            #[derive(Clone)]
            struct Scale<T>(T);

            impl<T: std::ops::Mul<Output = T> + Clone + Send + Sync + 'static> Scale<T> {
                #[delayed($($option)*)]
                fn twice(scale: &Self, x: T, again: Self) -> T {
                    x * scale.0.clone() * again.0
                }
            }

            #[test]
            fn each_kind_of_function_gives_what_it_gives_without() {
                let texts = || vec!["5".to_owned(), "6".to_owned()];
                check(nothing(), ());
                check(value(1, (2, String::new())), 3);
                check(fallible("ff", 16), 255);
                check(growing(10), 3);
                check(fallible_growing("10", DC::value(vec![1, 2])), 13);
                check(unnamed(5).map(|numbers| numbers.sum()), 10);
                check(generator(2, Path::new("a")), vec!["a0".to_owned(), "a1".to_owned()]);
                check(fallible_generator(texts()), BTreeSet::from([5, 6, 7]));
                check(asynchronous(2, "4"), 7);
                check(asynchronous_value(0), 3);
                check(asynchronous_generator(2), vec![3, 3, 3, 4]);
                check(generic::<_, 3>("c", DC::value(vec!["a", "b"])), ["a", "b", "c"]);
                check(named(1).text("two").dc(), "1 two None 3 wo ()".to_owned());
                let all = named(1).text("two".to_owned()).optional("3").len(4).rest("five").last(());
                check(all.dc(), "1 two Some(\"3\") 4 five ()".to_owned());
                check(forked(1, (2, 3)), 6);
                check(Scale::twice(Arc::new(Scale(2)), 3, Scale(5)), 30);
            }

            #[test]
            fn each_kind_of_argument_will_do() {
                let (number, text) = (growing(0).shared(), DC::value("12".to_owned()).shared());
                let sum = value(number.clone(), (1, String::new())) + value(number, DC::value((2, String::new())));
                check(sum, 4 + 5);
                check(taskgraph::all([fallible(text.clone(), 10), fallible(text, 3)]), vec![12, 5]);
            }

            #[test]
            fn a_failure_is_the_functions_own() {
                let failures = [
                    fallible("x", 10).map(drop),
                    fallible_growing("x", vec![0]).map(drop),
                    fallible_generator(vec!["x".to_owned()]).map(drop),
                    asynchronous(1, "x").map(drop),
                ];
                for (failing, name) in failures.into_iter().zip(["fallible", "fallible", "fallible_generator", "fallible"]) {
                    let error = run(failing, 2).unwrap_err();
                    assert!(error.downcast_ref::<ParseIntError>().is_some(), "{error:#}");
                    let task = error.task().expect("a task has failed");
                    assert_eq!((task.name(), task.file()), (name, file!()));
                }
            }
        }
    };
}

kinds!(limit, limit = "shared");
kinds!(timeout, timeout = "1h");
kinds!(retries, retries = 2, backoff = "1ns..1us");
kinds!(retry_if, retries = 1000, retry_if = is_worth_it);
kinds!(priority, priority = 5);
kinds!(
    everything,
    timeout = "1m 30s",
    retries = 1,
    backoff = "1ns..1ns",
    retry_if = judges::always,
    limit = "everything",
    priority = -2147483648,
    name = "all of it",
);

macro_rules! parser {
    ($name:ident, $retries:literal, $priority:literal, $timeout:literal, $retry_if:path) => {
        #[delayed(retries = $retries, priority = $priority, timeout = $timeout, retry_if = $retry_if)]
        fn $name(text: &str) -> Result<u8, ParseIntError> {
            text.parse()
        }
    };
}

parser!(parser_of_a_macro, 3, -7, "10min", judges::never::<Error>);

#[test]
fn options_may_come_out_of_a_macro() {
    check(parser_of_a_macro("1"), 1);
    assert!(run(parser_of_a_macro("x"), 2).is_err());
}

struct Counter(Arc<AtomicUsize>);

impl Counter {
    #[delayed(timeout = "1h", priority = 2)]
    fn count(self: Arc<Self>, by: usize) -> usize {
        self.0.fetch_add(by, Ordering::Relaxed) + by
    }

    #[delayed(timeout = "1h", limit = "counters")]
    async fn into_count(self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    #[delayed(priority = 1)]
    fn many(self, n: usize) -> Vec<usize> {
        for x in 0..n {
            yield_!(self.0.load(Ordering::Relaxed) + x);
        }
    }
}

#[test]
fn a_method_may_have_what_does_not_run_it_again() {
    let counter = || Counter(Arc::new(AtomicUsize::new(1)));
    check(Arc::new(counter()).count(2), 3);
    check(counter().into_count(), 1);
    check(counter().many(2), vec![1, 2]);
}

/// Only arguments that the body owns have to be cloned.
struct NotCloned(String);

#[delayed(retries = 3)]
fn borrow(x: &NotCloned, y: &str) -> String {
    format!("{}{y}", x.0)
}

#[test]
fn a_borrowed_argument_need_not_be_cloned() {
    check(borrow(NotCloned("x".to_owned()), "y"), "xy".to_owned());
    check(borrow(Arc::new(NotCloned("x".to_owned())), DC::value("y".to_owned()).shared()), "xy".to_owned());
}

/// Counts its clones that are dropped.
struct Counted {
    gone: Arc<AtomicUsize>,
    is_clone: bool,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self { gone: Arc::clone(&self.gone), is_clone: true }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gone.fetch_add(self.is_clone.into(), Ordering::Relaxed);
    }
}

#[delayed(retries = 1)]
fn count_gone(gone: Arc<AtomicUsize>, _: Counted, (_, _): (Counted, u8)) -> usize {
    gone.load(Ordering::Relaxed)
}

#[test]
fn an_argument_without_a_name_is_there_until_the_body_ends() {
    let gone = Arc::new(AtomicUsize::new(0));
    let counted = || Counted { gone: Arc::clone(&gone), is_clone: false };
    check(count_gone(Arc::clone(&gone), counted(), (counted(), 0)), 0);
}
