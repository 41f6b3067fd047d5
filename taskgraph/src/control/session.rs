//! One client, without its socket: bytes in, answers out.
//!
//! The bytes go in one at a time, so how the network cut the stream cannot change an answer. The caller that pushes
//! them owns the clock and the socket, and learns from [`Next`] what is due.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::control::auth::{Access, Token};
use crate::control::command::{self, Answer};
use crate::control::http;
use crate::control::line::{Input, LINE_BYTES_MAX, LineBuffer, is_blank};
use crate::control::telnet::{Decoder, Event};
use crate::steering::Steering;
use crate::sync::atomic::{AtomicBool, Ordering};

const PROMPT: &str = "taskgraph> ";
const END: &str = "\r\n";

/// What all clients of a port share.
pub(super) struct Port {
    steering: Arc<dyn Steering>,
    token: Option<Token>,
    has_warned_of_browsers: AtomicBool,
}

impl Port {
    pub(super) fn new(steering: Arc<dyn Steering>, token: Option<Token>) -> Port {
        Port { steering, token, has_warned_of_browsers: AtomicBool::new(false) }
    }

    pub(super) fn steering(&self) -> &dyn Steering {
        &*self.steering
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Logs that a browser came by. Once as a warning: a page that keeps trying must not fill anybody's log.
    fn log_browser(&self, peer: SocketAddr) {
        // Relaxed: nothing else is read or written on the strength of it.
        if self.has_warned_of_browsers.swap(true, Ordering::Relaxed) {
            tracing::debug!(%peer, "closed another control connection that began as a browser does");
        } else {
            tracing::warn!(
                %peer,
                "closed a control connection that began as a browser does; a web page may be trying to give commands"
            );
        }
    }
}

/// What a command may look at and change.
pub(super) struct Client {
    pub(super) port: Arc<Port>,
    pub(super) peer: SocketAddr,
    pub(super) access: Access,
    pub(super) has_prompt: bool,
}

/// What is due after a byte.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More bytes.
    Bytes,
    /// Something was answered, or could have been: a moment to send, and to let others go first. If late, the answer has to wait,
    /// and all that follows with it.
    Answered { is_late: bool },
    /// Sending what there is, and closing.
    Close { is_late: bool },
    /// Closing: this is a browser, not a client.
    Http,
}

/// A client's side of the conversation so far.
pub(super) struct Session {
    client: Client,
    telnet: Decoder,
    line: LineBuffer,
    /// Whether no line has come yet, empty ones aside.
    is_first: bool,
}

impl Session {
    pub(super) fn new(port: Arc<Port>, peer: SocketAddr) -> Session {
        let access = Access::new(port.token());
        Session {
            client: Client { port, peer, access, has_prompt: false },
            telnet: Decoder::new(),
            line: LineBuffer::new(),
            is_first: true,
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.client.peer
    }

    /// The client was a browser.
    pub(super) fn log_browser(&self) {
        self.client.port.log_browser(self.client.peer);
    }

    /// Whether the client has yet to send the token.
    pub(super) fn is_locked(&self) -> bool {
        self.client.access.is_locked()
    }

    #[cfg(fuzzing)]
    pub(super) fn line_bytes(&self) -> usize {
        self.line.capacity()
    }

    /// Takes the next byte from the client, and adds the answer to `out`.
    pub(super) fn push(&mut self, byte: u8, out: &mut Vec<u8>) -> Next {
        let Some(event) = self.telnet.push(byte) else { return Next::Bytes };
        let input = match event {
            Event::Text(byte) => self.line.push(byte),
            Event::ClearLine => Some(self.line.clear()),
            Event::EndOfFile => self.line.is_blank().then_some(Input::Quit),
            Event::EraseCharacter => {
                self.line.erase_character();
                None
            }
            Event::AreYouThere => {
                say(out, "[taskgraph is here]");
                return Next::Answered { is_late: false };
            }
            Event::Refuse(refusal) => {
                out.extend_from_slice(&refusal);
                return Next::Answered { is_late: false };
            }
        };
        input.map_or(Next::Bytes, |input| self.answer(input, out))
    }

    /// No more bytes will come; what came is still answered, including a last line without an end.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Next {
        self.line.finish().map_or(Next::Bytes, |input| self.answer(input, out))
    }

    fn answer(&mut self, input: Input, out: &mut Vec<u8>) -> Next {
        if self.is_browser(&input) {
            return Next::Http;
        }
        let answer = match input {
            Input::Line(line) if is_blank(&line) => Answer::NONE,
            Input::Line(line) => match str::from_utf8(&line) {
                Ok(line) => command::answer(&mut self.client, line),
                Err(_) => Answer::line("invalid line: not UTF-8"),
            },
            Input::TooLong(_) => Answer::line(format_args!("invalid line: longer than {LINE_BYTES_MAX} bytes")),
            // People who type see the new prompt on a line of its own.
            Input::Cleared(_) if self.client.has_prompt => Answer::line(""),
            Input::Cleared(_) => Answer::NONE,
            Input::Quit => Answer::NONE.last(),
        };
        let Answer { lines, is_late, is_last } = answer;
        lines.iter().for_each(|line| say(out, line));
        if is_last {
            return Next::Close { is_late };
        }
        if self.client.has_prompt {
            out.extend_from_slice(PROMPT.as_bytes());
        }
        Next::Answered { is_late }
    }

    /// Whether this is the first line, empty ones aside, and looks like HTTP or TLS.
    fn is_browser(&mut self, input: &Input) -> bool {
        let is_request = match input {
            Input::Line(line) if !is_blank(line) => http::is_request(line),
            Input::TooLong(start) => http::may_be_request(start),
            // A line that was cleared is not the first one yet.
            Input::Cleared(start) => return self.is_first && http::is_hello(start),
            Input::Line(_) | Input::Quit => return false,
        };
        mem::take(&mut self.is_first) && is_request
    }
}

fn say(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(END.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::stand_in::Fake;
    use crate::control::tests::{Random, session};

    /// Everything a client reads if it sends `stream`, all at once, and ends; and how it ends.
    fn converse(stream: &[u8]) -> (Vec<u8>, Next) {
        let mut session = session(&Arc::new(Fake::with_max_workers(4)), None);
        let mut out = Vec::new();
        for &byte in stream {
            let next = session.push(byte, &mut out);
            if matches!(next, Next::Close { .. } | Next::Http) {
                return (out, next);
            }
        }
        let next = session.finish(&mut out);
        (out, next)
    }

    fn check(stream: &[u8], expected: &[u8]) {
        let (out, _) = converse(stream);
        assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string(), "to {}", stream.escape_ascii());
    }

    #[test]
    fn lines_are_answered_in_order() {
        check(b"get_max_workers\r\nset_max_workers 2\nget_max_workers\r\0", b"4\r\nsetting max workers to 2\r\n2\r\n");
        check(b"\r\n\n  \t\r\0get_max_workers", b"4\r\n");
        check(b"get_max_workers", b"4\r\n");
        check(b"", b"");
    }

    #[test]
    fn what_is_not_a_line_of_text_is_an_error_and_no_more() {
        check(b"\xc3(\nget_max_workers\n", b"invalid line: not UTF-8\r\n4\r\n");
        check(b"\xff\xff\nget_max_workers\n", b"invalid line: not UTF-8\r\n4\r\n");
        let long = [&b"x".repeat(9999)[..], b"\nget_max_workers\n"].concat();
        check(&long, b"invalid line: longer than 4096 bytes\r\n4\r\n");
    }

    #[test]
    fn telnet_is_spoken() {
        check(b"\xff\xfd\x01get_max\xff\xf1_workers\r\n", b"\xff\xfc\x014\r\n");
        check(b"\xff\xf6get_max_workers\r\n", b"[taskgraph is here]\r\n4\r\n");
        check(b"set_max_workers 1\xff\xf4\xff\xfd\x06get_max_workers\r\n", b"\xff\xfc\x064\r\n");
        check(b"set_max_workers 1\xff\xf3get_max_workers\r\n", b"4\r\n");
        check(b"set_max_workers 1\x03get_max_workers\r\n", b"4\r\n");
        check(b"get_max_workersx\xff\xf7\r\n", b"4\r\n");
    }

    #[test]
    fn three_ways_to_quit() {
        for quit in [&b"quit\n"[..], b"\x04", b"\xff\xec"] {
            let stream = [b"get_max_workers\n", quit, b"get_max_workers\n"].concat();
            assert_eq!(converse(&stream), (b"4\r\n".to_vec(), Next::Close { is_late: false }));
        }
    }

    #[test]
    fn a_prompt_follows_each_answer_once_it_is_on() {
        check(
            b"prompt on\r\nget_max_workers\r\n\r\nset_max\x03prompt off\r\nget_max_workers\r\n",
            b"prompt is on\r\ntaskgraph> 4\r\ntaskgraph> taskgraph> \r\ntaskgraph> prompt is off\r\n4\r\n",
        );
        check(b"prompt\nquit\n", b"prompt is on\r\ntaskgraph> ");
    }

    #[test]
    fn a_first_line_of_http_ends_it() {
        let body = b"\r\nHost: x\r\n\r\nset_max_workers 1\r\n";
        let long = [b"POST /", &b"a".repeat(9999)[..]].concat();
        for line in [&b"GET / HTTP/1.1"[..], b"\r\nPOST /x HTTP/1.1", b"quit /x HTTP/1.1", &long] {
            assert_eq!(converse(&[line, body].concat()), (vec![], Next::Http));
        }
        let (out, next) = converse(b"get_max_workers\nGET / HTTP/1.1\nget_max_workers\n");
        assert!(out.starts_with(b"4\r\nunknown command GET, ") && out.ends_with(b"\r\n4\r\n"));
        assert_eq!(next, Next::Answered { is_late: false });
    }

    #[test]
    fn a_browser_that_speaks_tls_is_not_obeyed_either() {
        // What a server gives a browser to remember (a ticket) is sent to the next server of that name in the clear.
        let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\nset_max_workers 1\r\n";
        assert_eq!(converse(hello), (vec![], Next::Http));
        check(b"x\x03\x16y\x03get_max_workers\n", b"4\r\n");
    }

    #[test]
    fn no_bytes_do_harm() {
        // Bytes with a meaning are frequent.
        let alphabet = b"\xff\xff\xff\xf0\xf4\xf6\xfa\xfb\xfd\r\n\n\0\x03 \tab\xc3\xa9\x1b\x7fquit help status 0";
        let mut random = Random::new(1);
        for round in 0..2000 {
            let stream: Vec<u8> = (0..200).map(|_| alphabet[random.below(alphabet.len())]).collect();
            let (out, _) = converse(&stream);
            let mut telnet = Decoder::new();
            for event in out.iter().filter_map(|&byte| telnet.push(byte)) {
                match event {
                    Event::Text(byte) => assert!(
                        matches!(byte, b'\r' | b'\n') || (0x20 <= byte && byte != 0x7f),
                        "a control character came back in round {round}"
                    ),
                    event => panic!("the answers of round {round} ask for {event:?}"),
                }
            }
        }
    }
}
