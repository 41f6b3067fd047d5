//! The control port: a line protocol over TCP, for people with `telnet` and scripts with `nc`, while a runtime lives.
//!
//! ```text
//! bytes -> telnet -> line -> session -> command -> Steering      (no I/O, no clock: tested without sockets)
//!            listener -> connection, each within its pace        (tokio; one thread for everything)
//! ```
//!
//! Invariants:
//!
//! 1. A run never waits for this port. All of it lives on one thread of its own and reaches the runtime through
//!    [`Steering`] only, as any other caller would.
//! 2. Everything a client can make us keep is bounded: connections, bytes of a line, unsent answers, and the share
//!    of a core that serving them takes.
//! 3. Dropping [`Control`] gives everything back: connections, thread and port.
//!
//! Only the runtime opens the port.

mod telnet;
mod line;
mod echo;
mod http;
mod auth;
mod command;
mod actions;
mod session;
mod pace;
mod urgent;
mod connection;
mod listener;
#[cfg(any(test, fuzzing))]
mod stand_in;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{self, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

pub(crate) use crate::control::auth::Token;
use crate::control::session::Port;
use crate::steering::Steering;

/// The environment variable with a token, for programs that set none themselves.
pub(crate) const TOKEN_VARIABLE: &str = "TASKGRAPH_CONTROL_TOKEN";

/// The open port; dropping it closes every connection, ends the thread, and frees the port.
///
/// Dropping waits for the thread, and so for a command that it is just carrying out: do not drop it while holding a lock
/// that [`Steering`] takes, and keep it out of the `Steering` itself.
pub(crate) struct Control {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Binds, so that a busy port is an error here and at once, then serves on a thread of its own.
    ///
    /// Port 0 takes any free one. An address that other machines can reach needs a token, which clients have to send first.
    pub(crate) fn open(addr: SocketAddr, token: Option<Token>, steering: Arc<dyn Steering>) -> io::Result<Control> {
        if token.is_none() && !is_loopback(addr) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "other machines could reach it; listen on 127.0.0.1, or set a token: `Builder::control_token`, or \
                     {TOKEN_VARIABLE} in the environment",
                ),
            ));
        }

        let listener = net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;

        // The thread is started before there is a tokio runtime to hand to it. So no failure leaves us with a runtime to
        // drop, which tokio forbids on the thread of an asynchronous caller; and the two starts overlap.
        let (stop, stopped) = oneshot::channel();
        let (hand_over, handed_over) = mpsc::sync_channel::<Reactor>(1);
        let thread = thread::Builder::new().name("taskgraph-control".to_owned()).spawn(move || {
            if let Ok(reactor) = handed_over.recv() {
                reactor.run_until(stopped);
            }
        })?;
        // From here on, leaving early drops `hand_over` first, so that the thread ends, and then waits for it.
        let control = Control { addr, stop: Some(stop), thread: Some(thread) };
        let hand_over = hand_over;

        let reactor = Reactor::new()?;
        reactor.serve(listener, Port::new(steering, token))?;
        hand_over.send(reactor).expect("the thread waits for its reactor");
        tracing::debug!(%addr, "control port is open");
        Ok(control)
    }

    /// Where the port listens, with the actual number if it was port 0.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // All that this gives is whether the thread panicked, which the panic hook has reported already.
            let _ = thread.join();
        }
    }
}

/// The tokio runtime of the port. It never blocks the thread that drops it.
struct Reactor(Option<Runtime>);

impl Reactor {
    fn new() -> io::Result<Reactor> {
        Ok(Reactor(Some(Builder::new_current_thread().enable_io().enable_time().build()?)))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("only dropping takes the runtime")
    }

    /// Gets everything ready; it starts to run in [`run_until`](Reactor::run_until).
    fn serve(&self, listener: net::TcpListener, port: Port) -> io::Result<()> {
        let _entered = self.runtime().enter();
        let listener = TcpListener::from_std(listener)?;
        self.runtime().spawn(listener::serve(listener, Arc::new(port)));
        Ok(())
    }

    /// Serves until the sender of `stopped` sends or is gone; then drops all tasks with their sockets.
    fn run_until(self, stopped: oneshot::Receiver<()>) {
        let _ = self.runtime().block_on(stopped);
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whether only this machine can reach `addr`; `::ffff:127.0.0.1` is `127.0.0.1`, too.
fn is_loopback(addr: SocketAddr) -> bool {
    addr.ip().to_canonical().is_loopback()
}
