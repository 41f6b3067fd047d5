//! Who gets in: takes connections, up to a limit, and gives each a task of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::control::connection;
use crate::control::pace::Pace;
use crate::control::session::{Port, Session};

/// Far more than people and scripts need, and few enough to leave the process its file descriptors.
const CONNECTIONS_MAX: usize = 64;

/// How many connections without a place may linger at a time; any more are closed as soon as they have been told why.
const LINGERING_MAX: usize = 16;

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
        let ended = if let Ok(_place) = self.places.try_acquire() {
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
}
