//! Waiting for other threads, in a known order, and never for ever.

use std::future::{self, Future};
use std::mem;
use std::pin::pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::size;

/// A hang is reported after this long: far more than anything here takes on a busy machine.
const HANGS_AFTER: Duration = Duration::from_secs(size::of(60, 60, 600));

/// Runs `code`, and fails if it does not end.
///
/// # Panics
///
/// If `code` does, or hangs.
#[track_caller]
pub fn ends<R: Send + 'static>(code: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = channel();
    let thread = thread::spawn(move || send.send(code()));
    match receive.recv_timeout(HANGS_AFTER) {
        Ok(result) => {
            let _ = thread.join();
            result
        }
        Err(RecvTimeoutError::Timeout) => panic!("this hangs"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(payload) => std::panic::resume_unwind(payload),
            Ok(_) => unreachable!("a thread that returns has sent its result"),
        },
    }
}

/// Waits, with a deadline, until `condition` holds.
///
/// # Panics
///
/// If it never does.
#[track_caller]
pub fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < HANGS_AFTER, "this never happens");
        thread::sleep(Duration::from_micros(100));
    }
}

/// Stages that threads pass in order: one signals that it has reached a stage, others wait for that.
#[derive(Default)]
pub struct Stages {
    reached: Mutex<u32>,
    moved: Condvar,
}

impl Stages {
    /// At stage 0.
    pub const fn new() -> Self {
        Self { reached: Mutex::new(0), moved: Condvar::new() }
    }

    /// At least this stage is reached.
    pub fn signal(&self, stage: u32) {
        let mut reached = self.reached.lock().unwrap();
        *reached = (*reached).max(stage);
        self.moved.notify_all();
    }

    /// One more stage is reached.
    pub fn arrive(&self) {
        *self.reached.lock().unwrap() += 1;
        self.moved.notify_all();
    }

    /// Whether that stage is reached.
    pub fn has_reached(&self, stage: u32) -> bool {
        stage <= *self.reached.lock().unwrap()
    }

    /// Waits until that stage is reached.
    ///
    /// # Panics
    ///
    /// If it never is.
    #[track_caller]
    pub fn wait_for(&self, stage: u32) {
        let mut reached = self.reached.lock().unwrap();
        let start = Instant::now();
        while *reached < stage {
            let left = HANGS_AFTER.checked_sub(start.elapsed()).unwrap_or_else(|| {
                panic!("stage {stage} is never reached: it stays at {}", *reached);
            });
            reached = self.moved.wait_timeout(reached, left).unwrap().0;
        }
    }
}

/// Waits for a future, with the smallest executor there is.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Lets other tasks get on for once.
pub async fn give_way() {
    let mut is_first = true;
    future::poll_fn(|context| {
        if mem::take(&mut is_first) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}
