//! Who gets in: takes connections, up to a limit, and gives each a task of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::control::connection;
use crate::control::pace::Pace;
use crate::control::session::{Port, Session};

/// Far more than people and scripts need, and few enough to leave the process its file descriptors.
const CONNECTIONS_MAX: usize = 64;

/// How many connections without a place may linger at a time; any more are closed as soon as they have been told why.
const LINGERING_MAX: usize = 16;

/// How long a connection may linger until there is a place: a client that closes is gone before its end is read here.
const PLACE_TIMEOUT: Duration = Duration::from_millis(100);

/// How long after a failure to take a connection, most likely for want of file descriptors, the next try comes.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Takes connections for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, port: Arc<Port>) {
    let pace = Pace::new();
    // A client that does nothing but connect is paced as well.
    pace.keep(accept(listener, port, &pace)).await;
}

async fn accept(listener: TcpListener, port: Arc<Port>, pace: &Pace) {
    let door = Arc::new(Door::new(port));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let door = Arc::clone(&door);
                tokio::spawn(pace.keep(async move { door.receive(stream, peer).await }));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take a control connection");
                sleep(ACCEPT_RETRY).await;
            }
        }
        // Taking a connection does not always wait, and open connections must have their turn.
        yield_now().await;
    }
}

/// The places that connections have.
struct Door {
    port: Arc<Port>,
    places: Semaphore,
    lingering: Semaphore,
}

impl Door {
    fn new(port: Arc<Port>) -> Door {
        Door { port, places: Semaphore::new(CONNECTIONS_MAX), lingering: Semaphore::new(LINGERING_MAX) }
    }

    /// Serves a connection, or tells it that there is no place.
    async fn receive(&self, stream: TcpStream, peer: SocketAddr) {
        let ended = if let Some(_place) = self.place().await {
            tracing::debug!(%peer, "control connection");
            connection::serve(stream, Session::new(Arc::clone(&self.port), peer)).await
        } else {
            tracing::debug!(%peer, "control connection refused, {CONNECTIONS_MAX} are open");
            // A new socket takes so short a text at once: who does not linger is open for a moment only.
            connection::tell(stream, &format!("too many connections, at most {CONNECTIONS_MAX} can be open\r\n")).await
        };
        // The client's place is free before it can see the end.
        if let Some(stream) = ended
            && let Ok(_lingering) = self.lingering.try_acquire()
        {
            connection::close(stream).await;
        }
    }

    /// A place, if there is one now or soon.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let _lingering = self.lingering.try_acquire().ok()?;
        timeout(PLACE_TIMEOUT, self.places.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::runtime::Builder;

    use super::*;
    use crate::control::stand_in::Fake;

    /// Each test has a door of its own, and virtual time.
    fn check(test: impl AsyncFnOnce(Door)) {
        let port = Port::new(Arc::new(Fake::with_max_workers(4)), None);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test(Door::new(Arc::new(port))));
    }

    #[test]
    fn whoever_finds_no_place_waits_for_one_that_becomes_free() {
        check(async |door| {
            let places = door.places.try_acquire_many(64).unwrap();
            let mut waiting = pin!(door.place());
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(places);
            assert!(waiting.await.is_some());
        });
    }

    #[test]
    fn no_more_than_16_wait_and_not_for_long() {
        check(async |door| {
            let _places = door.places.try_acquire_many(64).unwrap();
            let mut waiting: Vec<_> = (0..16).map(|_| Box::pin(door.place())).collect();
            assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
            assert!(door.place().now_or_never().expect("it does not wait").is_none());
            for waiting in waiting {
                assert!(waiting.await.is_none());
            }
            assert_eq!(door.lingering.available_permits(), 16);
        });
    }
}
