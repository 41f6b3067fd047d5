//! What answers may look like.

/// Short, so that the fuzzer finds it.
pub(crate) const TOKEN: &str = "ab";

const IAC: u8 = 255;
const WONT: u8 = 252;
const DONT: u8 = 254;
const WILL: u8 = 251;
const DO: u8 = 253;
const TIMING_MARK: u8 = 6;
const PROMPT: &str = "taskgraph> ";

/// The longest line there is: a word of 40 characters of four bytes each, and the names of all commands.
const LINE_BYTES_MAX: usize = 300;

/// The options refused so far.
pub(crate) struct Answers {
    refused: Vec<[u8; 2]>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self { refused: Vec::new() }
    }

    /// Checks whole answers.
    pub(crate) fn check(&mut self, out: &[u8]) {
        let mut text = Vec::new();
        let mut bytes = out.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte != IAC {
                text.push(byte);
                continue;
            }
            // Options are never asked for or offered, only refused: once, except for the option that is a question.
            let (verb, option) = (bytes.next().expect("a whole command"), bytes.next().expect("a whole command"));
            assert!(matches!(verb, WONT | DONT), "a negotiation is started by {verb} {option}");
            let is_question = option == TIMING_MARK;
            assert!(is_question || !self.refused.contains(&[verb, option]), "{verb} {option} is said twice");
            if !self.refused.contains(&[verb, option]) {
                self.refused.push([verb, option]);
            }
        }
        let text = String::from_utf8(text).expect("answers are text");
        let rest = text.split_inclusive("\r\n").map(|line| line.strip_suffix("\r\n").unwrap_or(line));
        for line in rest {
            assert!(!line.contains(char::is_control), "a control character comes back in {line:?}");
            let said = line.replace(PROMPT, "");
            assert!(said.len() <= LINE_BYTES_MAX, "a line of {} bytes: {said}", said.len());
        }
        let last = text.rsplit("\r\n").next().unwrap_or_default();
        assert!(last.replace(PROMPT, "").is_empty(), "an answer ends in the middle of a line: {last:?}");
    }

    /// Checks that only options that the client brought up were refused.
    pub(crate) fn end(&self, stream: &[u8]) {
        for &[verb, option] in &self.refused {
            let asked = if verb == WONT { DO } else { WILL };
            assert!(stream.windows(3).any(|bytes| bytes == [IAC, asked, option]), "{verb} {option} is said unasked");
        }
    }
}

/// The lines of some answers, without the bytes that are not text.
#[allow(dead_code, reason = "one of the targets does not read them")]
pub(crate) fn lines(out: &[u8]) -> impl Iterator<Item = String> {
    // A refusal has three bytes, and 255 is in no text.
    let is_text = |at: &usize| !out[at.saturating_sub(2)..=*at].contains(&IAC);
    let text: Vec<u8> = (0..out.len()).filter(is_text).map(|at| out[at]).collect();
    let text = String::from_utf8_lossy(&text).replace(PROMPT, "");
    let lines: Vec<_> = text.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned).collect();
    lines.into_iter()
}
