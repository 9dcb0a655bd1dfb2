//! Properties of the parsers of `ips-server` and `o_vm` for any bytes. The fuzz targets and the
//! tests call these same functions.

#![expect(
    clippy::unwrap_used,
    reason = "a failed expectation is a property's result"
)]

mod adoption;
mod common;
#[cfg(test)]
mod ips_round_trips;
mod om;
mod query;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::settings::{EngineKind, Given, Settings, SettingsError, endpoint, read_text};
use common::said_well;

pub use adoption::adoption;
pub use om::om_json;
pub use query::query;

#[cfg(test)]
common::replayed!(adoption, ips_toml, om_json, query);

/// `ips.toml`: accepted settings are usable as they are, and written settings read back the
/// same.
pub fn ips_toml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let given = match read(text) {
        Ok(given) => given,
        Err(error) => return said_well(&error),
    };
    assert_eq!(
        read(&written(&given)).ok().map(values),
        Some(values(given.clone()))
    );
    match Settings::from_given(&given, || Ok(EngineKind::Local)) {
        Ok(settings) => usable(&settings),
        Err(error) => said_well(&error),
    }
}

fn read(text: &str) -> Result<BTreeMap<String, Given>, SettingsError> {
    let mut given = BTreeMap::new();
    read_text(text, Path::new("ips.toml"), &mut given)?;
    Ok(given)
}

fn values(given: BTreeMap<String, Given>) -> Vec<(String, String)> {
    let value = |(key, given): (String, Given)| (key, given.value);
    given.into_iter().map(value).collect()
}

fn written(given: &BTreeMap<String, Given>) -> String {
    let (mut top, mut nodes) = (String::new(), "[nodes]\n".to_owned());
    for (key, given) in given {
        let (part, key) = match key.strip_prefix("nodes_") {
            Some(key) => (&mut nodes, key),
            None => (&mut top, key.as_str()),
        };
        let value: String = given.value.chars().map(escaped).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(part, "{key} = \"{value}\"");
    }
    top + &nodes
}

/// In a basic string of TOML.
fn escaped(c: char) -> String {
    if c.is_control() || matches!(c, '"' | '\\') {
        format!("\\u{:04X}", u32::from(c))
    } else {
        c.to_string()
    }
}

fn usable(settings: &Settings) {
    let times = [
        settings.om_timeout,
        settings.instance_timeout,
        settings.verb_timeout,
        settings.delete_timeout,
        settings.task_margin,
        settings.wait_margin,
        settings.poll_interval,
        settings.stale_after,
    ];
    let good = |time: &Duration| !time.is_zero() && *time <= Duration::from_secs(86_400);
    assert!(times.iter().all(good), "{times:?}");
    assert_eq!(endpoint(&settings.listen).as_ref(), Ok(&settings.listen));
    for path in [&settings.registry, &settings.lock_dir] {
        assert!(path.is_absolute(), "{}", path.display());
    }
    let texts = [Some(&settings.listen), settings.advertise.as_ref()];
    for text in texts.into_iter().flatten() {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
