//! One connection: its socket and its clock. What the bytes mean is the [`Session`]'s business.
//!
//! Reading stops while an answer is being written. So a client that does not read is not read from either, and
//! what it can make us keep is one buffer of each kind.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::control::session::{Next, Session};
use crate::control::urgent::Inline;

/// How much is read at a time: one full line.
const READ_BYTES: usize = 4096;

/// Answers are sent at the latest when there are this many bytes of them.
const UNSENT_BYTES_MAX: usize = 16 * 1024;

/// A client that takes nothing for this long is gone or hostile: people's terminals take answers in milliseconds.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time to paste a token; without this limit, clients that have none could keep all places for ever.
const AUTH_TIMEOUT: Duration = Duration::from_secs(60);

/// What each wrong token costs: a person hardly notices it, and a guesser does.
const WRONG_TOKEN_DELAY: Duration = Duration::from_millis(500);

/// How long a client that we closed may take to close as well.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a client until one side closes; gives back what is to be closed, unless it is lost.
pub(super) async fn serve(mut stream: TcpStream, mut session: Session) -> Option<TcpStream> {
    let conversation = async {
        // Answers are small and somebody waits for them.
        stream.set_nodelay(true)?;
        converse(&mut Inline::new(&mut stream)?, &mut session).await
    };
    match conversation.await {
        Ok(End::Close) => Some(stream),
        Ok(End::Http) => {
            session.log_browser();
            Some(stream)
        }
        Err(error) => {
            tracing::debug!(peer = %session.peer(), %error, "control connection lost");
            None
        }
    }
}

/// Sends one text; gives back what is to be closed, unless it is lost.
pub(super) async fn tell(mut stream: TcpStream, text: &str) -> Option<TcpStream> {
    send(&mut stream, text.as_bytes()).await.is_ok().then_some(stream)
}

/// Why a conversation is over.
pub(super) enum End {
    Close,
    Http,
}

/// Answers a client on any kind of stream, until one side ends it.
pub(super) async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    session: &mut Session,
) -> io::Result<End> {
    let authorized_by = Instant::now() + AUTH_TIMEOUT;
    let mut input = [0; READ_BYTES];
    let mut out = Vec::new();
    loop {
        let n_bytes = if session.is_locked() {
            timeout_at(authorized_by, stream.read(&mut input)).await??
        } else {
            stream.read(&mut input).await?
        };
        if n_bytes == 0 {
            let end = end_of(session.finish(&mut out)).await;
            send(stream, &out).await?;
            return Ok(end.unwrap_or(End::Close));
        }
        for &byte in &input[..n_bytes] {
            let next = session.push(byte, &mut out);
            if next == Next::Bytes {
                continue;
            }
            if let Some(end) = end_of(next).await {
                // Nothing that a browser sends is answered, but what came before may have been.
                send(stream, &out).await?;
                return Ok(end);
            }
            if UNSENT_BYTES_MAX <= out.len() {
                send(stream, &out).await?;
                out.clear();
            }
            // A turn is one line, or what was read without one, so that no client can hold up the others.
            yield_now().await;
        }
        send(stream, &out).await?;
        out.clear();
        yield_now().await;
    }
}

/// Waits if the answer has to be late; gives how the conversation ends, if it does.
async fn end_of(next: Next) -> Option<End> {
    if let Next::Answered { is_late: true } | Next::Close { is_late: true } = next {
        sleep(WRONG_TOKEN_DELAY).await;
    }
    match next {
        Next::Bytes | Next::Answered { .. } => None,
        Next::Close { .. } => Some(End::Close),
        Next::Http => Some(End::Http),
    }
}

/// Sends all of `bytes`, to a client that takes some of them now and then.
async fn send(stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n_bytes = timeout(WRITE_TIMEOUT, stream.write(bytes)).await??;
        bytes = &bytes[n_bytes..];
    }
    Ok(())
}

/// Closes so that the client gets to read everything that was sent.
///
/// Unread bytes from the client would make the kernel reset the connection, and the last answers could be lost with it.
/// So our side ends first, and what still comes is thrown away for a while.
pub(super) async fn close(mut stream: TcpStream) {
    let mut scrap = [0; READ_BYTES];
    let emptied = async {
        stream.shutdown().await?;
        while stream.read(&mut scrap).await? != 0 {
            yield_now().await;
        }
        io::Result::Ok(())
    };
    // Whether the client closes, breaks off or dawdles: it is over.
    let _ = timeout(CLOSE_TIMEOUT, emptied).await;
}
