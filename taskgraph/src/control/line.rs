//! From text to lines: where they end, how long they may be, and what the control keys do to them.
//!
//! A line ends in CR LF, LF, or CR NUL. It is complete as soon as its CR is here, and an LF or NUL right after that
//! belongs to the same end, so that nobody waits for the second byte of an end.

/// A line may have this many bytes; no command comes near, and it bounds what a client makes us keep.
pub(super) const LINE_BYTES_MAX: usize = 4096;

const NUL: u8 = 0;
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// What a byte of text completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A whole line, without its end.
    Line(Vec<u8>),
    /// More than [`LINE_BYTES_MAX`] bytes, of which these are the first; the rest of that line will be skipped.
    TooLong(Vec<u8>),
    /// The line was cleared, after this much of it had come.
    Cleared(Vec<u8>),
    /// Ctrl-D on an empty line.
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    /// After a CR, which ended a line.
    Ended,
    /// Within the rest of a line that was too long.
    Skipping,
}

/// The line that is being received.
#[derive(Debug)]
pub(super) struct LineBuffer {
    state: State,
    bytes: Vec<u8>,
}

impl LineBuffer {
    pub(super) fn new() -> LineBuffer {
        LineBuffer { state: State::Filling, bytes: Vec::new() }
    }

    /// Takes the next byte of the text.
    pub(super) fn push(&mut self, byte: u8) -> Option<Input> {
        match (byte, self.state) {
            (b'\n' | NUL, State::Ended) => {
                self.state = State::Filling;
                None
            }
            (b'\r', state) => self.end(state, State::Ended),
            (b'\n', state) => self.end(state, State::Filling),
            (CTRL_C, _) => Some(self.clear()),
            (_, State::Skipping) => None,
            (CTRL_D, _) if self.is_blank() => Some(Input::Quit),
            (byte, State::Filling | State::Ended) => self.fill(byte),
        }
    }

    /// No more bytes will come: a last line without an end counts.
    pub(super) fn finish(&mut self) -> Option<Input> {
        self.end(self.state, State::Filling)
    }

    /// Forgets what was received of the current line, even if it was too long.
    pub(super) fn clear(&mut self) -> Input {
        self.state = State::Filling;
        Input::Cleared(std::mem::take(&mut self.bytes))
    }

    /// Removes the last character, which may be several bytes of UTF-8.
    pub(super) fn erase_character(&mut self) {
        while let Some(0x80..0xC0) = self.bytes.pop() {}
    }

    /// Whether nothing but blanks has been received of the current line.
    pub(super) fn is_blank(&self) -> bool {
        self.state != State::Skipping && is_blank(&self.bytes)
    }

    #[cfg(fuzzing)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn fill(&mut self, byte: u8) -> Option<Input> {
        if self.bytes.len() < LINE_BYTES_MAX {
            self.state = State::Filling;
            self.bytes.push(byte);
            return None;
        }
        self.state = State::Skipping;
        Some(Input::TooLong(std::mem::take(&mut self.bytes)))
    }

    fn end(&mut self, from: State, to: State) -> Option<Input> {
        self.state = to;
        // A line that is too long was reported when it became so.
        (from != State::Skipping).then(|| Input::Line(std::mem::take(&mut self.bytes)))
    }
}

/// Whether `line` has nothing but blanks.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the buffer makes of `text`, and of its end.
    fn assemble(text: &[u8]) -> Vec<Input> {
        let mut buffer = LineBuffer::new();
        let mut inputs: Vec<_> = text.iter().filter_map(|&byte| buffer.push(byte)).collect();
        inputs.extend(buffer.finish());
        inputs
    }

    fn lines(lines: &[&str]) -> Vec<Input> {
        lines.iter().map(|line| Input::Line(line.as_bytes().to_vec())).collect()
    }

    #[test]
    fn lines_end_in_any_of_three_ways() {
        for text in ["a\r\nb\r\nc", "a\nb\nc", "a\r\0b\r\0c", "a\rb\rc", "a\r\nb\nc", "a\r\0b\nc"] {
            assert_eq!(assemble(text.as_bytes()), lines(&["a", "b", "c"]), "{text:?}");
        }
        assert_eq!(assemble(b"a\n\r\n\nb"), lines(&["a", "", "", "b"]));
        assert_eq!(assemble(b"a\r\r\nb"), lines(&["a", "", "b"]));
        assert_eq!(assemble(b"a\r\n\0b"), lines(&["a", "\0b"]));
    }

    #[test]
    fn a_cr_ends_the_line_at_once() {
        let mut buffer = LineBuffer::new();
        assert_eq!(buffer.push(b'a'), None);
        assert_eq!(buffer.push(b'\r'), Some(Input::Line(b"a".to_vec())));
        assert_eq!(buffer.push(b'\n'), None);
    }

    #[test]
    fn a_line_of_4096_bytes_fits_and_one_more_is_reported_once() {
        let fits = vec![b'x'; LINE_BYTES_MAX];
        let stream = [&fits[..], b"\r\n", &fits, b"x", &fits, &fits, b"\r\nafter"].concat();
        let expected = [Input::Line(fits.clone()), Input::TooLong(fits.clone()), Input::Line(b"after".to_vec())];
        assert_eq!(assemble(&stream), expected);
        assert_eq!(assemble(&[&fits[..], b"x"].concat()), [Input::TooLong(fits)]);
    }

    #[test]
    fn ctrl_c_clears_the_line() {
        let too_long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert_eq!(assemble(b"abc\x03d\n")[..2], [Input::Cleared(b"abc".to_vec()), Input::Line(b"d".to_vec())]);
        let stream = [&too_long[..], b"xxx\x03d\n"].concat();
        assert_eq!(assemble(&stream)[1..3], [Input::Cleared(vec![]), Input::Line(b"d".to_vec())]);
    }

    #[test]
    fn ctrl_d_quits_on_an_empty_line_only() {
        for text in ["\x04", "a\r\n\x04", "a\r\x04", "a\n \t\x04"] {
            assert!(assemble(text.as_bytes()).contains(&Input::Quit), "{text:?}");
        }
        assert_eq!(assemble(b"a\x04b\n")[..1], lines(&["a\x04b"]));
        let skipping = [&[b'x'; LINE_BYTES_MAX + 1][..], b"\x04"].concat();
        assert!(!assemble(&skipping).contains(&Input::Quit));
    }

    #[test]
    fn erasing_takes_back_a_whole_character() {
        let mut buffer = LineBuffer::new();
        for (text, left) in [("aé", "a"), ("a€", "a"), ("ab", "a"), ("a", ""), ("", "")] {
            buffer.clear();
            text.bytes().for_each(|byte| assert_eq!(buffer.push(byte), None));
            buffer.erase_character();
            assert_eq!(buffer.bytes, left.as_bytes(), "{text}");
        }
    }
}
