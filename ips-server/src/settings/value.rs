//! The texts of the settings as values of their types.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hps_core::duration::TimeSpan;
use hps_core::kv::shown;

use super::source::Given;
use super::{Network, NetworkError, SettingsError};

/// An endpoint to listen on.
///
/// # Errors
/// The text is not an endpoint.
pub fn endpoint(text: &str) -> Result<String, String> {
    let good = match text.strip_prefix("unix:") {
        Some(path) => path.starts_with('/'),
        None => text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()),
    };
    if good && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("{:?}: not ADDRESS:PORT or unix:/path", shown(text)))
    }
}

pub(super) fn url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let good = rest.is_some_and(|rest| {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        !rest.is_empty() && !rest.ends_with('/') && !rest.contains(odd)
    });
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{:?}: not http://HOST[:PORT] or https://HOST[:PORT]",
            shown(text)
        ))
    }
}

/// The given texts, parsed into their types.
pub(super) struct Values<'a>(pub(super) &'a BTreeMap<String, Given>);

impl Values<'_> {
    fn text(&self, key: &str, default: &str) -> String {
        self.0
            .get(key)
            .map_or_else(|| default.to_owned(), |given| given.value.clone())
    }

    pub(super) fn parsed<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(given) = self.0.get(key) else {
            return Ok(None);
        };
        parse(&given.value)
            .map(Some)
            .map_err(|reason| SettingsError::Value {
                origin: given.origin.clone(),
                key: key.to_owned(),
                reason,
            })
    }

    /// Absolute only: a relative path is another file in each folder, and SQLite takes
    /// `:memory:` for no file.
    pub(super) fn path(&self, key: &str, default: &str) -> Result<PathBuf, SettingsError> {
        let parse = |text: &str| {
            let good = text.starts_with('/') && !text.contains(char::is_control);
            good.then(|| PathBuf::from(text))
                .ok_or_else(|| format!("{:?}: not an absolute path", shown(text)))
        };
        Ok(self.parsed(key, parse)?.unwrap_or_else(|| default.into()))
    }

    pub(super) fn seconds(&self, key: &str, default: f64) -> Result<Duration, SettingsError> {
        let parse = |text: &str| text.parse::<TimeSpan>().map_err(|error| error.to_string());
        let given = self.parsed(key, parse)?;
        Ok(given.map_or(Duration::from_secs_f64(default), TimeSpan::get))
    }

    /// One of some words, each with its value.
    pub(super) fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, SettingsError> {
        let parse = |text: &str| {
            let found = words.iter().find(|(word, _)| *word == text);
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("{:?}: not {}", shown(text), all.join(" or ")))
        };
        self.parsed(key, parse)
    }

    pub(super) fn networks(&self, key: &str, default: &str) -> Result<Vec<Network>, SettingsError> {
        let text = self.text(key, default);
        let parse = |text: &str| {
            let words = text.split([',', ' ']).filter(|word| !word.is_empty());
            words
                .map(|word| {
                    word.parse()
                        .map_err(|error: NetworkError| error.to_string())
                })
                .collect()
        };
        match self.parsed(key, parse)? {
            Some(networks) => Ok(networks),
            None => Ok(parse(&text).unwrap_or_default()),
        }
    }
}
