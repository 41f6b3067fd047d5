//! The port as a whole, over sockets, with a stand-in for the runtime; and what the tests of its parts share.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::Control;
use crate::control::auth::{Access, Token};
use crate::control::session::{Client, Port, Session};
use crate::control::stand_in::{Fake, peer};

pub(super) fn client(steering: &Arc<Fake>, token: Option<Token>) -> Client {
    let access = Access::new(token.as_ref());
    let port = Arc::new(Port::new(Arc::<Fake>::clone(steering), token));
    Client { port, peer: peer(), access, has_prompt: false }
}

pub(super) fn session(steering: &Arc<Fake>, token: Option<Token>) -> Session {
    Session::new(Arc::new(Port::new(Arc::<Fake>::clone(steering), token)), peer())
}

/// Numbers that are the same in every run (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn open_with(token: Option<&str>) -> Control {
    let token = token.map(|token| Token::new(token).unwrap());
    Control::open("127.0.0.1:0".parse().unwrap(), token, Arc::new(Fake::with_max_workers(4))).unwrap()
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    // A test that fails must not hang.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends `pieces`, one by one, and an end; returns everything that comes back.
fn converse<'a>(addr: SocketAddr, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut stream = connect(addr);
    for piece in pieces {
        stream.write_all(piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer.escape_ascii().to_string()
}

fn read_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

fn ask(stream: &mut TcpStream, line: &str) -> String {
    stream.write_all(line.as_bytes()).unwrap();
    stream.write_all(b"\r\n").unwrap();
    read_line(stream)
}

#[test]
fn a_stream_is_answered_alike_however_it_is_cut() {
    let control = open_with(None);
    let long = [&b"y".repeat(4097)[..], b"\r\n"].concat();
    let stream = [
        &b"get_max_workers\r\n\xff\xfd\x03\xff\xfb\x18set_max_workers 3\r\0\r\n \xff\xf6frobnicate\n"[..],
        &long,
        b"set_max_workers 1\xff\xf4\xff\xfd\x06",
        b"\xff\xfa\x18\0x\xff\xffterm\xff\xf0 help prompt\n\xc3\xa9\n\xc3\nstatus\r",
        b"\nset_max_workers 4\nget_max_workers",
    ]
    .concat();
    let expected = converse(control.addr(), [&stream[..]]);
    assert!(expected.ends_with(r"setting max workers to 4\r\n4\r\n"), "{expected}");

    assert_eq!(converse(control.addr(), stream.chunks(1)), expected);
    let mut random = Random::new(7);
    for _ in 0..20 {
        let mut rest = &stream[..];
        let pieces = std::iter::from_fn(|| {
            let (piece, after) = rest.split_at(rest.len().min(1 + random.below(40)));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        assert_eq!(converse(control.addr(), pieces), expected);
    }
}

#[test]
fn what_was_answered_before_a_request_came_is_sent_however_it_is_cut() {
    let control = open_with(None);
    let stream = b"\xff\xf6POST / HTTP/1.1\r\n\r\nset_max_workers 1\r\n";
    for n_bytes in 1..=stream.len() {
        assert_eq!(converse(control.addr(), stream.chunks(n_bytes)), r"[taskgraph is here]\r\n", "by {n_bytes}");
    }
    // The end of the stream ends the request, too.
    assert_eq!(converse(control.addr(), [&b"\xff\xf6GET /"[..]]), r"[taskgraph is here]\r\n");
}

#[test]
fn dropping_is_prompt_and_frees_the_port() {
    let control = open_with(None);
    let addr = control.addr();
    let mut idle = connect(addr);
    let mut stuck = connect(addr);
    assert_eq!(ask(&mut idle, "get_max_workers"), "4\r\n");
    stuck.write_all(&b"help\n".repeat(1000)).unwrap();

    let dropping = Instant::now();
    drop(control);
    assert!(dropping.elapsed() < Duration::from_millis(500), "{:?}", dropping.elapsed());
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    TcpListener::bind(addr).unwrap();
}

#[test]
fn a_busy_port_is_an_error_at_once() {
    let control = open_with(None);
    let error = Control::open(control.addr(), None, Arc::new(Fake::with_max_workers(4))).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn other_machines_are_let_in_with_a_token_only() {
    let open = |addr: &str, token: Option<&str>| {
        let token = token.map(|token| Token::new(token).unwrap());
        Control::open(addr.parse().unwrap(), token, Arc::new(Fake::with_max_workers(4)))
            .map(drop)
            .map_err(|error| error.kind())
    };
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        assert_eq!(open(addr, None), Err(ErrorKind::InvalidInput), "{addr}");
    }
    assert_eq!(open("0.0.0.0:0", Some("secret")), Ok(()));
    assert_eq!(open("127.0.0.2:0", None), Ok(()));
}

#[test]
fn a_token_opens_one_connection() {
    let control = open_with(Some("secret"));
    let mut stream = connect(control.addr());
    assert_eq!(ask(&mut stream, "get_max_workers"), "not authorized; say first: auth TOKEN\r\n");
    assert_eq!(ask(&mut stream, "auth secret"), "authorized\r\n");
    assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n");
    let mut other = connect(control.addr());
    assert_eq!(ask(&mut other, "get_max_workers"), "not authorized; say first: auth TOKEN\r\n");
}

#[test]
fn guessing_is_slow_and_ends_soon() {
    let control = open_with(Some("secret"));
    let mut stream = connect(control.addr());
    let started = Instant::now();
    stream.write_all(b"auth a\nauth b\nauth c\nauth secret\nget_max_workers\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "wrong token\r\nwrong token\r\nwrong token, closing\r\n");
    assert!(Duration::from_millis(1_400) < started.elapsed());

    // An end of the line, or of the stream, makes no difference.
    let started = Instant::now();
    assert_eq!(converse(control.addr(), [&b"auth a"[..]]), r"wrong token\r\n");
    assert!(Duration::from_millis(450) < started.elapsed());
}

#[test]
fn a_bug_of_the_runtime_ends_one_connection_and_no_other() {
    let control = Control::open("127.0.0.1:0".parse().unwrap(), None, Arc::new(Fake::panicking_at(13))).unwrap();
    let mut other = connect(control.addr());
    assert_eq!(converse(control.addr(), [&b"set_max_workers 13\n"[..]]), "");
    assert_eq!(ask(&mut other, "get_max_workers"), "4\r\n");
}

#[test]
fn the_65th_connection_is_told_so_and_closed() {
    let control = open_with(None);
    let mut streams: Vec<_> = (0..64).map(|_| connect(control.addr())).collect();
    assert_eq!(ask(streams.last_mut().unwrap(), "get_max_workers"), "4\r\n");

    assert_eq!(
        converse(control.addr(), [&b"get_max_workers\n"[..]]),
        r"too many connections, at most 64 can be open\r\n"
    );

    // One leaves, one gets in.
    let mut leaving = streams.pop().unwrap();
    leaving.write_all(b"quit\n").unwrap();
    assert_eq!(leaving.read(&mut [0]).unwrap(), 0);
    assert_eq!(converse(control.addr(), [&b"get_max_workers\n"[..]]), r"4\r\n");
}

#[test]
fn one_short_connection_after_the_other_finds_a_place() {
    let control = open_with(None);
    for _ in 0..1000 {
        assert_eq!(ask(&mut connect(control.addr()), "get_max_workers"), "4\r\n");
    }
}

#[test]
fn whoever_does_not_read_is_closed_and_holds_up_nobody() {
    let control = open_with(None);
    let mut stuck = connect(control.addr());
    stuck.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut taken = Instant::now();
    let mut n_sent = 0;
    let error = loop {
        match stuck.write(&b"help\n".repeat(1000)) {
            Ok(n_bytes) => n_sent += n_bytes,
            Err(error) => break error,
        }
        taken = Instant::now();
        let asked = Instant::now();
        assert_eq!(ask(&mut connect(control.addr()), "get_max_workers"), "4\r\n");
        assert!(asked.elapsed() < Duration::from_secs(2));
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error} after {n_sent} bytes");
    assert!(taken.elapsed() < Duration::from_secs(19));
}

#[test]
fn a_flood_holds_up_nobody() {
    let control = open_with(None);
    let addr = control.addr();
    let floods: Vec<_> = (0..8)
        .map(|_| {
            let mut reading = connect(addr);
            let mut writing = reading.try_clone().unwrap();
            std::thread::spawn(move || io::copy(&mut reading, &mut io::sink()));
            std::thread::spawn(move || while writing.write_all(&b"get_max_workers\n".repeat(1000)).is_ok() {})
        })
        .collect();
    let mut stream = connect(addr);
    let slowest = (0..20)
        .map(|_| {
            let asked = Instant::now();
            assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n");
            asked.elapsed()
        })
        .max();
    assert!(slowest < Some(Duration::from_secs(1)), "{slowest:?}");
    drop(control);
    floods.into_iter().for_each(|flood| flood.join().unwrap());
}

/// Prints what a short run pays for its port: `cargo test --release -- --ignored --nocapture open_and_drop`.
#[test]
#[ignore = "a measurement"]
fn open_and_drop_are_cheap() {
    let n_times = 5000;
    let started = Instant::now();
    (0..n_times).for_each(|_| drop(open_with(None)));
    println!("open and drop: {:?}", started.elapsed() / n_times);
}
