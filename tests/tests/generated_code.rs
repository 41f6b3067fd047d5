//! Generated code amid other code: names mean what they mean without it, and it causes no warnings.

use std::num::ParseIntError;

use taskgraph::delayed;
use taskgraph_tests::checks::check;
use taskgraph_tests::run;
use taskgraph_tests::tasks::add;

mod hygiene {
    use super::*;

    // Names that generated code must not resolve to.
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

    /// Items that a body declares must not change what its parameters mean.
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

/// Generated code must not cause warnings, whatever lints are on.
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
    assert!(run(lints::panicking(), 2).is_err());
}
