//! Text that came from outside, made fit to be shown: one line, harmless to a terminal, and short.

/// How many characters of a word are shown: more than any command has, and fewer than fit on a terminal's line.
const WORD_CHARS_MAX: usize = 40;

/// How many characters of a message are shown: enough for a sentence that quotes a word or two.
const MESSAGE_CHARS_MAX: usize = 200;

/// A word that a client sent.
pub(super) fn word(text: &str) -> String {
    shown(text, WORD_CHARS_MAX)
}

/// An error's text, as one line.
pub(super) fn message(text: &str) -> String {
    shown(text, MESSAGE_CHARS_MAX)
}

fn shown(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(chars_max).map(|c| if is_treacherous(c) { '?' } else { c }).collect();
    if chars.next().is_some() {
        shown.push_str("...");
    }
    shown
}

/// Control characters move the cursor or worse; the others hide text or reverse its direction.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{FEFF}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_made_fit_to_be_shown() {
        for (text, expected) in [
            ("frobnicate", "frobnicate"),
            ("größe", "größe"),
            ("\u{1b}]0;title\u{7}", "?]0;title?"),
            ("a\0b\u{7f}c\u{85}d", "a?b?c?d"),
            ("\u{202e}txt.exe\u{feff}", "?txt.exe?"),
            ("", ""),
        ] {
            assert_eq!(word(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(word(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(word(&"é".repeat(41)), "é".repeat(40) + "...");
        assert_eq!(message(&"x".repeat(9999)).len(), 203);
    }
}
