//! What users do with a delayed computation: make it, map it, share it, collect it.

pub(super) mod arg;
pub(super) mod combine;
pub(super) mod operators;

use std::borrow::Cow;
use std::marker::PhantomData;

use self::arg::IntoArg;
use super::all;
use super::call::input::Plain;
use super::call::{self, AsSaid, Fallible, FallibleGrowing, Function, Growing, Outcome, Returns, Value, task};
use super::delayed::DC;
use super::launch::attempt;
use super::launch::ranked;
use super::pass::label;
use super::shared::{self, Shared};
use crate::error::{Error, IntoCause};

impl<T: Send + 'static> DC<T> {
    /// A call of `func` with a tuple of arguments, each a value or a computation of one.
    ///
    /// `func` may return a `T`, a `Result<T, E>`, or a `DC<T>`. If that is ambiguous (the `Result` that a function returns
    /// may itself be the value), say which is meant: `DC::<u32>::new(parse, ("7",))`.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// fn add(a: u64, b: u64) -> u64 { a + b }
    /// fn parse(text: &str) -> Result<u64, std::num::ParseIntError> { text.parse() }
    ///
    /// let sum = DC::new(add, (1, DC::<u64>::new(parse, ("41",))));
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn new<A, P>(func: impl Func<A, P, T>, args: A) -> Self {
        func.call_with(args)
    }

    /// A computation that is already done. It costs nothing if the value is no larger than a pointer and has nothing to
    /// drop.
    ///
    /// ```
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(taskgraph::DC::value("done"))?, "done");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn value(value: T) -> Self {
        task! { Ready "value", is_counted: false }
        if Self::FITS {
            return Self::done(value);
        }
        call::call::<Ready, Value, _, _, _>((Plain(value),), |(value,)| value)
    }

    /// A computation that has already failed with `cause`: whatever a body may fail with, an error or a string.
    ///
    /// ```
    /// let none = taskgraph::DC::<u32>::failed("nothing to do");
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(none).unwrap_err();
    /// assert!(error.to_string().ends_with("failed: nothing to do"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn failed(cause: impl IntoCause) -> Self {
        task! { Failed "failed", is_counted: false }
        call::call::<Failed, AsSaid<T>, _, _, _>((Plain(cause.into_cause()),), |(cause,)| Outcome::Failed(cause))
    }

    /// Applies a function to the result.
    ///
    /// ```
    /// let text = taskgraph::DC::new(|| 6 * 7, ()).map(|x| format!("it is {x}"));
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(text)?, "it is 42");
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn map<U: Send + 'static>(self, f: impl FnOnce(T) -> U + Send + 'static) -> DC<U> {
        task! { Map "map" }
        call::call::<Map, Value, _, _, _>((self,), |(value,)| f(value))
    }

    /// Continues with a computation made from the result.
    ///
    /// ```
    /// # use taskgraph::{DC, delayed};
    /// #[delayed]
    /// fn collatz(n: u64) -> u64 { if n % 2 == 0 { n / 2 } else { 3 * n + 1 } }
    ///
    /// let twice = collatz(6).then(collatz);
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(twice)?, 10);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn then<U: Send + 'static>(self, f: impl FnOnce(T) -> DC<U> + Send + 'static) -> DC<U> {
        task! { Then "then" }
        call::call::<Then, Growing, _, _, _>((self,), |(value,)| f(value))
    }

    /// Makes the result available to several tasks: it is computed once, however many need it.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let seed = DC::new(|| 21u32, ()).shared();
    /// let sum = seed.dc() + seed.dc(); // computed once, used twice
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn shared(self) -> Shared<T>
    where
        T: Sync,
    {
        let [handle] = shared::tee(self);
        handle
    }

    /// Like [`shared`](Self::shared), but makes all handles at once, which is faster than cloning if it is known how many
    /// tasks need the result, as in a grid. Each handle serves one task; clone it for more. `N = 0` does not compile.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let [left, right] = DC::new(|| 21u32, ()).tee();
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(left.dc() + right.dc())?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn tee<const N: usize>(self) -> [Shared<T>; N]
    where
        T: Sync,
    {
        shared::tee(self)
    }

    /// Makes a failure a value: tasks that need this get a `Result`, and nothing else is cancelled.
    ///
    /// If the computation fails, nothing more of it is started, and the `Err` is delivered once nothing of it is left. A shared
    /// computation that is part of it goes on, and is waited for, as long as others need it or have a handle on it.
    /// Cancelling a run cancels all attempts in it.
    ///
    /// ```
    /// let broken = taskgraph::DC::<u32>::new(|| -> Result<u32, &str> { Err("no luck") }, ());
    /// let kept = taskgraph::Runtime::builder().no_control().build()?.run(broken.attempt())?;
    /// assert!(kept.unwrap_err().to_string().ends_with("failed: no luck"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn attempt(self) -> DC<Result<T, Error>> {
        attempt::attempt(self)
    }

    /// Sets the priority: of the computations that are ready, those with a higher one start first. The default is 0.
    ///
    /// A computation with a positive priority starts before everything else that is ready in its runtime, whatever run that
    /// belongs to: the highest first, of equal ones the oldest. One with a negative priority starts when nothing else is
    /// ready. A run that is started with such a computation is queued with its priority.
    ///
    /// A priority orders the start, and nothing else:
    ///
    /// * A running body is not interrupted. The next worker that ends a step takes what is urgent.
    /// * What the computation is made of starts with it. So neither its arguments nor anything that is computed elsewhere for
    ///   it is hurried beforehand. The worker that starts it stays with it until its result is there, unless something of a
    ///   higher priority waits; what has the same priority has to wait. For other workers, what it makes has no priority.
    /// * Only what is ready is compared. In a list whose members all have a positive priority that is every member. In other
    ///   long lists, in `each`, and in generators, it is what has been handed out so far: a few hundred computations ahead of
    ///   the workers. Workers that look for work while a list is handed out take the highest priority that they find by then.
    /// * As long as urgent computations come, everything else has about a sixteenth of the time; less beside bodies of tens of
    ///   milliseconds.
    ///
    /// Set twice in a row, the last one counts. Where something is in between, such as a name, a timeout, or arguments that
    /// the function's own `priority` option waits for, each orders the start of what it was set on. A priority costs a node
    /// and a lock, a few hundred nanoseconds: use it for computations that take longer than that.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use taskgraph::{DC, Runtime};
    ///
    /// let order = Arc::new(Mutex::new(Vec::new()));
    /// let say = |x: i32| {
    ///     let order = Arc::clone(&order);
    ///     DC::new(move || order.lock().unwrap().push(x), ())
    /// };
    /// let all = taskgraph::all([say(0), say(-1).priority(-1), say(7).priority(7), say(9).priority(9)]);
    /// Runtime::builder().max_workers(1).no_control().build()?.run(all)?;
    /// assert_eq!(*order.lock().unwrap(), [9, 7, 0, -1]);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn priority(self, priority: i32) -> Self {
        ranked::ranked(self, priority)
    }

    /// Gives the computation a name, which errors, the log and `runs` on the control port show besides its function's.
    ///
    /// ```
    /// let broken = taskgraph::DC::<u32>::failed("disk full").named("page 7");
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(broken).unwrap_err();
    /// assert_eq!(error.task().unwrap().label(), Some("page 7"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Self {
        label::label(self, name.into())
    }
}

impl<T: Send + 'static> From<T> for DC<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::value(value)
    }
}

impl<T: Send + 'static> FromIterator<DC<T>> for DC<Vec<T>> {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = DC<T>>>(iter: I) -> Self {
        all::all(iter)
    }
}

/// Functions that [`DC::new`] takes: with up to twelve parameters, and any [`Output`].
///
/// `A` are the arguments as given, `P` the parameters, `T` is the type of the result.
///
/// ```
/// use taskgraph::{DC, Func};
///
/// /// A square of whatever a function of no arguments gives.
/// fn square(f: impl Func<(), (), u64>) -> DC<u64> {
///     DC::new(f, ()).map(|x| x * x)
/// }
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(square(|| 6 + 1))?, 49);
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(square(|| DC::value(8)))?, 64);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called with `{A}`",
    label = "not a function that takes such arguments",
    note = "arguments come as a tuple, one for each parameter: `(x,)` is one, `()` is none"
)]
pub trait Func<A, P, T>: Send + 'static {
    #[doc(hidden)]
    #[track_caller]
    fn call_with(self, args: A) -> DC<T>;
}

/// What a function given to [`DC::new`] may return for a computation of `T`: a `T`, a `Result<T, E>`, a `DC<T>`, or
/// a `Result<DC<T>, E>`.
///
/// ```
/// use taskgraph::{DC, Output};
///
/// fn call<R: Output<u32> + 'static>(f: fn() -> R) -> DC<u32> {
///     DC::new(f, ())
/// }
/// let results = [call(|| 1), call(|| "2".parse::<u32>()), call(|| DC::value(3))];
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(taskgraph::all(results))?, [1, 2, 3]);
/// # Ok::<(), taskgraph::Error>(())
/// ```
pub trait Output<T> {
    #[doc(hidden)]
    fn into_outcome(self) -> Outcome<T>;
}

impl<T> Output<T> for T {
    #[inline(always)]
    fn into_outcome(self) -> Outcome<T> {
        Value::outcome(self)
    }
}

impl<T, E: IntoCause> Output<T> for Result<T, E> {
    #[inline(always)]
    fn into_outcome(self) -> Outcome<T> {
        Fallible::outcome(self)
    }
}

impl<T> Output<T> for DC<T> {
    #[inline(always)]
    fn into_outcome(self) -> Outcome<T> {
        Growing::outcome(self)
    }
}

impl<T, E: IntoCause> Output<T> for Result<DC<T>, E> {
    #[inline(always)]
    fn into_outcome(self) -> Outcome<T> {
        FallibleGrowing::outcome(self)
    }
}

/// Any way to return a `T`.
struct Any<T>(PhantomData<T>);

impl<T: 'static, R: Output<T>> Returns<R> for Any<T> {
    type Value = T;
    #[inline(always)]
    fn outcome(returned: R) -> Outcome<T> {
        returned.into_outcome()
    }
}

macro_rules! func {
    ($($arg:ident $param:ident $index:tt)*) => {
        impl<Fun, Out, T, $($arg, $param),*> Func<($($arg,)*), ($($param,)*), T> for Fun
        where
            Fun: FnOnce($($param),*) -> Out + Send + 'static,
            T: Send + 'static,
            Out: Output<T>,
            $($param: Send + 'static, $arg: IntoArg<$param>,)*
        {
            #[allow(unused_variables, non_snake_case, reason = "type parameters lend their names; there may be none")]
            fn call_with(self, args: ($($arg,)*)) -> DC<T> {
                let inputs = ($(args.$index.into_input(),)*);
                call::call::<Function<Fun>, Any<T>, _, _, _>(inputs, move |($($param,)*)| self($($param),*))
            }
        }
    };
}

func!();
func!(A0 P0 0);
func!(A0 P0 0 A1 P1 1);
func!(A0 P0 0 A1 P1 1 A2 P2 2);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4 A5 P5 5);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4 A5 P5 5 A6 P6 6);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4 A5 P5 5 A6 P6 6 A7 P7 7);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4 A5 P5 5 A6 P6 6 A7 P7 7 A8 P8 8);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4 A5 P5 5 A6 P6 6 A7 P7 7 A8 P8 8 A9 P9 9);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4 A5 P5 5 A6 P6 6 A7 P7 7 A8 P8 8 A9 P9 9 A10 P10 10);
func!(A0 P0 0 A1 P1 1 A2 P2 2 A3 P3 3 A4 P4 4 A5 P5 5 A6 P6 6 A7 P7 7 A8 P8 8 A9 P9 9 A10 P10 10 A11 P11 11);
