//! The telnet layer (RFC 854, 855): which bytes are text, and what the others ask for.
//!
//! ```text
//!                 +-- DO, WILL, DONT, WONT --> Option --any byte--+
//!                 |                                               v
//! Text --IAC--> Command --IAC: the byte 255, else a command--> Text
//!                 |
//!                 +-- SB --> Negotiation <--IAC, then any but SE--> NegotiationIac --SE--> Text
//! ```
//!
//! We have no options and want none: nothing is ever offered, and every `DO` and `WILL` is refused once, so that
//! no loop of answers can arise. One byte goes in at a time, so how the network cut the stream cannot matter.

/// "Interpret as command": what follows is not text.
const IAC: u8 = 255;

const SE: u8 = 240;
const BREAK: u8 = 243;
const INTERRUPT_PROCESS: u8 = 244;
const ABORT_OUTPUT_AND_PROCESS: u8 = 238;
const END_OF_FILE: u8 = 236;
const ARE_YOU_THERE: u8 = 246;
const ERASE_CHARACTER: u8 = 247;
const ERASE_LINE: u8 = 248;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;

/// The option that is a question rather than a mode (RFC 860): `DO` asks for an answer at this point of the stream.
/// BSD telnet asks it with every Ctrl-C and shows nothing more until it is answered.
const TIMING_MARK: u8 = 6;

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Text(u8),
    AreYouThere,
    /// Interrupt, break, abort, or "erase line": what was typed so far is not meant.
    ClearLine,
    EraseCharacter,
    EndOfFile,
    /// An option to refuse, with these bytes.
    Refuse([u8; 3]),
}

/// What a request is about, as far as remembering the refusal goes.
#[derive(Clone, Copy, Debug)]
enum Request {
    Do,
    Will,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Text,
    Command,
    /// The option's number comes next; `None` is a `DONT` or `WONT`, which only states what is so anyway.
    Option(Option<Request>),
    Negotiation,
    NegotiationIac,
}

/// Tells text from commands.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    refused_do: Options,
    refused_will: Options,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { state: State::Text, refused_do: Options::none(), refused_will: Options::none() }
    }

    /// Takes the next byte of the stream.
    pub(super) fn push(&mut self, byte: u8) -> Option<Event> {
        let (state, event) = match self.state {
            State::Text if byte == IAC => (State::Command, None),
            State::Text => (State::Text, Some(Event::Text(byte))),
            State::Command => command(byte),
            State::Option(request) => (State::Text, request.and_then(|request| self.refuse(request, byte))),
            State::Negotiation if byte == IAC => (State::NegotiationIac, None),
            State::NegotiationIac if byte == SE => (State::Text, None),
            State::Negotiation | State::NegotiationIac => (State::Negotiation, None),
        };
        self.state = state;
        event
    }

    fn refuse(&mut self, request: Request, option: u8) -> Option<Event> {
        let (refused, answer) = match request {
            Request::Do => (&mut self.refused_do, WONT),
            Request::Will => (&mut self.refused_will, DONT),
        };
        let is_new = refused.insert(option);
        (is_new || option == TIMING_MARK).then_some(Event::Refuse([IAC, answer, option]))
    }
}

/// What the byte after an IAC means.
fn command(byte: u8) -> (State, Option<Event>) {
    match byte {
        IAC => (State::Text, Some(Event::Text(IAC))),
        DO => (State::Option(Some(Request::Do)), None),
        WILL => (State::Option(Some(Request::Will)), None),
        DONT | WONT => (State::Option(None), None),
        SB => (State::Negotiation, None),
        ARE_YOU_THERE => (State::Text, Some(Event::AreYouThere)),
        INTERRUPT_PROCESS | BREAK | ABORT_OUTPUT_AND_PROCESS | ERASE_LINE => (State::Text, Some(Event::ClearLine)),
        ERASE_CHARACTER => (State::Text, Some(Event::EraseCharacter)),
        END_OF_FILE => (State::Text, Some(Event::EndOfFile)),
        // "No operation", "go ahead" and the like ask for nothing.
        _ => (State::Text, None),
    }
}

/// A set of option numbers.
#[derive(Debug)]
struct Options([u128; 2]);

impl Options {
    fn none() -> Options {
        Options([0; 2])
    }

    /// Whether `option` was not in the set yet.
    fn insert(&mut self, option: u8) -> bool {
        let word = &mut self.0[usize::from(option / 128)];
        let bit = 1 << (option % 128);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Text(String),
        Event(Event),
    }

    /// What the decoder makes of `stream`, with the text in one piece.
    fn decode(stream: &[u8]) -> Vec<Seen> {
        let mut decoder = Decoder::new();
        let mut seen = Vec::new();
        for event in stream.iter().filter_map(|&byte| decoder.push(byte)) {
            match (event, seen.last_mut()) {
                (Event::Text(byte), Some(Seen::Text(text))) => text.push(char::from(byte)),
                (Event::Text(byte), _) => seen.push(Seen::Text(char::from(byte).into())),
                (event, _) => seen.push(Seen::Event(event)),
            }
        }
        seen
    }

    fn text(text: &str) -> Seen {
        Seen::Text(text.into())
    }

    fn refuse(answer: u8, option: u8) -> Seen {
        Seen::Event(Event::Refuse([IAC, answer, option]))
    }

    #[test]
    fn text_passes() {
        assert_eq!(decode(b"get_max_workers\r\n"), [text("get_max_workers\r\n")]);
        assert_eq!(decode(b"a\xff\xffb"), [text("a\u{ff}b")]);
        assert_eq!(decode(b""), []);
    }

    #[test]
    fn putty_is_refused_what_it_asks_for_at_connect() {
        // Window size, terminal speed and type, environment, echo, "suppress go ahead" in both directions.
        let greeting = b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03";
        let refusals = [
            refuse(DONT, 0x1f),
            refuse(DONT, 0x20),
            refuse(DONT, 0x18),
            refuse(DONT, 0x27),
            refuse(WONT, 0x01),
            refuse(DONT, 0x03),
            refuse(WONT, 0x03),
        ];
        assert_eq!(decode(greeting), refusals);
    }

    #[test]
    fn bsd_telnet_is_refused_what_it_asks_for_at_connect() {
        // To port 23; to other ports it sends nothing on its own. Encryption, no go-ahead, terminal type, window
        // size, terminal speed, flow control, line mode, environment, status.
        let greeting = b"\xff\xfd\x26\xff\xfb\x26\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f\
            \xff\xfb\x20\xff\xfb\x21\xff\xfb\x22\xff\xfb\x27\xff\xfd\x05";
        let refusals = [
            refuse(WONT, 0x26),
            refuse(DONT, 0x26),
            refuse(WONT, 0x03),
            refuse(DONT, 0x18),
            refuse(DONT, 0x1f),
            refuse(DONT, 0x20),
            refuse(DONT, 0x21),
            refuse(DONT, 0x22),
            refuse(DONT, 0x27),
            refuse(WONT, 0x05),
        ];
        assert_eq!(decode(greeting), refusals);
    }

    #[test]
    fn every_ctrl_c_of_bsd_telnet_gets_its_timing_mark_answered() {
        let ctrl_c = [Seen::Event(Event::ClearLine), refuse(WONT, TIMING_MARK)];
        assert_eq!(decode(b"\xff\xf4\xff\xfd\x06"), ctrl_c);
        let [clear, refusal] = ctrl_c;
        let seen = decode(b"\xff\xf4\xff\xfd\x06\xff\xf4\xff\xfd\x06");
        assert_eq!((&seen[..2], &seen[2..]), (&[clear, refusal][..], &decode(b"\xff\xf4\xff\xfd\x06")[..]));
    }

    #[test]
    fn an_option_is_refused_once() {
        let stream = b"\xff\xfd\x01\xff\xfd\x01\xff\xfb\x01\xff\xfb\x01";
        assert_eq!(decode(stream), [refuse(WONT, 1), refuse(DONT, 1)]);
        assert_eq!(decode(b"\xff\xfd\xff\xff\xfd\x7f\xff\xfd\x80").len(), 3);
    }

    #[test]
    fn what_states_the_obvious_is_not_answered() {
        assert_eq!(decode(b"\xff\xfe\x01\xff\xfc\x01x"), [text("x")]);
    }

    #[test]
    fn commands_are_told_apart() {
        for (byte, expected) in [
            (236, Some(Event::EndOfFile)),
            (237, None), // suspend
            (238, Some(Event::ClearLine)),
            (239, None), // end of record
            (241, None), // no operation
            (242, None), // data mark
            (243, Some(Event::ClearLine)),
            (244, Some(Event::ClearLine)),
            (245, None), // abort output
            (246, Some(Event::AreYouThere)),
            (247, Some(Event::EraseCharacter)),
            (248, Some(Event::ClearLine)),
            (249, None), // go ahead
            (0, None),
        ] {
            let expected: Vec<_> = [text("a")].into_iter().chain(expected.map(Seen::Event)).collect();
            assert_eq!(decode(&[b'a', IAC, byte]), expected, "{byte}");
            assert_eq!(decode(&[IAC, byte, b'a']).last(), Some(&text("a")), "{byte}");
        }
    }

    #[test]
    fn negotiations_are_swallowed() {
        assert_eq!(decode(b"a\xff\xfa\x18\x00xterm\xff\xf0b"), [text("ab")]);
        // A doubled IAC and any other command are part of it.
        assert_eq!(decode(b"a\xff\xfa\x1f\xff\xff\xf0\xff\xf6\xf0\xff\xf0b"), [text("ab")]);
        assert_eq!(decode(b"a\xff\xfa\x18 never ends"), [text("a")]);
        assert_eq!(decode(b"\xff\xf0a"), [text("a")]);
    }
}
