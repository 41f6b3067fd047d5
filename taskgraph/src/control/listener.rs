//! Who gets in: takes connections, up to a limit, and gives each a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::control::connection;
use crate::control::pace::Pace;
use crate::control::session::{Port, Session};

/// Far more than people and scripts need, and few enough to leave the process its file descriptors.
const CONNECTIONS_MAX: usize = 64;

/// How many connections above the limit are told so at a time; any more are closed without a word.
const REFUSALS_MAX: usize = 16;

/// How long after a failure to take a connection, most likely for want of file descriptors, the next try comes.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Takes connections for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, port: Arc<Port>) {
    let pace = Pace::new();
    // A client that does nothing but connect is paced as well.
    pace.keep(accept(listener, port, &pace)).await;
}

async fn accept(listener: TcpListener, port: Arc<Port>, pace: &Pace) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(place) = take(&places) {
                    tracing::debug!(%peer, "control connection");
                    let session = Session::new(Arc::clone(&port), peer);
                    spawn(connection::serve(stream, session), place, pace);
                } else if let Some(place) = take(&refusals) {
                    tracing::debug!(%peer, "control connection refused, {CONNECTIONS_MAX} are open");
                    spawn(refuse(stream), place, pace);
                }
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

fn take(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(places).try_acquire_owned().ok()
}

/// Serves a connection, which keeps its place until it is closed.
fn spawn(serving: impl Future<Output = ()> + Send + 'static, place: OwnedSemaphorePermit, pace: &Pace) {
    tokio::spawn(pace.keep(async move {
        serving.await;
        drop(place);
    }));
}

async fn refuse(stream: TcpStream) {
    connection::tell(stream, &format!("too many connections, at most {CONNECTIONS_MAX} can be open\r\n")).await;
}
