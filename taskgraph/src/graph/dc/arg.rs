//! What users may give for a parameter: a value, or something that will be one.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::graph::all;
use crate::graph::all::list::Listed;
use crate::graph::call::given::{self, Given, Held, Lender, Lent};
use crate::graph::call::input::{Input, Plain};
use crate::graph::delayed::DC;
use crate::graph::shared::Shared;
use crate::graph::shared::tap::{Borrowed, Owned, Present, Tapped};

/// "A `T`, or something that will be one": what a parameter of type `T` of a `#[delayed]` function takes.
///
/// That is a `T`, a [`DC<T>`](DC), or a [`Shared<T>`](Shared) if `T` can be cloned. `DC`s and `Shared`s inside a `Vec` or
/// an array, and `DC`s inside a tuple of up to four, count as well. A `&str` is accepted for a `String`, and copied.
///
/// ```
/// use taskgraph::{DC, IntoArg, delayed};
///
/// #[delayed]
/// fn add(a: u64, b: u64) -> u64 { a + b }
/// #[delayed]
/// fn sum(parts: Vec<u64>) -> u64 { parts.iter().sum() }
///
/// fn twice(x: impl IntoArg<u64>) -> DC<u64> { DC::new(|x: u64| 2 * x, (x,)) }
///
/// let total = sum(vec![add(1, 2), twice(add(3, 4)), twice(5)]);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(total)?, 27);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `{T}` nor a delayed computation of one",
    label = "expected `{T}`, `DC<{T}>`, or `Shared<{T}>`",
    note = "a `Shared<T>` serves for an owned argument if `T: Clone`; take `&T` to borrow it without a copy"
)]
pub trait IntoArg<T> {
    #[doc(hidden)]
    type Input: Input<Value = T>;

    #[doc(hidden)]
    fn into_input(self) -> Self::Input;

    /// The value if it is there, else a computation of it.
    #[doc(hidden)]
    #[track_caller]
    fn into_given(self) -> Given<T>
    where
        Self: Sized,
        T: Send + 'static,
    {
        given::collected(self.into_input(), |value| value)
    }

    /// A computation of the value.
    #[doc(hidden)]
    #[track_caller]
    fn into_dc(self) -> DC<T>
    where
        Self: Sized,
        T: Send + 'static,
    {
        self.into_given().into_dc()
    }
}

impl<T: Send + 'static> IntoArg<T> for T {
    type Input = Plain<T>;

    #[inline(always)]
    fn into_input(self) -> Plain<T> {
        Plain(self)
    }

    #[inline(always)]
    fn into_given(self) -> Given<T> {
        Given::value(self)
    }
}

impl<T: Send + 'static> IntoArg<T> for DC<T> {
    type Input = Self;

    #[inline(always)]
    fn into_input(self) -> Self {
        self
    }

    #[inline(always)]
    fn into_given(self) -> Given<T> {
        Given::delayed(self)
    }
}

impl<T: Clone + Send + Sync + 'static> IntoArg<T> for Shared<T> {
    type Input = Tapped<T, Owned>;

    #[inline(always)]
    fn into_input(self) -> Self::Input {
        Tapped::new(self)
    }
}

impl IntoArg<String> for &str {
    type Input = Plain<String>;

    fn into_input(self) -> Plain<String> {
        Plain(self.to_owned())
    }
}

impl<T: Send + 'static> IntoArg<Vec<T>> for Vec<DC<T>> {
    type Input = Listed<T>;

    #[inline(always)]
    #[track_caller]
    fn into_input(self) -> Listed<T> {
        Listed::new(self)
    }
}

impl<T: Clone + Send + Sync + 'static> IntoArg<Vec<T>> for Vec<Shared<T>> {
    type Input = Listed<T>;

    #[track_caller]
    fn into_input(self) -> Listed<T> {
        let mut children = Vec::with_capacity(self.len());
        // No closure: it would count as the caller.
        for shared in &self {
            children.push(shared.dc());
        }
        Listed::new(children)
    }
}

impl<T: Send + 'static> IntoArg<Vec<Vec<T>>> for Vec<Vec<DC<T>>> {
    type Input = DC<Vec<Vec<T>>>;

    #[track_caller]
    fn into_input(self) -> Self::Input {
        let mut children = Vec::with_capacity(self.len());
        // As above.
        for list in self {
            children.push(all::all(list));
        }
        all::all(children)
    }
}

impl<T: Send + 'static, const N: usize> IntoArg<[T; N]> for [DC<T>; N] {
    type Input = Self;

    #[inline(always)]
    fn into_input(self) -> Self {
        self
    }
}

impl<T: Clone + Send + Sync + 'static, const N: usize> IntoArg<[T; N]> for [Shared<T>; N] {
    type Input = [Tapped<T, Owned>; N];

    #[inline(always)]
    fn into_input(self) -> Self::Input {
        self.map(Tapped::new)
    }
}

/// Implements `IntoArg` for every tuple of values and at least one `DC`.
macro_rules! tuples {
    // Each element in turn is a value or delayed: `[given: input, ..] [what is left]`.
    (@each $delayed:tt [$($done:tt)*] []) => { tuples!(@emit $delayed $($done)*); };
    (@each $delayed:tt [$($done:tt)*] [$elem:ident $index:tt $($rest:tt)*]) => {
        tuples!(@each $delayed [$($done)* ($elem, $elem, Plain<$elem>, Plain, $index)] [$($rest)*]);
        tuples!(@each yes [$($done)* ($elem, DC<$elem>, DC<$elem>, core::convert::identity, $index)] [$($rest)*]);
    };
    // A tuple of nothing but values is a value.
    (@emit no $($any:tt)*) => {};
    (@emit yes $(($elem:ident, $given:ty, $input:ty, $wrap:path, $index:tt))*) => {
        #[diagnostic::do_not_recommend]
        impl<$($elem: Send + 'static),*> IntoArg<($($elem,)*)> for ($($given,)*) {
            type Input = ($($input,)*);

            #[inline(always)]
            fn into_input(self) -> Self::Input {
                ($($wrap(self.$index),)*)
            }
        }
    };
    ($($elem:ident $index:tt)*) => { tuples!(@each no [] [$($elem $index)*]); };
}

tuples!(A 0);
tuples!(A 0 B 1);
tuples!(A 0 B 1 C 2);
tuples!(A 0 B 1 C 2 D 3);

/// "Something that can lend a `B`": what a parameter of type `&B` of a `#[delayed]` function takes.
///
/// That is a `B`, a [`DC<B>`](DC), a [`Shared<B>`](Shared), an [`Arc<B>`](Arc), or a `&'static B`. If `B` is a `str`, a
/// slice or a `Path`, it can be whatever owns one: `String`, `Vec<T>`, `PathBuf`, delayed, shared, or in an `Arc`.
/// Nothing is copied. A slice can also be a `Vec` or an array of `DC<T>`s.
///
/// ```
/// #[taskgraph::delayed]
/// fn words(text: &str) -> usize { text.split_whitespace().count() }
///
/// let text = taskgraph::DC::value("to be or not to be".to_owned()).shared();
/// let both = taskgraph::all([words(text.clone()), words(text), words("not to be")]);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(both)?, [6, 6, 3]);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lend a `&{B}` to a task",
    label = "expected `{B}` or what owns one, or a `DC`, `Shared` or `Arc` of that",
    note = "what a task borrows is its own, or lives for ever: give it the value, a clone of it, or an `Arc`; a list of \
            computations it takes by value, as a `Vec`"
)]
pub trait IntoRef<B: ?Sized> {
    #[doc(hidden)]
    type Input: Input<Value: Held<B> + Send + Sync + 'static>;

    #[doc(hidden)]
    fn into_input(self) -> Self::Input;

    /// What lends it if that is there, else a computation of it.
    #[doc(hidden)]
    #[track_caller]
    fn into_lent(self) -> Lent<B>
    where
        Self: Sized,
        B: 'static,
    {
        given::collected(self.into_input(), Lender::new)
    }
}

impl<T> Held<T> for T {
    #[inline(always)]
    fn get(&self) -> &T {
        self
    }
}

impl<T> Held<T> for Present<T> {
    #[inline(always)]
    fn get(&self) -> &T {
        self
    }
}

impl<T: ?Sized> Held<T> for Arc<T> {
    #[inline(always)]
    fn get(&self) -> &T {
        self
    }
}

impl<T: ?Sized> Held<T> for &'static T {
    #[inline(always)]
    fn get(&self) -> &T {
        self
    }
}

/// One way to lend: what is given, the input it becomes, and how.
macro_rules! lends {
    ([$($generics:tt)*] $target:ty: $given:ty => $input:ty = $wrap:expr) => {
        impl<$($generics)*> IntoRef<$target> for $given {
            type Input = $input;

            #[inline(always)]
            #[track_caller]
            fn into_input(self) -> Self::Input {
                $wrap(self)
            }
        }
    };
}

lends!([T: Send + Sync + 'static] T: T => Plain<T> = Plain);
lends!([T: Send + Sync + 'static] T: DC<T> => DC<T> = core::convert::identity);
lends!([T: Send + Sync + 'static] T: Shared<T> => Tapped<T, Borrowed> = Tapped::new);
lends!([T: ?Sized + Send + Sync + 'static] T: Arc<T> => Plain<Arc<T>> = Plain);
lends!([T: ?Sized + Send + Sync + 'static] T: DC<Arc<T>> => DC<Arc<T>> = core::convert::identity);
lends!([T: ?Sized + Sync + 'static] T: &'static T => Plain<&'static T> = Plain);
lends!([T: Send + Sync + 'static] [T]: Vec<DC<T>> => Listed<T> = Listed::new);
lends!([T: Send + Sync + 'static, const N: usize] [T]: [DC<T>; N] => [DC<T>; N] = core::convert::identity);

/// `$owner` lends a `$target`, by itself, delayed, shared, or in an `Arc`.
macro_rules! owner_lends {
    ([$($send:tt)*] [$($sync:tt)*] $target:ty: $owner:ty) => {
        impl<$($send)*> Held<$target> for $owner {
            #[inline(always)]
            fn get(&self) -> &$target {
                self.as_ref()
            }
        }
        impl<$($sync)*> Held<$target> for Present<$owner> {
            #[inline(always)]
            fn get(&self) -> &$target {
                (**self).as_ref()
            }
        }
        impl<$($sync)*> Held<$target> for Arc<$owner> {
            #[inline(always)]
            fn get(&self) -> &$target {
                (**self).as_ref()
            }
        }
        lends!([$($send)*] $target: $owner => Plain<$owner> = Plain);
        lends!([$($send)*] $target: DC<$owner> => DC<$owner> = core::convert::identity);
        lends!([$($sync)*] $target: Shared<$owner> => Tapped<$owner, Borrowed> = Tapped::new);
        lends!([$($sync)*] $target: Arc<$owner> => Plain<Arc<$owner>> = Plain);
    };
}

owner_lends!([] [] str: String);
owner_lends!([] [] str: Box<str>);
owner_lends!([T: Send + Sync + 'static] [T: Send + Sync + 'static] [T]: Vec<T>);
owner_lends!([T: Send + Sync + 'static] [T: Send + Sync + 'static] [T]: Box<[T]>);
owner_lends!([T: Send + Sync + 'static, const N: usize] [T: Send + Sync + 'static, const N: usize] [T]: [T; N]);
owner_lends!([] [] Path: PathBuf);
owner_lends!([] [] Path: String);
owner_lends!([] [] OsStr: OsString);
owner_lends!([] [] CStr: CString);

impl Held<str> for Present<&'static str> {
    fn get(&self) -> &str {
        self
    }
}

impl Held<Path> for &'static str {
    fn get(&self) -> &Path {
        Path::new(self)
    }
}

lends!([] str: DC<&'static str> => DC<&'static str> = core::convert::identity);
lends!([] str: Shared<&'static str> => Tapped<&'static str, Borrowed> = Tapped::new);
lends!([] Path: &'static str => Plain<&'static str> = Plain);
