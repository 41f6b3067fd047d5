//! Pages over HTTP: tasks that mostly wait, many more of them than workers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use taskgraph::delayed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time;

/// The most that a server may send.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Fetches the pages from 0 to `pages`, and gives the length of each.
///
/// It yields far more than there are workers: a request that waits for its answer needs none.
#[delayed]
pub fn fetch_all(server: SocketAddr, pages: u32) -> Vec<usize> {
    for page in 0..pages {
        yield_!(fetch(server, format!("/pages/{page}")).map(|text| text.len()));
    }
}

/// Fetches one page. At most 64 of these run at once, so that the server is not overrun.
#[delayed(limit = 64)]
pub async fn fetch(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        Some((head, _)) => {
            let status = head.lines().next().unwrap_or_default();
            Err(io::Error::other(format!("{path}: the server says {status}")))
        }
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{path}: the answer breaks off"))),
    }
}

/// A web server that thinks for a while before each answer. It ends when it is dropped.
pub struct Server {
    addr: SocketAddr,
    requests: Arc<Requests>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct Requests {
    now: AtomicUsize,
    max: AtomicUsize,
}

impl Server {
    /// Starts it on a free port of this machine, with a thread of its own.
    pub fn start(thinks_for: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = listener.local_addr()?;
        let requests = Arc::new(Requests::default());
        let counted = Arc::clone(&requests);
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("server".into())
            .spawn(move || serve(&runtime, listener, thinks_for, counted, ended))?;
        Ok(Self { addr, requests, running: Some((end, thread)) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The most requests that it handled at once.
    pub fn requests_max(&self) -> usize {
        self.requests.max.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            // An error means that it has ended already.
            let _ = end.send(());
            let _ = thread.join();
        }
    }
}

fn serve(
    runtime: &Runtime,
    listener: TcpListener,
    thinks_for: Duration,
    requests: Arc<Requests>,
    mut ended: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        loop {
            let stream = tokio::select! {
                _ = &mut ended => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // That client is gone.
                    Err(_) => continue,
                },
            };
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                let now = requests.now.fetch_add(1, Ordering::Relaxed) + 1;
                requests.max.fetch_max(now, Ordering::Relaxed);
                time::sleep(thinks_for).await;
                // A client that does not wait gets no answer.
                let _ = answer(stream).await;
                requests.now.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}

/// A page for each number: "page 7", and nothing else.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    let path = str::from_utf8(&head).ok().and_then(|head| head.split(' ').nth(1));
    let (status, body) = match path.and_then(|path| path.strip_prefix("/pages/")) {
        Some(page) => ("200 OK", format!("page {page}")),
        None => ("404 Not Found", String::new()),
    };
    let len = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await
}
