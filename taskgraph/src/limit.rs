//! Limits: how many bodies may run at once, of one function, or of all functions that name the same limit.
//!
//! A body needs a *turn* to run, and keeps it while it waits for a timer or a socket. While it waits for computations, is
//! held back because enough of what it has yielded is in flight, or blocks for another run, it gives its turn to others,
//! which may be what it waits for. So limits cannot deadlock, whatever calls what.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::future::{self, Future};
use std::mem;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::Semaphore;

use crate::block_on::block_on;
use crate::error::Error;
use crate::graph;
use crate::steering::{LimitStatus, is_word};
use crate::sync::unmodelled::{Mutex, lock};
use crate::timeout;

/// A named limit has this size until it is set: this is safe, and the line of waiting bodies shows.
const SIZE_UNSET: usize = 1;
/// How much a client of the control port can make us keep.
const NAMES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 100;
/// Far more than there can be bodies.
const SIZE_MAX: usize = u32::MAX as usize;

/// The limit of a function, as generated code has it.
pub struct Limit(Kind);

enum Kind {
    /// Its own, for the whole process.
    Own(Quota),
    /// The one with this name, in each runtime.
    Named(&'static str),
}

/// How many turns one limit has to give. Bodies that wait for a turn sleep, and get it in the order in which they asked.
struct Quota {
    semaphore: Semaphore,
    size: Mutex<Size>,
    waiting: AtomicUsize,
}

struct Size {
    now: usize,
    /// How many turns too many are out, since the limit became smaller.
    surplus: usize,
}

/// The right to run, given back when it is dropped.
struct Turn(Source);

/// Where turns come from.
#[derive(Clone)]
enum Source {
    Own(&'static Quota),
    Of(Arc<Quota>),
}

/// The limits of a runtime.
#[derive(Default)]
pub(crate) struct Limits {
    named: Mutex<BTreeMap<String, Arc<Quota>>>,
    /// Those of functions, by their address, if this is isolated: nobody outside has a turn that is waited for here.
    own: Option<Mutex<HashMap<usize, Arc<Quota>>>>,
}

thread_local! {
    /// The turns of the bodies that are polled on this thread: one may poll another.
    static HELD: RefCell<Vec<Turn>> = const { RefCell::new(Vec::new()) };
}

impl Quota {
    const fn new(size: usize) -> Self {
        Self {
            semaphore: Semaphore::const_new(size),
            size: Mutex::new(Size { now: size, surplus: 0 }),
            waiting: AtomicUsize::new(0),
        }
    }

    fn set_size(&self, new: usize) {
        let mut size = lock(&self.size);
        let before = mem::replace(&mut size.now, new);
        if before < new {
            let kept = size.surplus.min(new - before);
            size.surplus -= kept;
            self.semaphore.add_permits(new - before - kept);
        } else {
            size.surplus += before - new - self.semaphore.forget_permits(before - new);
        }
    }

    fn give_back(&self) {
        let mut size = lock(&self.size);
        match size.surplus.checked_sub(1) {
            Some(surplus) => size.surplus = surplus,
            None => self.semaphore.add_permits(1),
        }
    }

    fn status(&self, name: &str) -> LimitStatus {
        let size = lock(&self.size);
        let running = (size.now + size.surplus).saturating_sub(self.semaphore.available_permits());
        // Relaxed: it is only shown.
        LimitStatus { name: name.to_owned(), size: size.now, running, waiting: self.waiting.load(Ordering::Relaxed) }
    }
}

impl Source {
    fn quota(&self) -> &Quota {
        match self {
            Self::Own(quota) => quota,
            Self::Of(quota) => quota,
        }
    }

    /// A turn, when it comes.
    async fn turn(&self) -> Turn {
        struct Waiting<'a>(&'a Quota);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let quota = self.quota();
        quota.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(quota);
        loop {
            let permit = quota.semaphore.acquire().await.expect("a limit is never closed");
            // A permit on its way to somebody who has stopped waiting may be one too many, since the limit became smaller.
            let mut size = lock(&quota.size);
            permit.forget();
            match size.surplus.checked_sub(1) {
                Some(surplus) => size.surplus = surplus,
                None => return Turn(self.clone()),
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.quota().give_back();
    }
}

impl Limits {
    /// For a thread that shares no limits with others.
    pub(crate) fn isolated() -> Self {
        Self { own: Some(Mutex::default()), ..Self::default() }
    }

    /// Sets how many bodies that name this limit may run at once, from now on. Running bodies end undisturbed.
    pub(crate) fn set(&self, name: &str, size: usize) -> Result<(), Error> {
        if !is_word(name, NAME_BYTES_MAX) {
            let message = format!("the name of a limit is one word of at most {NAME_BYTES_MAX} bytes, not {name:?}");
            return Err(Error::setting(message));
        }
        if !(1..=SIZE_MAX).contains(&size) {
            return Err(Error::setting(format!("the limit {name} must be from 1 to {SIZE_MAX}, not {size}")));
        }
        let mut named = lock(&self.named);
        match named.get(name) {
            Some(quota) => quota.set_size(size),
            None if NAMES_MAX <= named.len() => {
                let message = format!(
                    "the limit {name} would be one more than the {NAMES_MAX} that a runtime may have; set one of those"
                );
                return Err(Error::setting(message));
            }
            None => drop(named.insert(name.to_owned(), Arc::new(Quota::new(size)))),
        }
        Ok(())
    }

    /// Those that have been set or used, by name.
    pub(crate) fn status(&self) -> Vec<LimitStatus> {
        lock(&self.named).iter().map(|(name, quota)| quota.status(name)).collect()
    }

    fn of_name(&self, name: &str) -> Arc<Quota> {
        let mut named = lock(&self.named);
        if let Some(quota) = named.get(name) {
            return Arc::clone(quota);
        }
        let quota = Arc::new(Quota::new(SIZE_UNSET));
        named.insert(name.to_owned(), Arc::clone(&quota));
        drop(named);
        tracing::warn!(
            name,
            "a limit is used and was never set, so one body runs at a time; set it with `Builder::limit`, or `set_limit`"
        );
        quota
    }
}

/// Runs `wait`, which blocks this thread; meanwhile others have the turns of the body that does so.
pub(crate) fn blocking<R>(wait: impl FnOnce() -> R) -> R {
    let held = HELD.try_with(RefCell::take).unwrap_or_default();
    let sources: Vec<Source> = held.iter().map(|turn| turn.0.clone()).collect();
    drop(held);
    let result = wait();
    for source in sources {
        let turn = block_on(source.turn());
        HELD.with_borrow_mut(|held| held.push(turn));
    }
    result
}

impl Limit {
    /// At most this many at once.
    pub const fn new(limit: usize) -> Self {
        Self(Kind::Own(Quota::new(limit)))
    }

    /// As many as the limit of this name allows.
    pub const fn named(name: &'static str) -> Self {
        Self(Kind::Named(name))
    }

    /// A body that runs only while it has a turn.
    pub fn apply<F: Future>(&'static self, body: F) -> impl Future<Output = F::Output> + use<F> {
        let countdown = timeout::held();
        async move {
            let source = self.source();
            let mut limited = Limited { body: pin!(Some(body)), turn: None };
            loop {
                limited.turn = Some(source.turn().await);
                if let Some(countdown) = &countdown {
                    countdown.start();
                }
                let ended = future::poll_fn(|context| {
                    let poll = || limited.in_turn(|body| body.as_pin_mut().expect("it has not ended").poll(context));
                    match graph::gives_way(poll) {
                        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
                        (Poll::Pending, true) => Poll::Ready(None),
                        (Poll::Pending, false) => Poll::Pending,
                    }
                })
                .await;
                if let Some(output) = ended {
                    return output;
                }
                limited.turn = None;
                // What was polled has seen to it that there will be one.
                graph::until_next_poll().await;
            }
        }
    }

    fn source(&'static self) -> Source {
        let common = graph::with_reactor(|reactor| reactor.common()).expect("a body is polled by a step");
        let limits: Arc<Limits> = common.downcast().expect("what runs have in common are limits");
        match &self.0 {
            Kind::Own(quota) => match &limits.own {
                None => Source::Own(quota),
                Some(own) => {
                    let new = || Arc::new(Quota::new(lock(&quota.size).now));
                    Source::Of(Arc::clone(lock(own).entry(ptr::from_ref(self).addr()).or_insert_with(new)))
                }
            },
            Kind::Named(name) => Source::Of(limits.of_name(name)),
        }
    }
}

/// A body, and its turn while it has one.
struct Limited<'a, F> {
    body: Pin<&'a mut Option<F>>,
    turn: Option<Turn>,
}

impl<F> Limited<'_, F> {
    /// Does something with the body, which may have to [give its turn away](blocking) meanwhile.
    fn in_turn<R>(&mut self, f: impl FnOnce(Pin<&mut Option<F>>) -> R) -> R {
        struct Return<'a>(&'a mut Option<Turn>);
        impl Drop for Return<'_> {
            fn drop(&mut self) {
                *self.0 = HELD.with_borrow_mut(Vec::pop);
            }
        }
        HELD.with_borrow_mut(|held| held.extend(self.turn.take()));
        let _return = Return(&mut self.turn);
        f(self.body.as_mut())
    }
}

impl<F> Drop for Limited<'_, F> {
    fn drop(&mut self) {
        // The body may hold what the limit is for until it is dropped.
        match self.turn {
            Some(_) => self.in_turn(|mut body| body.set(None)),
            None => self.body.set(None),
        }
    }
}
