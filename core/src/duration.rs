//! Times as people write them, by one rule on every command line and in every setting:
//! seconds, or a number with `s`, `m` or `h` behind it. Fractions are allowed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const NANOS: u64 = 1_000_000_000;
/// The longest time that can be given, in seconds: one day.
const LONGEST: u64 = 86_400;

/// A time that was given: more than 0, at most one day. Zero is refused because it could mean
/// "do not wait" as well as "wait without limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(Duration);

impl TimeSpan {
    /// A time that this program has: `const DEFAULT: TimeSpan = TimeSpan::seconds(90);`.
    ///
    /// # Panics
    /// Zero, or more than a day; in a constant that is an error of the compiler.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        assert!(seconds > 0 && seconds <= LONGEST, "not a valid time");
        Self(Duration::from_secs(seconds))
    }

    /// The time.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

/// Seconds, with as many decimals as are needed; [`TimeSpan`] reads them back the same.
impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&seconds_text(self.0))
    }
}

/// A time in seconds, with as many decimals as are needed: `90`, `0.25`.
#[must_use]
pub fn seconds_text(time: Duration) -> String {
    let (seconds, nanos) = (time.as_secs(), time.subsec_nanos());
    if nanos == 0 {
        return seconds.to_string();
    }
    let text = format!("{seconds}.{nanos:09}");
    text.trim_end_matches('0').to_owned()
}

/// As [`seconds_text`], with two decimals at most: more have no meaning in the rest of a
/// deadline.
#[must_use]
pub fn rounded_text(time: Duration) -> String {
    let step = Duration::from_millis(10);
    let steps = (time + step / 2).as_millis() / step.as_millis();
    seconds_text(u32::try_from(steps).map_or(time, |steps| step * steps))
}

/// A text that is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("want a time as 90, 0.5, 90s, 2m or 1h, more than 0 and at most 24h, not {0:?}")]
pub struct InvalidTime(String);

impl FromStr for TimeSpan {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let nanos = nanos(text).filter(|nanos| *nanos > 0 && *nanos <= LONGEST * NANOS);
        let time = nanos.map(|nanos| Self(Duration::from_nanos(nanos)));
        time.ok_or_else(|| InvalidTime(crate::kv::shown(text)))
    }
}

/// The nanoseconds of `1.5m`; decimals that would be less than one are dropped.
fn nanos(text: &str) -> Option<u64> {
    let (number, unit) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 60),
        b'h' => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(decimals) {
        return None;
    }
    let mut nanos = whole.parse::<u64>().ok()?.checked_mul(NANOS)?;
    let mut worth = NANOS / 10;
    for digit in decimals.bytes() {
        nanos = nanos.checked_add(u64::from(digit - b'0') * worth)?;
        worth /= 10;
    }
    nanos.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_unless_it_has_a_unit() {
        for (text, want) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("2m", 120.0),
            ("1h", 3600.0),
            ("1.5m", 90.0),
            ("0.25", 0.25),
            ("007", 7.0),
            ("24h", 86_400.0),
            ("1440m", 86_400.0),
            ("0.000000001", 1e-9),
        ] {
            let time: TimeSpan = text.parse().unwrap();
            assert!((time.get().as_secs_f64() - want).abs() < 1e-12, "{text}");
        }
    }

    #[test]
    fn zero_more_than_a_day_and_other_texts_are_refused() {
        for bad in [
            "",
            "0",
            "0s",
            "0.0",
            "0.0000000001",
            "-1",
            "+1",
            "s",
            "m",
            ".",
            "5.",
            ".5",
            "1d",
            "1e3",
            "1 s",
            "inf",
            "NaN",
            "2000m",
            "25h",
            "86400.1",
            "1m30s",
            "1.2.3",
            "99999999999999999999",
            "18446744073709551615h",
            "é",
            "1é",
        ] {
            assert!(bad.parse::<TimeSpan>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_rest_of_a_deadline_is_rounded() {
        for (nanos, want) in [
            (119_994_999_999, "119.99"),
            (119_999_999_999, "120"),
            (100_000_000, "0.1"),
            (4_999_999, "0"),
        ] {
            assert_eq!(rounded_text(Duration::from_nanos(nanos)), want);
        }
    }

    #[test]
    fn the_error_shows_the_rule_and_the_text() {
        let error = "soon".parse::<TimeSpan>().unwrap_err().to_string();
        let want =
            "want a time as 90, 0.5, 90s, 2m or 1h, more than 0 and at most 24h, not \"soon\"";
        assert_eq!(error, want);
    }

    proptest::proptest! {
        #[test]
        fn a_printed_time_is_read_back_the_same(nanos in 1..=LONGEST * NANOS) {
            let time = TimeSpan(Duration::from_nanos(nanos));
            proptest::prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn any_text_parses_or_fails_without_a_panic(text in "\\PC*|[0-9.smh]{0,12}") {
            let _ = text.parse::<TimeSpan>();
        }
    }
}
