//! Durations as people write them: `30s`, `1m 30s`, `100ms..10s`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What a duration looks like, for those who wrote another thing.
pub(super) const HELP: &str = "write numbers with their units: `100ms`, `30s`, `1m 30s`";

/// One that is not nothing, or what is wrong with the text.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(format!("`{text}` is no time at all")),
        Ok(duration) => Ok(duration),
        Err(_) if text.trim().is_empty() => Err("there is no duration here".to_owned()),
        Err(_) => Err(format!("`{}` is not a duration", text.trim())),
    }
}

/// `100ms..10s`, or what is wrong with the text and what helps against it.
pub(super) fn range(text: &str) -> Result<RangeInclusive<Duration>, (String, String)> {
    const BOTH: &str = "write the first delay and the longest: `100ms..10s`";
    let Some((min, max)) = text.split_once("..") else {
        return Err((format!("`{text}` is not from one duration to another"), BOTH.to_owned()));
    };
    let (min, max) = (min.trim(), max.trim());
    if min.is_empty() || max.is_empty() {
        return Err((format!("`{text}` is open at one end"), BOTH.to_owned()));
    }
    let end = |text| duration(text).map_err(|what| (what, HELP.to_owned()));
    let (shortest, longest) = (end(min)?, end(max)?);
    if longest < shortest {
        return Err((format!("`{min}` is longer than `{max}`"), format!("write `{max}..{min}`")));
    }
    Ok(shortest..=longest)
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
            ("0s", Err("`0s` is no time at all")),
        ];
        for (text, expected) in cases {
            let expected = expected.map(Duration::from_millis).map_err(str::to_owned);
            assert_eq!(duration(text), expected, "of `{text}`");
        }
    }

    #[test]
    fn a_range_has_two_ends_in_order() {
        let cases = [
            ("100ms..10s", Ok((100, 10_000))),
            ("1s .. 1s", Ok((1_000, 1_000))),
            ("100ms", Err("`100ms` is not from one duration to another")),
            ("100ms..", Err("`100ms..` is open at one end")),
            ("..10s", Err("`..10s` is open at one end")),
            ("10s..100ms", Err("`10s` is longer than `100ms`")),
            ("0s..1s", Err("`0s` is no time at all")),
            ("1s..x", Err("`x` is not a duration")),
            ("1s..=2s", Err("`=2s` is not a duration")),
        ];
        for (text, expected) in cases {
            let found = range(text).map(|range| (range.start().as_millis(), range.end().as_millis()));
            assert_eq!(found.map_err(|(what, _)| what), expected.map_err(str::to_owned), "of `{text}`");
        }
    }
}
