//! One client sends anything; after each byte, it is asserted that the client has not done what it must not.
//!
//! The first byte of the input says whether there is a token; the others are the stream.

#![no_main]
#![forbid(unsafe_code)]

mod answers;

use libfuzzer_sys::fuzz_target;
use taskgraph::MAX_WORKERS_LIMIT;
use taskgraph::fuzzing::{Client, MAX_WORKERS, Then};

use crate::answers::{Answers, TOKEN, lines};

/// A line that is being received, twice for a buffer that doubles, and a little more.
const KEPT_BYTES_MAX: usize = 2 * 4096 + 512;

/// The longest answer is that of `help`.
const ANSWER_BYTES_MAX: usize = 2048;

/// The answers that may be sent before the token was said.
const FOR_ALL: [&str; 9] = [
    "[taskgraph is here]",
    "not authorized; say first: auth TOKEN",
    "wrong token",
    "wrong token, closing",
    "invalid arguments for command auth, usage info:",
    "auth token: str",
    "invalid arguments for command quit, usage info:",
    "quit",
    "invalid line: ",
];

fuzz_target!(|data: &[u8]| {
    let Some((&options, stream)) = data.split_first() else { return };
    let token = (options & 1 == 1).then_some(TOKEN);
    let mut client = Client::new(token);
    assert_eq!(client.is_locked(), token.is_some());
    let mut answers = Answers::new();
    for byte in stream.iter().map(Some).chain([None]) {
        let (max_workers, was_locked) = (client.max_workers(), client.is_locked());
        let mut out = Vec::new();
        let then = match byte {
            Some(&byte) => client.push(byte, &mut out),
            None => client.finish(&mut out),
        };

        assert!(client.kept_bytes() <= KEPT_BYTES_MAX, "{} bytes are kept", client.kept_bytes());
        assert!(out.len() <= ANSWER_BYTES_MAX, "one byte is answered by {}", out.len());
        answers.check(&out);
        check_limit(&client, max_workers, &out);
        if was_locked {
            assert_eq!(client.max_workers(), MAX_WORKERS);
            if client.is_locked() {
                lines(&out).for_each(|line| assert!(FOR_ALL.iter().any(|start| line.starts_with(start)), "{line}"));
            }
        }
        if then == Then::Browser {
            assert_eq!(client.max_workers(), MAX_WORKERS, "a browser is obeyed");
            assert!(out.is_empty());
        }
        if then != Then::Open {
            break;
        }
    }
    answers.end(stream);
});

/// Checks that the limit changes only as the client is told, and never leaves its range.
fn check_limit(client: &Client, before: usize, out: &[u8]) {
    let now = client.max_workers();
    assert!((1..=MAX_WORKERS_LIMIT).contains(&now), "max_workers is {now}");
    let set = lines(out).find_map(|line| line.strip_prefix("setting max workers to ").map(str::to_owned));
    match set {
        Some(said) => assert_eq!(said, now.to_string()),
        None => assert_eq!(now, before),
    }
}
