//! Ways to put computations together and to take them apart, made of calls and of shared results.

use crate::error::IntoCause;
use crate::graph::all;
use crate::graph::call::{self, Fallible, Generating, Growing, Value, task};
use crate::graph::delayed::DC;
use crate::graph::shared;
use crate::graph::shared::tap::{Borrowed, Tapped};
use crate::sync::{Mutex, lock};

impl<T: Send + 'static> DC<T> {
    /// Both results as a pair. The two may run in parallel; if one fails, so does the pair.
    ///
    /// For more than two, or for plain values, use the arguments of [`DC::new`].
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let pair = DC::value(6).map(|x| x + 1).zip(DC::value("days"));
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(pair)?, (7, "days"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    // Not `impl IntoArg<U>`: a `DC<u32>` serves for a `u32` and for a `DC<u32>`, and nothing here says which is meant.
    #[track_caller]
    pub fn zip<U: Send + 'static>(self, other: DC<U>) -> DC<(T, U)> {
        task!(Zip "zip", is_counted: false);
        call::call::<Zip, Value, _, _, _>((self, other), |pair| pair)
    }

    /// The result if it satisfies `predicate`, which is called when the result is there.
    ///
    /// With [`each`](crate::each) this is a filter:
    ///
    /// ```
    /// #[taskgraph::delayed]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let kept = taskgraph::each(0..8, |x| square(x).when(|square| square % 3 == 1))
    ///     .map(|kept| kept.into_iter().flatten().collect::<Vec<_>>());
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(kept)?, [1, 4, 16, 25, 49]);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn when(self, predicate: impl FnOnce(&T) -> bool + Send + 'static) -> DC<Option<T>> {
        task!(When "when");
        call::call::<When, Value, _, _, _>((self,), |(value,)| predicate(&value).then_some(value))
    }
}

/// What [`DC::unzip`] shares: each half is taken out by the one task that wants it.
type Halves<A, B> = (Mutex<Option<A>>, Mutex<Option<B>>);

/// A task's hold on them.
type Hold<A, B> = Tapped<Halves<A, B>, Borrowed>;

task!(Unzip "unzip", is_counted: false);

impl<A: Send + 'static, B: Send + 'static> DC<(A, B)> {
    /// The halves of a pair, each as a computation of its own.
    ///
    /// The pair is computed once, when the first half is needed. Nothing is copied: each half moves to where it is
    /// used, in the same run or in another. If the pair fails, both halves fail.
    ///
    /// A half that is dropped unused keeps nothing from running. If you want only one half, use `map`.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let (quotient, rest) = DC::new(|a: u32, b: u32| (a / b, a % b), (17, 5)).unzip();
    /// let sum = quotient.map(|quotient| 10 * quotient) + rest;
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(sum)?, 32);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn unzip(self) -> (DC<A>, DC<B>) {
        let part = |((a, b),)| -> Halves<A, B> { (Mutex::new(Some(a)), Mutex::new(Some(b))) };
        let [for_a, for_b] = shared::tee(call::call::<Unzip, Value, _, _, _>((self,), part)).map(Hold::new);
        (
            call::call::<Unzip, Value, _, _, _>((for_a,), |(halves,)| take(&halves.0)),
            call::call::<Unzip, Value, _, _, _>((for_b,), |(halves,)| take(&halves.1)),
        )
    }
}

fn take<T>(half: &Mutex<Option<T>>) -> T {
    lock(half).take().expect("each half has one task, which runs once")
}

task!(Flatten "flatten", is_counted: false);

impl<T: Send + 'static> DC<DC<T>> {
    /// The result of the computation that this one gives.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let chosen: DC<DC<u32>> = DC::value(3).map(|x| DC::value(x).map(|x| x * x));
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(chosen.flatten())?, 9);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn flatten(self) -> DC<T> {
        call::call::<Flatten, Growing, _, _, _>((self,), |(inner,)| inner)
    }
}

impl<T: Send + 'static> DC<Vec<DC<T>>> {
    /// The results of all computations that this one gives, in order: [`all`](crate::all) of them.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let planned = DC::value(4).map(|n| (0..n).map(|i| DC::value(i).map(|i| i * i)).collect::<Vec<_>>());
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(planned.flatten())?, [0, 1, 4, 9]);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn flatten(self) -> DC<Vec<T>> {
        // As with a generator, what is made takes the place of this task, and its line.
        call::call::<Flatten, Generating, _, _, _>((self,), |(inner,)| all::gathered::<Flatten, _>(inner))
    }
}

impl<T: Send + 'static> DC<Option<DC<T>>> {
    /// The result of the computation that this one gives, if any.
    ///
    /// ```
    /// use taskgraph::DC;
    ///
    /// let chosen = DC::value(3).map(|x| (x < 5).then(|| DC::value(x).map(|x| x * x)));
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(chosen.flatten())?, Some(9));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn flatten(self) -> DC<Option<T>> {
        call::call::<Flatten, Generating, _, _, _>((self,), |(inner,)| match inner {
            Some(inner) => call::call::<Flatten, Value, _, _, _>((inner,), |(value,)| Some(value)),
            None => DC::value(None),
        })
    }
}

impl<T: Send + 'static, E: IntoCause + Send + 'static> DC<Result<T, E>> {
    /// The value, or a failure: an `Err` fails the task, and so everything that needs it.
    ///
    /// The reverse is [`attempt`](DC::attempt), which makes a failure a value. What was attempted fails with the error that
    /// it had, with one more task in its chain.
    ///
    /// ```
    /// let parsed = taskgraph::DC::value("seven").map(|text| text.parse::<u32>());
    /// let kept = parsed.or_fail().attempt();
    /// let error = taskgraph::Runtime::builder().no_control().build()?.run(kept)?.unwrap_err();
    /// assert_eq!(error.task().unwrap().name(), "or_fail");
    /// assert!(error.to_string().ends_with("failed: invalid digit found in string"));
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn or_fail(self) -> DC<T> {
        task!(OrFail "or_fail", is_counted: false);
        call::call::<OrFail, Fallible, _, _, _>((self,), |(result,)| result)
    }
}
