//! Who gets in: takes connections, up to a limit, and gives each a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::control::connection;
use crate::control::pace::Paced;
use crate::control::session::{Port, Session};

/// Far more than people and scripts need, and few enough to leave the process its file descriptors.
const CONNECTIONS_MAX: usize = 64;

/// So many connections above the limit are told so at a time; what is more than that is closed without a word.
const REFUSALS_MAX: usize = 16;

/// After a failure to take a connection, most likely for want of file descriptors, the next try comes this late.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Takes connections for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, port: Arc<Port>) {
    let places = Places::new(CONNECTIONS_MAX);
    let refusals = Places::new(REFUSALS_MAX);
    // Somebody who does nothing but connect is paced as well.
    Paced::new(accept(listener, port, places, refusals), || 1).await;
}

async fn accept(listener: TcpListener, port: Arc<Port>, places: Places, refusals: Places) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(place) = places.take() {
                    tracing::debug!(%peer, "control connection");
                    let session = Session::new(Arc::clone(&port));
                    spawn(connection::serve(stream, peer, session), place, &places);
                } else if let Some(place) = refusals.take() {
                    tracing::debug!(%peer, "control connection refused, {CONNECTIONS_MAX} are open");
                    spawn(refuse(stream), place, &refusals);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take a control connection");
                sleep(ACCEPT_RETRY).await;
            }
        }
        // Taking a connection does not always wait, and those who are in must have their turn.
        yield_now().await;
    }
}

/// Serves a connection, which keeps its place until it is closed.
fn spawn(serving: impl Future<Output = ()> + Send + 'static, place: Place, places: &Places) {
    let places = places.clone();
    let serving = async move {
        serving.await;
        drop(place);
    };
    tokio::spawn(Paced::new(serving, move || places.n_taken()));
}

async fn refuse(stream: TcpStream) {
    connection::tell(stream, &format!("too many connections, at most {CONNECTIONS_MAX} can be open\r\n")).await;
}

/// Room for a number of connections.
#[derive(Clone)]
struct Places {
    n_places: usize,
    free: Arc<Semaphore>,
}

/// Dropping it gives the place back.
struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Places {
    fn new(n_places: usize) -> Places {
        Places { n_places, free: Arc::new(Semaphore::new(n_places)) }
    }

    fn take(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok().map(Place)
    }

    fn n_taken(&self) -> u32 {
        u32::try_from(self.n_places - self.free.available_permits()).expect("there are few places")
    }
}
