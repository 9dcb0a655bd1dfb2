//! Where settings come from: the file and the environment, as texts under their keys.

use std::collections::BTreeMap;
use std::path::Path;

use hps_core::kv::{self, shown};

use super::SettingsError;

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) value: String,
    pub(super) origin: String,
}

/// All keys. Those of `[nodes]` are joined by `_`, as in the environment.
pub const KEYS: [&str; 19] = [
    "listen",
    "registry",
    "engine",
    "node_name",
    "advertise",
    "lock_dir",
    "om_timeout",
    "instance_timeout",
    "verb_timeout",
    "delete_timeout",
    "task_margin",
    "wait_margin",
    "poll_interval",
    "stale_after",
    "nodes_auth",
    "nodes_allow",
    "nodes_bind_address",
    "nodes_trusted_proxy",
    "nodes_restart",
];

/// The settings of a file under their keys.
pub(super) fn read_file(
    path: &Path,
    given: &mut BTreeMap<String, Given>,
) -> Result<(), SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    read_text(&text, path, given)
}

/// As [`read_file`], of its text.
pub(crate) fn read_text(
    text: &str,
    path: &Path,
    given: &mut BTreeMap<String, Given>,
) -> Result<(), SettingsError> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        SettingsError::Toml {
            path: path.to_owned(),
            line: 1 + before.unwrap_or_default().matches('\n').count(),
            reason: kv::one_line(error.message()),
        }
    })?;
    let origin = path.display().to_string();
    for (key, value) in table {
        let Some(inner) = value.as_table() else {
            put(given, &key, &key, &value, &origin)?;
            continue;
        };
        for (name, value) in inner {
            put(
                given,
                &format!("{key}_{name}"),
                &format!("[{key}] {name}"),
                value,
                &origin,
            )?;
        }
    }
    Ok(())
}

fn put(
    given: &mut BTreeMap<String, Given>,
    key: &str,
    written: &str,
    value: &toml::Value,
    origin: &str,
) -> Result<(), SettingsError> {
    let name = kv::one_line(&shown(written));
    // `nodes_auth` is a name of the environment; in a file it is `auth` below `[nodes]`.
    let joined = written.starts_with('[') == key.starts_with("nodes_");
    if !KEYS.contains(&key) || !joined {
        return Err(SettingsError::UnknownKey {
            origin: origin.to_owned(),
            key: name,
        });
    }
    let text = plain(value).ok_or_else(|| SettingsError::Value {
        origin: origin.to_owned(),
        key: name,
        reason: "not a string, a number or a list of strings".to_owned(),
    })?;
    given.insert(
        key.to_owned(),
        Given {
            value: text,
            origin: origin.to_owned(),
        },
    );
    Ok(())
}

/// A value as the environment would have it: a list is joined by commas.
fn plain(value: &toml::Value) -> Option<String> {
    if let Some(list) = value.as_array() {
        let words: Option<Vec<_>> = list
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect();
        return words.map(|words| words.join(","));
    }
    let number = value
        .as_integer()
        .map(|n| n.to_string())
        .or_else(|| value.as_float().map(|n| n.to_string()));
    value.as_str().map(str::to_owned).or(number)
}

/// Puts the settings of the environment over those that are given.
pub(super) fn read_environment(given: &mut BTreeMap<String, Given>) {
    for key in KEYS {
        let origin = format!("IPS_{}", key.to_ascii_uppercase());
        if let Ok(value) = std::env::var(&origin) {
            given.insert(key.to_owned(), Given { value, origin });
        }
    }
}
