//! Durations as people write them: `30s`, `1m 30s`, `100ms..10s`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What is wrong with a text, and what to write instead.
pub(super) type Wrong = (String, String);

/// A duration that is not zero.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let what = match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => {
            let help = "write a longer one, `100ms`, `30s` or `1m 30s`";
            return Err((format!("`{text}` is zero"), help.to_owned()));
        }
        Ok(duration) => return Ok(duration),
        Err(_) if text.trim().is_empty() => "there is no duration here".to_owned(),
        Err(_) => format!("`{text}` is not a duration"),
    };
    Err((what, "write numbers with their units, `100ms`, `30s` or `1m 30s`".to_owned()))
}

/// `100ms..10s`
pub(super) fn range(text: &str) -> Result<RangeInclusive<Duration>, Wrong> {
    let both = "write the first delay and the longest, `100ms..10s`".to_owned();
    let Some((min, max)) = text.split_once("..") else {
        return Err((format!("`{text}` has no `..` between two durations"), both));
    };
    let (min, max) = (min.trim(), max.trim());
    if min.is_empty() || max.is_empty() {
        return Err((format!("`{text}` is open at one end"), both));
    }
    let (first, longest) = (duration(min)?, duration(max)?);
    if longest < first {
        let what = format!("the first delay, `{min}`, is longer than the longest, `{max}`");
        return Err((what, format!("write `{max}..{min}`")));
    }
    Ok(first..=longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_numbers_with_units() {
        let cases = [
            ("30s", Ok(30_000)),
            ("1m 30s", Ok(90_000)),
            (" 100ms ", Ok(100)),
            ("1h", Ok(3_600_000)),
            ("", Err("there is no duration here")),
            (" ", Err("there is no duration here")),
            ("30", Err("`30` is not a duration")),
            ("-1s", Err("`-1s` is not a duration")),
            ("1 fortnight", Err("`1 fortnight` is not a duration")),
            ("0s", Err("`0s` is zero")),
        ];
        for (text, expected) in cases {
            let expected = expected.map(Duration::from_millis).map_err(str::to_owned);
            assert_eq!(duration(text).map_err(|(what, _)| what), expected, "of `{text}`");
        }
    }

    #[test]
    fn a_range_has_two_ends_in_order() {
        let cases = [
            ("100ms..10s", Ok((100, 10_000))),
            ("1s .. 1s", Ok((1_000, 1_000))),
            ("100ms", Err("`100ms` has no `..` between two durations")),
            ("100ms..", Err("`100ms..` is open at one end")),
            ("..10s", Err("`..10s` is open at one end")),
            ("10s..100ms", Err("the first delay, `10s`, is longer than the longest, `100ms`")),
            ("0s..1s", Err("`0s` is zero")),
            ("1s..x", Err("`x` is not a duration")),
            ("1s..=2s", Err("`=2s` is not a duration")),
        ];
        for (text, expected) in cases {
            let found = range(text).map(|range| (range.start().as_millis(), range.end().as_millis()));
            assert_eq!(found.map_err(|(what, _)| what), expected.map_err(str::to_owned), "of `{text}`");
        }
    }
}
