//! A socket that gives urgent bytes in their place.
//!
//! A Synch of telnet (RFC 854) is an IAC, and then a DM that is sent as urgent. By default, the system takes urgent
//! bytes out of the stream, and the byte after the DM would be taken for the command.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub(super) struct Inline<'a>(&'a mut TcpStream);

impl Inline<'_> {
    pub(super) fn new(stream: &mut TcpStream) -> io::Result<Inline<'_>> {
        SockRef::from(&*stream).set_out_of_band_inline(true)?;
        Ok(Inline(stream))
    }
}

impl AsyncRead for Inline<'_> {
    /// As that of `TcpStream`, except that a read that fills only a part of the buffer is no sign that all was read: the
    /// system ends a read before an urgent byte, even if there are more behind it.
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read_buf(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Inline<'_> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn what_is_behind_an_urgent_byte_is_read_though_nothing_more_comes() {
        let conversation = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut stream = Inline::new(&mut stream).unwrap();
            client.write_all(b"x").await.unwrap();
            // From here on, the stream knows that it has to wait.
            assert_eq!(stream.read(&mut [0; 4096]).await.unwrap(), 1);

            client.write_all(b"a\xff").await.unwrap();
            SockRef::from(&client).send_out_of_band(b"\xf2").unwrap();
            client.write_all(b"b").await.unwrap();
            let mut read = Vec::new();
            while read.len() < 4 {
                stream.read_buf(&mut read).await.unwrap();
            }
            assert_eq!(read, b"a\xff\xf2b");
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // A test that fails must not hang.
        runtime.block_on(async { timeout(Duration::from_secs(20), conversation).await }).unwrap();
    }
}
