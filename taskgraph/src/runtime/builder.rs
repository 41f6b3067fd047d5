//! The settings of a runtime.

use std::env::{self, VarError};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Core, Live, Runtime, check_max_workers};
use crate::control::{Control, TOKEN_VARIABLE, Token};
use crate::error::Error;
use crate::limit::Limits;
use crate::reactor::OwnReactor;
use crate::scheduler::Scheduler;
use crate::steering::Steering;
use crate::sync::{Condvar, Mutex};
use crate::{CONTROL_PORT, MAX_WORKERS_LIMIT};

/// Says whether and where the control port opens, for programs that do not say so themselves.
const CONTROL_VARIABLE: &str = "TASKGRAPH_CONTROL";

/// A stall that lasts this long is reported: longer than most bodies, and short for people who wait.
const STALL_AFTER: Duration = Duration::from_secs(60);

/// Every setting of a [`Runtime`], with its default.
///
/// ```
/// let runtime = taskgraph::Runtime::builder().max_workers(2).no_control().build()?;
/// assert_eq!(runtime.max_workers(), 2);
/// assert!(taskgraph::Runtime::builder().max_workers(0).build().is_err());
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    max_workers: Option<usize>,
    control: Listen,
    token: Option<String>,
    limits: Vec<(String, usize)>,
    stall_after: Duration,
    stack_size: Option<usize>,
    counts_tasks: bool,
}

#[derive(Clone, Copy, Debug)]
enum Listen {
    /// At the default address; a busy port is worth a warning.
    ByDefault,
    /// At this address; a busy port is an error.
    At(SocketAddr),
    Nowhere,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            max_workers: None,
            control: Listen::ByDefault,
            token: None,
            limits: Vec::new(),
            stall_after: STALL_AFTER,
            stack_size: None,
            counts_tasks: false,
        }
    }

    /// How many workers there may be, from 1 to [`MAX_WORKERS_LIMIT`]. By default, as many as the machine has cores.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().max_workers(3).no_control().build()?;
    /// assert_eq!(runtime.max_workers(), 3);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn max_workers(mut self, max_workers: usize) -> Self {
        self.max_workers = Some(max_workers);
        self
    }

    /// Where the control port listens. Port 0 means any free one; [`control_addr`](Runtime::control_addr) says which.
    ///
    /// The default is the environment variable `TASKGRAPH_CONTROL` (`off`, a port of 127.0.0.1, or an address), and without
    /// that `127.0.0.1:8888` if it is free. An address other than loopback needs a [`control_token`](Self::control_token).
    ///
    /// ```
    /// let any_port = "127.0.0.1:0".parse().unwrap();
    /// let runtime = taskgraph::Runtime::builder().control(any_port).build()?;
    /// println!("telnet 127.0.0.1 {}", runtime.control_addr().unwrap().port());
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn control(mut self, addr: SocketAddr) -> Self {
        self.control = Listen::At(addr);
        self
    }

    /// No control port.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().no_control().build()?;
    /// assert_eq!(runtime.control_addr(), None);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn no_control(mut self) -> Self {
        self.control = Listen::Nowhere;
        self
    }

    /// What a client of the control port has to send first, as `auth TOKEN`: one word of at most 256 bytes.
    ///
    /// The default is the environment variable `TASKGRAPH_CONTROL_TOKEN`; if it is not set, no token is needed, and if it
    /// is empty, that is an error of [`build`](Self::build).
    ///
    /// ```
    /// let builder = taskgraph::Runtime::builder();
    /// assert!(builder.clone().control_token("sesame").build().is_ok());
    /// assert!(builder.control_token("open sesame").build().is_err()); // two words
    /// ```
    pub fn control_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How many bodies of all functions with `#[delayed(limit = "name")]` may run at once: see [`Runtime::set_limit`].
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().limit("db", 8).limit("disk", 2).no_control().build()?;
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn limit(mut self, name: impl Into<String>, size: usize) -> Self {
        self.limits.push((name.into(), size));
        self
    }

    /// How long all workers may be stuck in one body each before that is reported as a stall. One minute by default;
    /// `Duration::MAX` turns it off.
    ///
    /// A `tracing` warning names the bodies, and how long each has run at least. It comes again after twice the time, and so
    /// on. It may be late by half the time: by default, it comes after 60 to 90 seconds. A sleeping watchdog thread does
    /// this, from the first run on. When it is off, `running` on the control port shows no times. Zero is an error of
    /// [`build`](Self::build).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = taskgraph::Runtime::builder().stall_after(Duration::from_secs(5)).no_control().build()?;
    /// assert_eq!(runtime.run(taskgraph::DC::new(|| 6 * 7, ()))?, 42);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn stall_after(mut self, stall_after: Duration) -> Self {
        self.stall_after = stall_after;
        self
    }

    /// How many bytes of stack each worker has, for bodies that recurse deeply, or have large variables. By default 2 MiB, or what
    /// `RUST_MIN_STACK` in the environment says. (A deep graph needs none of it: no worker calls a body from inside another.)
    ///
    /// ```
    /// fn depth(n: u64) -> u64 {
    ///     if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) }
    /// }
    /// let runtime = taskgraph::Runtime::builder().stack_size(64 << 20).no_control().build()?;
    /// assert_eq!(runtime.run(taskgraph::DC::new(depth, (100_000,)))?, 100_000);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Counts tasks from the start, for [`Runtime::progress`] and `progress` on the control port, which otherwise count from when
    /// they are asked first. Each task takes some nanoseconds more then.
    ///
    /// ```
    /// let runtime = taskgraph::Runtime::builder().max_workers(1).count_tasks().no_control().build()?;
    /// runtime.run(taskgraph::DC::value(1).map(|x| x + 1))?;
    /// assert_eq!(runtime.progress().functions()[0].done(), 1);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    pub fn count_tasks(mut self) -> Self {
        self.counts_tasks = true;
        self
    }

    /// Starts the threads, and opens the control port.
    ///
    /// # Errors
    ///
    /// If `max_workers` or a limit is out of range, a limit's name or the token is not one word, an environment variable cannot
    /// be understood, the system has no threads left, or a control port that was asked for cannot be opened.
    ///
    /// ```
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// let taken = listener.local_addr().unwrap();
    /// assert!(taskgraph::Runtime::builder().control(taken).build().is_err());
    /// ```
    pub fn build(self) -> Result<Runtime, Error> {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get).min(MAX_WORKERS_LIMIT);
        let max_workers = self.max_workers.unwrap_or_else(cores);
        check_max_workers(max_workers)?;
        if self.stall_after.is_zero() {
            return Err(Error::setting("stall_after must not be zero; `Duration::MAX` turns it off".into()));
        }
        let listen = self.control.or_from_environment()?;
        let token = self.token.map_or_else(|| variable(TOKEN_VARIABLE), |token| Ok(Some(token)))?;
        let token = token.as_deref().map(Token::new).transpose().map_err(Error::setting)?;
        let limits = Arc::new(Limits::default());
        for (name, size) in &self.limits {
            limits.set(name, *size)?;
        }
        let core = Arc::new(Core {
            scheduler: Scheduler::new(max_workers, self.stall_after, self.stack_size)?,
            reactor: OwnReactor::new(Arc::clone(&limits)),
            limits,
            live: Mutex::new(Live::default()),
            none_live: Condvar::new(),
        });
        if self.counts_tasks {
            core.scheduler.count_tasks();
        }
        let mut runtime = Runtime { core, control: None };
        let steering = Arc::clone(&runtime.core) as Arc<dyn Steering>;
        runtime.control = listen.open(token, steering)?;
        Ok(runtime)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token is a secret.
        f.debug_struct("Builder")
            .field("max_workers", &self.max_workers)
            .field("control", &self.control)
            .field("limits", &self.limits)
            .field("stall_after", &self.stall_after)
            .field("stack_size", &self.stack_size)
            .field("counts_tasks", &self.counts_tasks)
            .finish_non_exhaustive()
    }
}

impl Listen {
    fn or_from_environment(self) -> Result<Self, Error> {
        let Self::ByDefault = self else { return Ok(self) };
        match variable(CONTROL_VARIABLE)?.as_deref() {
            None | Some("") => Ok(self),
            Some(off) if off.eq_ignore_ascii_case("off") => Ok(Self::Nowhere),
            Some(value) => {
                let at_port = value.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                at_port.or_else(|_| value.parse()).map(Self::At).map_err(|_| {
                    Error::setting(format!(
                        "{CONTROL_VARIABLE} is {value:?}, and must be `off`, a port such as {CONTROL_PORT}, or an address \
                         such as 127.0.0.1:{CONTROL_PORT}"
                    ))
                })
            }
        }
    }

    fn open(self, token: Option<Token>, steering: Arc<dyn Steering>) -> Result<Option<Control>, Error> {
        match self {
            Self::Nowhere => Ok(None),
            Self::At(addr) => match Control::open(addr, token, steering) {
                Ok(control) => Ok(Some(control)),
                Err(source) => Err(Error::control(addr, source)),
            },
            Self::ByDefault => {
                let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, CONTROL_PORT));
                match Control::open(addr, token, steering) {
                    Ok(control) => Ok(Some(control)),
                    Err(error) => {
                        tracing::warn!(%addr, "running without a control port, {addr} cannot be opened: {error}; \
                             {CONTROL_VARIABLE} in the environment says where else to listen, or `off`");
                        Ok(None)
                    }
                }
            }
        }
    }
}

/// An environment variable, if it is set. One that cannot be read is an error: otherwise, a broken token would be no token.
fn variable(name: &str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) => Ok(Some(value.trim().to_owned())),
        Err(VarError::NotPresent) => Ok(None),
        // Its value may be a secret.
        Err(VarError::NotUnicode(_)) => Err(Error::setting(format!("{name} is set to something that is not UTF-8"))),
    }
}
