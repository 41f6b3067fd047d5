//! A scope: the part of a graph that fails and stops together.
//!
//! A run is a scope; so is what an [`attempt`](crate::DC::attempt) or a [`Shared`](crate::Shared) computes.
//! The first failure of a scope is kept here and stops it: no node of it starts a step from then on, each is given
//! up instead when its turn comes. Everything still settles, so the scope's owner (the node that catches the
//! failure) is reached exactly when nothing of the scope is left.
//!
//! A scope is also stopped when nobody needs it any more: a run when it is cancelled, what an `async` body awaits when the body
//! drops it or ends, an attempt with the run it is in, a shared computation when the scopes of *all* who wait for it are
//! stopped. So when one of two runs is cancelled, what both need goes on for the other, with all that it needs itself. A failed
//! attempt does not stop the attempts inside it: what was started there goes on to its end. But a body that waits there for
//! something outside the graph might wait for ever, so it is woken when anything around it stops, and stops with that.

pub(super) mod needed;
pub(super) mod inside;

use std::any::Any;
use std::cell::Cell;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::cx::Queued;
use super::future::alarm::Alarm;
use super::future::asleep;
use super::launch::root::Parent;
use super::node::Node;
use super::shared::head::Head;
use crate::error::{CancelledBy, Error};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use crate::sync::{Mutex, lock, shared_static};
use crate::weak_list::WeakList;

pub(crate) struct Scope {
    pub(super) stopped: AtomicBool,
    /// Whether a shared computation waits for it: it is the scope of one, or of an attempt or an awaited child in one.
    /// Only tasks that wait in here can close a cycle.
    is_in_shared: AtomicBool,
    /// Whether a shared computation started it, though it may have left it behind since. Other runs may need it, so it
    /// has the reactor of the runtime.
    serves_many: AtomicBool,
    /// Whether something of it, or of an attempt in it, waits for a shared result, or is about to. Always set for a
    /// shared computation: to note it would cost each of them.
    has_asked: AtomicBool,
    /// If the run that started it is stopped: the number of stops up to which another run is known to need it.
    pub(super) needed_at: AtomicU32,
    /// What started it: the run, or the part of one that is stopped by itself; null for the scope of that.
    run: AtomicPtr<Scope>,
    pub(super) needed_by: NeededBy,
    pub(super) kept: Mutex<Option<Box<Kept>>>,
}

/// What only matters when a scope stops.
#[derive(Default)]
pub(super) struct Kept {
    /// The first failure.
    failure: Option<Error>,
    /// Who sleeps in this scope, or in an attempt in it.
    asleep: WeakList<Alarm>,
    /// Which try it is, of a task that may be tried again.
    try_number: Option<u32>,
}

/// A scope as nodes hold it. It outlives every node that belongs to it, since its owner waits for them all.
pub(crate) type ScopePtr = NonNull<Scope>;

/// Who needs what a scope computes.
pub(super) enum NeededBy {
    /// Whoever holds the run, until it is cancelled.
    Run(Box<Whole>),
    /// The `async` body that awaits it, until it drops it.
    Body(Awaiting),
    /// The scope around an attempt.
    Around(AtomicPtr<Scope>),
    /// Those who wait for a shared result.
    Waiters(NonNull<Head>),
}

/// Where the `async` body that awaits something belongs.
pub(super) struct Awaiting {
    /// The scope of the run that it is part of.
    whole: AtomicPtr<Scope>,
    /// The scope of its task. Null once it has left what it awaited, which it does under the `kept` lock of that scope.
    pub(super) outer: AtomicPtr<Scope>,
    /// Whether the task waits for it in any case.
    stays: AtomicBool,
}

/// The way from a scope to whoever waits for it.
pub(super) enum Outwards<'a> {
    Scope(&'a Scope),
    Shared(NonNull<Head>),
    Nowhere,
}

/// What a whole run has.
pub(super) struct Whole {
    surroundings: Surroundings,
    /// The node that waits for everything.
    root: AtomicPtr<Node>,
}

/// Somebody who waits for a shared result, as an entry in the list of those who do. It does not change while it is in there.
pub(super) struct Waiter {
    pub(super) next: Cell<*mut Waiter>,
    pub(super) consumer: NonNull<Node>,
}

impl Waiter {
    /// The scope that the consumer belongs to.
    ///
    /// # Safety
    ///
    /// The consumer waits.
    #[inline(always)]
    pub(super) unsafe fn scope(&self) -> ScopePtr {
        // SAFETY: the caller's promise.
        unsafe { self.consumer.as_ref() }.waits_in()
    }
}

/// What a run lives in.
pub(crate) struct Surroundings {
    pub(crate) home: Arc<dyn Home>,
    pub(crate) reactor: Arc<dyn Reactor>,
}

/// Where the nodes of a run are queued.
pub(crate) trait Home: Send + Sync {
    fn inject(self: Arc<Self>, node: Queued);
    /// Something has stopped. For those that [want to know](asleep::tell_of_stops).
    fn look_again(self: Arc<Self>) {}
}

/// The timers and the I/O that the futures of a run find around them.
pub(crate) trait Reactor: Send + Sync {
    /// Calls `poll` with them around it.
    fn enter(&self, poll: &mut dyn FnMut());
    /// The runtime's own, which is there as long as anything runs there; `None` if this is it.
    fn own(&self) -> Option<&Arc<dyn Reactor>> {
        None
    }
    /// What else the parts of the run have in common, for whoever knows what that is.
    fn common(&self) -> Arc<dyn Any + Send + Sync>;
}

// SAFETY: the pointers are to what outlives the scope, and what they point to is shared through atomics.
unsafe impl Send for Scope {}
// SAFETY: as above.
unsafe impl Sync for Scope {}

shared_static! {
    /// How often a scope was stopped. While this does not change, whatever is needed stays needed.
    pub(super) static STOPS: AtomicU32 = AtomicU32::new(0);
}

impl Scope {
    /// The scope of a run.
    pub(crate) fn of_run(surroundings: Surroundings) -> Self {
        let root = AtomicPtr::new(ptr::null_mut());
        Self::new(NeededBy::Run(Box::new(Whole { surroundings, root })))
    }

    /// Sets the root of the run whose scope this is. Only before anything of it runs.
    pub(super) fn set_root(&self, root: NonNull<Node>) {
        if let NeededBy::Run(whole) = &self.needed_by {
            // Relaxed: whoever reads it is a part of the run, which is queued after this.
            whole.root.store(root.as_ptr(), Ordering::Relaxed);
        }
    }

    /// The root of the run that this is part of, which waits for this.
    pub(super) fn root_of_run(&self) -> Parent {
        let scope = self.whole_run();
        let NeededBy::Run(whole) = &scope.needed_by else { unreachable!("a scope that is started knows its run") };
        let node = NonNull::new(whole.root.load(Ordering::Relaxed)).expect("a run has its root from the start");
        Parent { node, scope: NonNull::from(scope) }
    }

    pub(super) fn of_attempt() -> Self {
        Self::new(NeededBy::Around(AtomicPtr::new(ptr::null_mut())))
    }

    /// The scope of a shared computation, which outlives it.
    #[inline(always)]
    pub(super) fn of_shared(shared: NonNull<Head>) -> Self {
        Self::new(NeededBy::Waiters(shared))
    }

    /// Of what an `async` body awaits.
    pub(super) fn of_child() -> Self {
        let unknown = || AtomicPtr::new(ptr::null_mut());
        Self::new(NeededBy::Body(Awaiting { whole: unknown(), outer: unknown(), stays: AtomicBool::new(false) }))
    }

    fn new(needed_by: NeededBy) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            is_in_shared: AtomicBool::new(matches!(needed_by, NeededBy::Waiters(..))),
            serves_many: AtomicBool::new(matches!(needed_by, NeededBy::Waiters(..))),
            has_asked: AtomicBool::new(matches!(needed_by, NeededBy::Waiters(..))),
            needed_at: AtomicU32::new(0),
            run: AtomicPtr::new(ptr::null_mut()),
            needed_by,
            kept: Mutex::new(None),
        }
    }

    /// This scope starts, inside `outer`.
    #[inline(always)]
    pub(super) fn start_in(&self, outer: &Self) {
        let start_in_run = || self.run.store(ptr::from_ref(outer.run()).cast_mut(), Ordering::Relaxed);
        match &self.needed_by {
            NeededBy::Body(body) => {
                body.whole.store(ptr::from_ref(outer.whole_run()).cast_mut(), Ordering::Relaxed);
                body.outer.store(ptr::from_ref(outer).cast_mut(), Ordering::Relaxed);
                self.serves_many.store(outer.serves_many(), Ordering::Relaxed);
            }
            NeededBy::Around(around) => {
                start_in_run();
                around.store(ptr::from_ref(outer).cast_mut(), Ordering::Relaxed);
                self.is_in_shared.store(outer.is_in_shared(), Ordering::Relaxed);
                self.serves_many.store(outer.serves_many(), Ordering::Relaxed);
            }
            NeededBy::Run(_) | NeededBy::Waiters(..) => start_in_run(),
        }
    }

    /// The scope belongs to a child whose task is part of `outer`, and waits for it.
    pub(super) fn waits_in(&self, outer: &Self) {
        self.is_in_shared.store(outer.is_in_shared(), Ordering::Relaxed);
        if let NeededBy::Body(body) = &self.needed_by {
            body.stays.store(true, Ordering::Relaxed);
        }
    }

    /// The body that awaits this no longer does. Unless its task waits all the same, its scope may be gone after this.
    pub(super) fn leave(&self) {
        let _kept = lock(&self.kept);
        if let NeededBy::Body(body) = &self.needed_by
            && !body.stays.load(Ordering::Relaxed)
        {
            body.outer.store(ptr::null_mut(), Ordering::Relaxed);
        }
    }

    /// Whether what waits here may be part of a cycle.
    #[inline(always)]
    pub(super) fn is_in_shared(&self) -> bool {
        // Relaxed: it does not change once the scope has started.
        self.is_in_shared.load(Ordering::Relaxed)
    }

    /// Who waits for what this scope computes, and cannot leave it.
    pub(super) fn outwards(&self) -> Outwards<'_> {
        match &self.needed_by {
            NeededBy::Around(_) => self.around().map_or(Outwards::Nowhere, Outwards::Scope),
            NeededBy::Waiters(shared) => Outwards::Shared(*shared),
            NeededBy::Body(body) if body.stays.load(Ordering::Relaxed) => {
                // SAFETY: the task whose child it is waits for it, in that scope.
                let outer = unsafe { body.outer.load(Ordering::Relaxed).as_ref() };
                outer.map_or(Outwards::Nowhere, Outwards::Scope)
            }
            NeededBy::Run(_) | NeededBy::Body(_) => Outwards::Nowhere,
        }
    }

    /// The next scope outwards, if this is that of an attempt.
    pub(super) fn around(&self) -> Option<&Self> {
        match &self.needed_by {
            // SAFETY: what is around an attempt waits for it.
            NeededBy::Around(around) => unsafe { around.load(Ordering::Relaxed).as_ref() },
            NeededBy::Run(_) | NeededBy::Body(_) | NeededBy::Waiters(..) => None,
        }
    }

    /// To tell runs apart.
    #[inline(always)]
    pub(super) fn run_ptr(&self) -> *const Self {
        self.run()
    }

    #[inline(always)]
    pub(super) fn run(&self) -> &Self {
        // SAFETY: the run needs what it has started and waits for it, so it is still there.
        unsafe { self.run.load(Ordering::Relaxed).as_ref() }.unwrap_or(self)
    }

    /// Where the nodes of this scope are queued.
    pub(super) fn home(&self) -> &Arc<dyn Home> {
        &self.surroundings().home
    }

    /// What the futures of this scope find around them; not that of whoever awaits the run if other runs may need it, too.
    pub(super) fn reactor(&self) -> &dyn Reactor {
        let reactor = &*self.surroundings().reactor;
        if self.serves_many() { reactor.own().map_or(reactor, |own| &**own) } else { reactor }
    }

    fn serves_many(&self) -> bool {
        // Relaxed: as in `is_in_shared`.
        self.serves_many.load(Ordering::Relaxed)
    }

    fn surroundings(&self) -> &Surroundings {
        match &self.whole_run().needed_by {
            NeededBy::Run(whole) => &whole.surroundings,
            _ => unreachable!("a scope that is started knows its run"),
        }
    }

    /// The run, whatever part of it this is in.
    fn whole_run(&self) -> &Self {
        let run = self.run();
        match &run.needed_by {
            // SAFETY: what a body awaits is part of the run, which waits for it.
            NeededBy::Body(body) => unsafe { &*body.whole.load(Ordering::Relaxed) },
            _ => run,
        }
    }

    /// Whether nodes of this scope are to be given up instead of stepped.
    #[inline(always)]
    pub(super) fn is_stopped(&self) -> bool {
        // Relaxed: stopping is a request. A step that starts meanwhile is as good as one that started before.
        if self.stopped.load(Ordering::Relaxed) {
            return true;
        }
        self.run().stopped.load(Ordering::Relaxed) && !self.is_needed()
    }

    /// Ends the scope early, without a failure of its own.
    pub(crate) fn stop(&self) {
        // SeqCst: see `note_asking`.
        let was_stopped = self.stopped.swap(true, Ordering::SeqCst);
        if was_stopped {
            return;
        }
        // Release, pairs with the Acquire in `is_needed`.
        STOPS.fetch_add(1, Ordering::Release);
        // Whoever is added after this finds the scope stopped, having had the lock after us.
        let asleep = lock(&self.kept).as_mut().map(|kept| mem::take(&mut kept.asleep));
        asleep.iter().flat_map(WeakList::live).for_each(|alarm| alarm.ring());
        asleep::tell_of_change(self.has_asked.load(Ordering::SeqCst));
    }

    /// Something of this scope is about to ask for shared results. Returns whether the scope, or one around it, has stopped:
    /// then those who sleep for them have to [look around](asleep::look_around) after that, since nobody else may tell them.
    #[inline(always)]
    pub(super) fn begin_asking(&self) -> bool {
        // Each stop of a shared computation is told anyway.
        !matches!(self.needed_by, NeededBy::Waiters(..)) && self.note_asking()
    }

    fn note_asking(&self) -> bool {
        let mut has_stopped = false;
        let mut next = Some(self);
        while let Some(scope) = next {
            // SeqCst, pairs with that in `stop`: either we see the stop, or whoever stops sees that something has asked.
            if !scope.has_asked.load(Ordering::SeqCst) {
                scope.has_asked.swap(true, Ordering::SeqCst);
            }
            has_stopped |= scope.stopped.load(Ordering::SeqCst);
            next = scope.around();
        }
        has_stopped
    }

    /// Has something of this scope that is about to sleep woken when the scope stops, or anything around it.
    ///
    /// It has to check whether that [has happened](Self::stop_if_unwanted) after this.
    #[cold]
    pub(super) fn wake_when_stopped(&self, alarm: &Arc<Alarm>) {
        let mut scope = self;
        loop {
            lock(&scope.kept).get_or_insert_default().asleep.add(Arc::downgrade(alarm));
            if let NeededBy::Waiters(..) = scope.needed_by {
                asleep::add(alarm);
            }
            let Some(around) = scope.around() else { return };
            scope = around;
        }
    }

    /// Returns whether this scope is stopped. Stops it if one around it is, or if it belongs to a shared computation
    /// that nobody will need any more; the latter is only checked if there may be something new since `seen`.
    pub(super) fn stop_if_unwanted(&self, seen: &mut Option<u64>) -> bool {
        let mut base = self;
        while let Some(scope) = base.around() {
            if scope.stopped.load(Ordering::Relaxed) {
                self.stop();
            }
            base = scope;
        }
        if let NeededBy::Waiters(..) = base.needed_by {
            // Before the look: what changes after this leads to another look.
            let changes = Some(asleep::changes());
            if mem::replace(seen, changes) != changes && !base.is_wanted() {
                base.stop();
                self.stop();
            }
        }
        self.is_stopped()
    }

    /// Keeps the scope's first failure, and stops it.
    #[cold]
    pub(crate) fn fail(&self, failure: impl FnOnce() -> Error) {
        lock(&self.kept).get_or_insert_default().failure.get_or_insert_with(failure);
        self.stop();
    }

    pub(super) fn set_try_number(&self, try_number: u32) {
        lock(&self.kept).get_or_insert_default().try_number = Some(try_number);
    }

    /// Which try this is part of.
    pub(super) fn try_number(&self) -> Option<u32> {
        let own = |scope: &Self| lock(&scope.kept).as_ref().and_then(|kept| kept.try_number);
        let mut scope = Some(self);
        while let Some(this) = scope {
            if let Some(try_number) = own(this) {
                return Some(try_number);
            }
            scope = match this.outwards() {
                Outwards::Scope(outer) => Some(outer),
                Outwards::Shared(_) | Outwards::Nowhere => None,
            };
        }
        None
    }

    /// Whether there is anything to drop in the scope of a shared computation: usually nothing has happened there.
    #[inline(always)]
    pub(super) fn holds_anything(&mut self) -> bool {
        // On some systems a lock has memory of its own.
        mem::needs_drop::<Mutex<()>>() || self.kept.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).is_some()
    }

    /// Why the scope has no result.
    #[cold]
    pub(super) fn failure(&self) -> Error {
        self.kept_failure().unwrap_or_else(|| Error::cancelled(CancelledBy::NobodyLeft))
    }

    /// Takes over what ended the run as why this scope has no result, unless it has its own reason. While the run is there.
    #[cold]
    pub(super) fn inherit_failure(&self) {
        if let Some(failure) = self.run().kept_failure().filter(Error::is_cancelled) {
            let failure = || Error::cancelled(CancelledBy::With(failure.to_string().into()));
            lock(&self.kept).get_or_insert_default().failure.get_or_insert_with(failure);
        }
    }

    fn kept_failure(&self) -> Option<Error> {
        lock(&self.kept).as_ref().and_then(|kept| kept.failure.clone())
    }
}
