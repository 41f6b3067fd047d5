//! The answers are the same however the network cuts a stream, and however little of them it takes at a time.
//!
//! The first four bytes of the input say whether there is a token, how much the network holds, and how long the pieces
//! are, by turns; the others are the stream. The expected answers are those to the stream byte by byte, without a
//! network.

#![no_main]
#![forbid(unsafe_code)]

mod answers;

use libfuzzer_sys::fuzz_target;
use taskgraph::fuzzing::{self, Client, Then};

use crate::answers::{Answers, TOKEN};

fuzz_target!(|data: &[u8]| {
    let Some((&[options, pipe_bytes, odd, even], stream)) = data.split_first_chunk() else { return };
    let token = (options & 1 == 1).then_some(TOKEN);

    let mut expected = Vec::new();
    let mut client = Client::new(token);
    if stream.iter().all(|&byte| client.push(byte, &mut expected) == Then::Open) {
        let _ = client.finish(&mut expected);
    }
    let mut answers = Answers::new();
    answers.check(&expected);
    answers.end(stream);

    let mut rest = stream;
    let mut lengths = [odd, even].into_iter().cycle();
    let pieces = std::iter::from_fn(|| {
        let length = 1 + usize::from(lengths.next()?);
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    let answered = fuzzing::converse(pieces, 1 + usize::from(pipe_bytes), token);
    assert_eq!(answered.escape_ascii().to_string(), expected.escape_ascii().to_string());
});
