//! How a task is run: in what order, for how long, and how often it is tried.
//!
//! ```text
//! call (its arguments) --all there--> tries: a body that starts one try after the other, and waits in between
//!                                        try 1   try 2 ..   each in a scope of its own, with a time of its own
//! ```
//!
//! A task without such options has none of this.

use std::error::Error as StdError;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::error::{Error, Passed};
use crate::graph::{self, Bond, DC, Fallible, Generating, Input, Returns, Task, Trial};
use crate::task::Task as TaskName;
use crate::timeout::Countdown;
use crate::timer;

/// The task that tries. It has the name of the task that it tries, which is counted itself.
struct Tries<N>(PhantomData<N>);

impl<N: Task> Task for Tries<N> {
    const NAME: &'static str = N::NAME;
    const LABEL: Option<&'static str> = N::LABEL;
    const PLACE: Option<&'static Location<'static>> = N::PLACE;
    const IS_COUNTED: bool = false;
}

/// What the options of `#[delayed]` say.
#[derive(Clone, Copy)]
pub struct Policy {
    timeout: Option<Duration>,
    retries: u32,
    /// The longest wait before the first retry, and before any.
    backoff: (Duration, Duration),
    retry_if: fn(&Error) -> bool,
    priority: i32,
    is_limited: bool,
}

impl Policy {
    /// None of them.
    #[expect(clippy::new_without_default, reason = "generated code says `new`, and nobody else does")]
    pub const fn new() -> Self {
        Self {
            timeout: None,
            retries: 0,
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            retry_if: |_| true,
            priority: 0,
            is_limited: false,
        }
    }

    /// How much time each try has.
    pub const fn timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }

    /// How many further tries there may be.
    pub const fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// The longest wait before the first retry, and before any.
    pub const fn backoff(self, min: Duration, max: Duration) -> Self {
        Self { backoff: (min, max), ..self }
    }

    /// Which failures are worth a further try.
    pub const fn retry_if(self, retry_if: fn(&Error) -> bool) -> Self {
        Self { retry_if, ..self }
    }

    /// Where it starts among others that are ready.
    pub const fn priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// The body waits for a turn; its time starts after that.
    pub const fn limited(self) -> Self {
        Self { is_limited: true, ..self }
    }

    /// How long to wait before each further try: any time up to a bound that doubles, so that calls that have failed together
    /// are not tried again together ("full jitter": Brooker, Exponential Backoff and Jitter, 2015).
    fn delays(&self) -> impl Iterator<Item = Duration> + use<> {
        let (min, max) = self.backoff;
        let bounds = ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).without_max_times().build();
        bounds.map(|bound| bound.mul_f64(fastrand::f64()))
    }

    /// One try: what `body` gives, started by its priority. Its time starts with its body.
    fn once<N, R, B, O>(self, origin: &'static Location<'static>, body: B, time: Option<Arc<Countdown>>) -> DC<R::Value>
    where
        N: Task,
        R: Returns<O>,
        R::Value: Send + 'static,
        B: FnOnce() -> O + Send + 'static,
    {
        let body = move |()| match time {
            None => body(),
            Some(time) if self.is_limited => time.hold(body),
            Some(time) => {
                time.start();
                body()
            }
        };
        let mut once = graph::call::<N, R, _, _, _>((), body);
        once.set_origin(origin);
        graph::ranked(once, self.priority)
    }

    async fn try_each<N, R, B, O>(
        self,
        origin: &'static Location<'static>,
        mut make: impl FnMut() -> B,
    ) -> Result<R::Value, Passed>
    where
        N: Task,
        R: Returns<O>,
        R::Value: Send + 'static,
        B: FnOnce() -> O + Send + 'static,
    {
        let mut delays = self.delays();
        let mut failures = Vec::new();
        let mut tries: u32 = 0;
        loop {
            tries = tries.saturating_add(1);
            let time = self.timeout.map(Countdown::new);
            let bond = if time.is_some() { Bond::Run } else { Bond::Task };
            // Without retries it is a part of whatever is tried around it.
            let number = if self.retries == 0 { graph::attempt() } else { tries };
            let trial = Trial::start(self.once::<N, R, _, _>(origin, make(), time.clone()), bond, Some(number));
            let result = match time {
                Some(time) => {
                    let task = graph::task_name::<N>(origin);
                    let label = graph::own_label().or(task.label);
                    time.in_time(trial, TaskName { label, ..task }).await
                }
                None => trial.await,
            };
            let failure = match result {
                Ok(value) => return Ok(value),
                Err(failure) => failure.labelled(graph::own_label()),
            };
            if failures.len() == Error::ATTEMPTS_LEN_MAX {
                failures.remove(Error::ATTEMPTS_LEN_MAX / 2);
            }
            failures.push(failure.clone());
            if self.retries < tries || failure.is_cancelled() || !(self.retry_if)(&failure) {
                // If there was one try, the failure may be that of something in it that was tried again.
                return Err(Passed(if tries == 1 { failure } else { failure.after(failures, tries) }));
            }
            let delay = delays.next().unwrap_or(self.backoff.1);
            tracing::debug!("{failure}; tries again in {delay:.1?}");
            timer::sleep(delay).await;
        }
    }
}

/// Like [`call`](super::__private::call), for a task with options.
#[track_caller]
pub fn governed<N, R, T, I, F, O>(inputs: I, policy: Policy, body: F) -> DC<T>
where
    N: Task,
    R: Returns<O, Value = T>,
    T: Send + 'static, // results move between workers: `Arc` for `Rc`, `Mutex` for `RefCell`
    I: Input<Value: Send + 'static>,
    F: FnOnce(I::Value) -> O + Send + 'static,
    O: 'static,
{
    let once = |values| {
        let mut body = Some(move || body(values));
        move || body.take().expect("without retries there is one try")
    };
    retried::<N, R, T, I, _, _, _, O>(inputs, policy, once)
}

/// Like [`governed`], with a body that can be made again for each try.
#[track_caller]
pub fn retried<N, R, T, I, F, M, B, O>(inputs: I, policy: Policy, body: F) -> DC<T>
where
    N: Task,
    R: Returns<O, Value = T>,
    T: Send + 'static, // results move between workers: `Arc` for `Rc`, `Mutex` for `RefCell`
    I: Input<Value: Send + 'static>,
    F: FnOnce(I::Value) -> M + Send + 'static,
    M: FnMut() -> B + Send + 'static,
    B: FnOnce() -> O + Send + 'static,
    O: 'static,
{
    let origin = Location::caller();
    // A call that waits for nothing has its place among others from the start, and need not find it once more.
    let (outside, inside) = if I::IS_THERE { (policy.priority, 0) } else { (0, policy.priority) };
    let call = graph::call::<N, Generating, I, _, _>(inputs, move |values| {
        let mut make = body(values);
        if policy.timeout.is_none() && policy.retries == 0 {
            return policy.priority(inside).once::<N, R, _, _>(origin, make(), None);
        }
        graph::future::<Tries<N>, Fallible, T, _>(graph::sent(policy.try_each::<N, R, _, _>(origin, make)))
    });
    graph::ranked(call, outside)
}

/// Whether `retry_if` wants a further try after this failure. It is asked about the error itself, or about its
/// [cause](Error::downcast_ref) that is an `E`; without one there is no further try.
pub fn judge<E: StdError + 'static>(retry_if: impl Fn(&E) -> bool, error: &Error) -> bool {
    let itself = (error as &dyn StdError).downcast_ref::<E>();
    itself.or_else(|| error.downcast_ref::<E>()).is_some_and(retry_if)
}

/// An argument for a further try.
pub fn again<T>(value: &T) -> T
where
    T: Clone, // each try needs an argument of its own: take it by reference, or derive `Clone` for it
{
    value.clone()
}
