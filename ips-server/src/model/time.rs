//! Points in time: RFC 3339 UTC with milliseconds, so that their text sorts as they do.

use std::str::FromStr;
use std::time::Duration;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

/// By how much a running clock is corrected in normal operation (NTP).
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Now, by this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Later by a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.checked_add(duration).unwrap_or(jiff::Timestamp::MAX))
    }

    /// Earlier by a duration.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.checked_sub(duration).unwrap_or(jiff::Timestamp::MIN))
    }

    /// Whether it is longer ago than the limit, or so far in the future that the clock must
    /// have been set back since.
    #[must_use]
    pub fn is_stale(self, limit: Duration) -> bool {
        self.age() > limit || self > Self::latest()
    }

    /// The latest time of a past event, unless the clock was set back since.
    #[must_use]
    pub fn latest() -> Self {
        Self::now().plus(CLOCK_SLACK)
    }

    /// How long ago it was; zero for the future.
    #[must_use]
    pub fn age(self) -> Duration {
        Duration::try_from(Self::now().0.duration_since(self.0)).unwrap_or_default()
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value
            .as_str()?
            .parse()
            .map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// An age for people: `12 s`, `5 min`, `3 h`, `2 d`.
#[must_use]
pub fn short(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_long_ago_or_tomorrow_is_stale() {
        let (now, minute) = (Timestamp::now(), Duration::from_secs(60));
        assert!(!now.is_stale(minute));
        assert!(!now.plus(minute / 2).is_stale(minute));
        assert!(now.minus(minute * 2).is_stale(minute));
        assert!(now.plus(minute * 60).is_stale(minute));
    }

    #[test]
    fn the_text_has_milliseconds_and_is_read_back() {
        let time: Timestamp = "2026-11-23T14:35:45.1Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-23T14:35:45.100Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn ages_are_short() {
        let ages = [5, 119, 120, 7200, 200_000].map(|seconds| short(Duration::from_secs(seconds)));
        assert_eq!(ages, ["5 s", "119 s", "2 min", "2 h", "2 d"]);
    }
}
