//! Is this a browser? A page from anywhere can make a browser send requests to the loopback, and their bodies may hold
//! lines that are commands. So a first line that looks like a request ends the connection.
//!
//! With an `https` address, the browser first sends the hello of TLS, part of which may have come from the page's server:
//! the ticket of an earlier connection. So a hello ends the connection as well.

/// Methods that a page may use without a preflight request, and the other usual ones.
/// No command is in capitals.
const METHODS: [&[u8]; 9] = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"CONNECT", b"TRACE"];

/// Whether the first line is `METHOD TARGET HTTP/VERSION`, with any word for the method.
pub(super) fn is_request(line: &[u8]) -> bool {
    has_known_method(line) || words(line).skip(1).any(|word| word.starts_with(b"HTTP/"))
}

/// Whether a first line that was cleared after `start` is the hello of TLS: its bytes 22 and 3 are Ctrl-V and Ctrl-C.
pub(super) fn is_hello(start: &[u8]) -> bool {
    start == [22]
}

/// Whether the first line, of which only this start is known, may be a request whose target is long.
pub(super) fn may_be_request(start: &[u8]) -> bool {
    is_request(start) || words(start).nth(1).is_some_and(|target| target.starts_with(b"/"))
}

fn has_known_method(line: &[u8]) -> bool {
    words(line).next().is_some_and(|method| METHODS.contains(&method))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_recognized() {
        for line in
            ["GET / HTTP/1.1", "POST /x HTTP/1.0", "OPTIONS * HTTP/1.1", "set_max_workers /1 HTTP/1.1", "GET", "HEAD /"]
        {
            assert!(is_request(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn commands_are_no_requests() {
        for line in ["get_max_workers", "set_max_workers 2", "get / http", "GETTING on", "report /tmp/x", "", " "] {
            assert!(!is_request(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn the_start_of_a_long_request_is_enough() {
        assert!(may_be_request(b"POST /aaaa"));
        assert!(may_be_request(b"ANY /aaaa"));
        assert!(!may_be_request(b"set_max_workers 1111"));
        assert!(!may_be_request(b"aaaa"));
    }
}
