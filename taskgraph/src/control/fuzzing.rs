//! The entry point for `fuzz/`. `cargo fuzz` builds with `--cfg fuzzing`; no other build has it.

use std::sync::Arc;

use futures_util::future::join3;
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

use super::auth::Token;
use super::connection;
use super::session::{Next, Port, Session};
use super::stand_in::{Fake, peer};
use crate::steering::Steering;

/// The workers that the stand-in for the runtime may have at first.
pub const MAX_WORKERS: usize = 4;

/// A client of a port of its own, with neither socket nor clock.
pub struct Client {
    session: Session,
    steering: Arc<Fake>,
}

/// How a conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// More may come.
    Open,
    /// It is closed.
    Close,
    /// The same, because a browser began it.
    Browser,
}

impl Client {
    /// With this token, if any.
    pub fn new(token: Option<&str>) -> Client {
        let steering = Arc::new(Fake::with_max_workers(MAX_WORKERS));
        let token = token.map(|token| Token::new(token).expect("the fuzzer's token is one word"));
        let session = Session::new(Arc::new(Port::new(Arc::<Fake>::clone(&steering), token)), peer());
        Client { session, steering }
    }

    /// Takes the next byte, and adds the answer to `out`.
    pub fn push(&mut self, byte: u8, out: &mut Vec<u8>) -> Then {
        then(self.session.push(byte, out))
    }

    /// No more bytes will come.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Then {
        then(self.session.finish(out))
    }

    /// Whether the client has yet to send the token.
    pub fn is_locked(&self) -> bool {
        self.session.is_locked()
    }

    /// How many workers the stand-in may have.
    pub fn max_workers(&self) -> usize {
        self.steering.max_workers()
    }

    /// The memory that the conversation holds.
    pub fn kept_bytes(&self) -> usize {
        size_of::<Session>() + self.session.line_bytes()
    }
}

fn then(next: Next) -> Then {
    match next {
        Next::Bytes | Next::Answered { .. } => Then::Open,
        Next::Close { .. } => Then::Close,
        Next::Http => Then::Browser,
    }
}

/// What a client reads if it sends these pieces, one by one, through a pipe that holds `pipe_bytes`. Time is virtual.
pub fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, pipe_bytes: usize, token: Option<&str>) -> Vec<u8> {
    let (client, mut stream) = io::duplex(pipe_bytes);
    let (mut reading, mut writing) = io::split(client);
    let mut session = Client::new(token).session;
    let send = async {
        for piece in pieces {
            // The port may have closed, which is not the question here.
            let _ = writing.write_all(piece).await;
        }
        let _ = writing.shutdown().await;
    };
    let receive = async {
        let mut answers = Vec::new();
        reading.read_to_end(&mut answers).await.expect("a pipe does not fail");
        answers
    };
    let serve = async move {
        assert!(connection::converse(&mut stream, &mut session).await.is_ok(), "nothing here is late or lost");
    };
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("it asks for nothing");
    runtime.block_on(join3(send, receive, serve)).1
}
