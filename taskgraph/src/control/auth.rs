//! Who may give commands: anybody who can connect, or only those who first send the token.

use subtle::ConstantTimeEq;

use super::TOKEN_VARIABLE;
use crate::steering::is_word;

/// Long enough for any secret, and far less than what fits on a line after `auth`.
const TOKEN_BYTES_MAX: usize = 256;

/// A connection is closed at its third wrong token: enough for a typing error, too few to guess.
const WRONG_TOKENS_MAX: u32 = 3;

/// The secret that a client has to send. It has no `Debug`, so that it cannot get into a log.
pub(crate) struct Token(String);

impl Token {
    /// A token must be one word, since `auth TOKEN` could not send another; the error says so.
    pub(crate) fn new(token: &str) -> Result<Token, String> {
        if !is_word(token, TOKEN_BYTES_MAX) {
            return Err(format!(
                "the token of the control port, `Builder::control_token` or {TOKEN_VARIABLE} in the environment, must be \
                 one word of at most {TOKEN_BYTES_MAX} bytes"
            ));
        }
        Ok(Token(token.to_owned()))
    }

    /// Takes the same time wherever the two differ, so that answers do not reveal how much of a guess was right.
    fn is(&self, said: &str) -> bool {
        self.0.as_bytes().ct_eq(said.as_bytes()).into()
    }
}

/// Whether a client may give commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// There is no token.
    Free,
    Locked {
        wrong_tokens: u32,
    },
    Granted,
}

/// What came of trying a token.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    NotNeeded,
    Right,
    Wrong,
    /// Wrong, once too often.
    Hopeless,
}

impl Access {
    pub(super) fn new(token: Option<&Token>) -> Access {
        token.map_or(Access::Free, |_| Access::Locked { wrong_tokens: 0 })
    }

    pub(super) fn is_locked(self) -> bool {
        matches!(self, Access::Locked { .. })
    }

    /// The client has sent `said` as the token.
    pub(super) fn try_token(&mut self, token: Option<&Token>, said: &str) -> Verdict {
        let Some(token) = token else { return Verdict::NotNeeded };
        match (token.is(said), &mut *self) {
            (true, _) => {
                *self = Access::Granted;
                Verdict::Right
            }
            (false, Access::Locked { wrong_tokens }) => {
                *wrong_tokens += 1;
                if *wrong_tokens < WRONG_TOKENS_MAX { Verdict::Wrong } else { Verdict::Hopeless }
            }
            // Whoever is in stays in.
            (false, Access::Free | Access::Granted) => Verdict::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        for token in ["secret", "größe", "0123456789abcdef", "a:b/c=="] {
            assert!(Token::new(token).is_ok(), "{token:?}");
        }
        let long = "x".repeat(TOKEN_BYTES_MAX + 1);
        for token in ["", " ", "two words", "tab\tbed", "end\n", "\x03", long.as_str()] {
            let told = Token::new(token).err().unwrap_or_default();
            assert!(told.contains("must be one word of at most 256 bytes"), "{token:?}: {told}");
        }
    }

    #[test]
    fn only_the_whole_token_is_right() {
        let token = Token::new("secret").unwrap();
        assert!(token.is("secret"));
        for said in ["", "s", "secre", "secrets", "Secret", "terces"] {
            assert!(!token.is(said), "{said}");
        }
    }

    #[test]
    fn whoever_is_in_stays_in() {
        let token = Token::new("secret").unwrap();
        let mut access = Access::new(Some(&token));
        assert!(access.is_locked());
        assert_eq!(access.try_token(Some(&token), "secret"), Verdict::Right);
        assert_eq!(access.try_token(Some(&token), "guess"), Verdict::Wrong);
        assert_eq!(access, Access::Granted);
    }
}
