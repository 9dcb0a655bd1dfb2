//! Words that several verbs take.

use std::str::FromStr;
use std::time::Duration;

/// The word `force`.
#[derive(Debug)]
pub(super) struct Force;

impl FromStr for Force {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "force" {
            Ok(Self)
        } else {
            Err(format!("{text:?}: want `force` or nothing"))
        }
    }
}

/// `90`, `90s`, `1.5m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60.0),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or_else(|| format!("{text:?}: want seconds up to a day, as 90, 90s or 2m"))
}
