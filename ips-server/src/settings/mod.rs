//! Settings of the IPS: environment over file over default (the command line comes on
//! top where a verb has such an option). A bad or unknown key is an error that names it.

mod network;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hps_core::kv::{self, shown};
use hps_core::names::NodeName;

pub use network::{Network, NetworkError};

/// The settings file where nothing else is said.
pub const DEFAULT_FILE: &str = "/etc/hps/ips.toml";

/// What the IPS is told.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields are the keys of ips.toml, explained in its manual page"
)]
pub struct Settings {
    pub listen: String,
    pub registry: PathBuf,
    pub engine: EngineKind,
    pub node_name: Option<NodeName>,
    pub advertise: Option<String>,
    pub lock_dir: PathBuf,
    pub om_timeout: Duration,
    pub instance_timeout: Duration,
    pub verb_timeout: Duration,
    pub delete_timeout: Duration,
    pub task_margin: Duration,
    pub wait_margin: Duration,
    pub poll_interval: Duration,
    pub stale_after: Duration,
    pub auth: Auth,
    pub allow: Vec<Network>,
    pub bind_address: bool,
    pub trusted_proxy: Vec<Network>,
    pub restart: bool,
}

/// What carries verbs to nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// This machine itself.
    Local,
    /// An OpenSVC cluster.
    OpenSvc,
}

/// Who may fetch a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Whoever shows the token of an open operation.
    Token,
    /// Whoever asks from an allowed network.
    Off,
}

/// Settings that cannot be used; names key and source.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum SettingsError {
    #[error("settings file {}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("settings file {}: line {line}: {reason}", path.display())]
    Toml {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("{origin}: {key}: {reason}")]
    Value {
        origin: String,
        key: String,
        reason: String,
    },
    #[error("{origin}: {key} is no setting")]
    UnknownKey { origin: String, key: String },
    #[error(
        "OpenSVC's `om` is on PATH and there is no settings file: write `engine = \"opensvc\"` (or \"local\") into {DEFAULT_FILE}"
    )]
    EngineNotChosen,
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) value: String,
    origin: String,
}

/// All keys; those of `[nodes]` joined by `_`, as in the environment.
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

impl Settings {
    /// Loads them. `file` is what `--config` names; else `IPS_CONFIG`, else the default,
    /// which alone need not exist.
    ///
    /// # Errors
    /// The key and the file or variable that are wrong.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let named = file
            .map(Path::to_owned)
            .or_else(|| std::env::var_os("IPS_CONFIG").map(PathBuf::from));
        let mut given = BTreeMap::new();
        let mut has_file = true;
        match named {
            Some(path) => read_file(&path, &mut given)?,
            None if Path::new(DEFAULT_FILE).exists() => {
                read_file(Path::new(DEFAULT_FILE), &mut given)?;
            }
            None => has_file = false,
        }
        for key in KEYS {
            let variable = format!("IPS_{}", key.to_ascii_uppercase());
            if let Ok(value) = std::env::var(&variable) {
                given.insert(
                    key.to_owned(),
                    Given {
                        value,
                        origin: variable,
                    },
                );
            }
        }
        Self::from_given(&given, || default_engine(has_file))
    }

    pub(crate) fn from_given(
        given: &BTreeMap<String, Given>,
        engine: impl FnOnce() -> Result<EngineKind, SettingsError>,
    ) -> Result<Self, SettingsError> {
        let all = Values(given);
        Ok(Self {
            listen: all
                .parsed("listen", endpoint)?
                .unwrap_or_else(|| "127.0.0.1:8068".to_owned()),
            registry: all.path("registry", "/var/lib/hps-ips/registry.db")?,
            engine: match given.get("engine") {
                None => engine()?,
                Some(_) => all.word(
                    "engine",
                    &[
                        ("local", EngineKind::Local),
                        ("opensvc", EngineKind::OpenSvc),
                    ],
                )?,
            },
            node_name: all.parsed("node_name", |text| {
                text.parse::<NodeName>().map_err(|e| e.to_string())
            })?,
            advertise: all.parsed("advertise", url)?,
            lock_dir: all.path("lock_dir", "/run/hps/locks")?,
            om_timeout: all.seconds("om_timeout", 30.0)?,
            instance_timeout: all.seconds("instance_timeout", 30.0)?,
            verb_timeout: all.seconds("verb_timeout", 540.0)?,
            delete_timeout: all.seconds("delete_timeout", 60.0)?,
            task_margin: all.seconds("task_margin", 30.0)?,
            wait_margin: all.seconds("wait_margin", 60.0)?,
            poll_interval: all.seconds("poll_interval", 0.1)?,
            stale_after: all.seconds("stale_after", 900.0)?,
            auth: match given.get("nodes_auth") {
                None => Auth::Token,
                Some(_) => all.word("nodes_auth", &[("token", Auth::Token), ("off", Auth::Off)])?,
            },
            allow: all.networks("nodes_allow", "")?,
            bind_address: match given.get("nodes_bind_address") {
                None => true,
                Some(_) => all.word("nodes_bind_address", &[("auto", true), ("off", false)])?,
            },
            trusted_proxy: all.networks("nodes_trusted_proxy", "127.0.0.1")?,
            restart: match given.get("nodes_restart") {
                None => false,
                Some(_) => all.word("nodes_restart", &[("on", true), ("off", false)])?,
            },
        })
    }
}

/// `local` is the default only where there is neither a settings file nor an `om`.
fn default_engine(has_file: bool) -> Result<EngineKind, SettingsError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let om = std::env::split_paths(&path).any(|folder| folder.join("om").is_file());
    match (has_file, om) {
        (false, true) => Err(SettingsError::EngineNotChosen),
        (true, true) => Ok(EngineKind::OpenSvc),
        (_, false) => Ok(EngineKind::Local),
    }
}

fn read_file(path: &Path, given: &mut BTreeMap<String, Given>) -> Result<(), SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    read_text(&text, path, given)
}

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
            take(given, &key, &key, &value, &origin)?;
            continue;
        };
        for (name, value) in inner {
            take(
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

fn take(
    given: &mut BTreeMap<String, Given>,
    key: &str,
    written: &str,
    value: &toml::Value,
    origin: &str,
) -> Result<(), SettingsError> {
    let name = kv::one_line(&shown(written));
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
        reason: "want a string, a number or a list of strings".to_owned(),
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

/// Lists are joined by commas, as the environment has them.
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

/// Where to listen, as `--listen` and the setting have it.
///
/// # Errors
/// What it should look like.
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
        Err(format!(
            "{:?}: want ADDRESS:PORT or unix:/path",
            shown(text)
        ))
    }
}

fn url(text: &str) -> Result<String, String> {
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
            "{:?}: want http://HOST[:PORT] or https://HOST[:PORT]",
            shown(text)
        ))
    }
}

struct Values<'a>(&'a BTreeMap<String, Given>);

impl Values<'_> {
    fn text(&self, key: &str, default: &str) -> String {
        self.0
            .get(key)
            .map_or_else(|| default.to_owned(), |given| given.value.clone())
    }

    fn parsed<T>(
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

    /// A relative one would be another registry in each folder, and `:memory:` none at all.
    fn path(&self, key: &str, default: &str) -> Result<PathBuf, SettingsError> {
        let parse = |text: &str| {
            let good = text.starts_with('/') && !text.contains(char::is_control);
            good.then(|| PathBuf::from(text))
                .ok_or_else(|| format!("{:?}: want an absolute path", shown(text)))
        };
        Ok(self.parsed(key, parse)?.unwrap_or_else(|| default.into()))
    }

    fn seconds(&self, key: &str, default: f64) -> Result<Duration, SettingsError> {
        let parse = |text: &str| {
            let seconds = text
                .parse()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds
                .filter(|seconds| !seconds.is_zero() && *seconds <= Duration::from_secs(86_400))
                .ok_or_else(|| {
                    format!(
                        "{:?}: want seconds, more than 0 and at most 86400",
                        shown(text)
                    )
                })
        };
        Ok(self
            .parsed(key, parse)?
            .unwrap_or(Duration::from_secs_f64(default)))
    }

    fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, SettingsError> {
        let parse = |text: &str| {
            let found = words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, value)| *value);
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            found.ok_or_else(|| format!("{:?}: want {}", shown(text), all.join(" or ")))
        };
        self.parsed(key, parse)?
            .ok_or_else(|| SettingsError::UnknownKey {
                origin: "settings".to_owned(),
                key: key.to_owned(),
            })
    }

    fn networks(&self, key: &str, default: &str) -> Result<Vec<Network>, SettingsError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let given = pairs
            .iter()
            .map(|(key, value)| {
                (
                    (*key).to_owned(),
                    Given {
                        value: (*value).to_owned(),
                        origin: "here".to_owned(),
                    },
                )
            })
            .collect();
        Settings::from_given(&given, || Ok(EngineKind::Local))
    }

    #[test]
    fn the_defaults_are_the_contracts() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:8068");
        assert_eq!(
            (settings.auth, settings.bind_address, settings.restart),
            (Auth::Token, true, false)
        );
        assert_eq!(settings.verb_timeout, Duration::from_secs(540));
        assert_eq!(settings.poll_interval, Duration::from_millis(100));
    }

    #[test]
    fn a_bad_value_names_key_and_source() {
        for (key, value) in [
            ("om_timeout", "soon"),
            ("om_timeout", "-1"),
            ("engine", "magic"),
            ("nodes_auth", "no"),
            ("nodes_allow", "10.0.0.0/99"),
            ("advertise", "ips:80"),
            ("node_name", "a b"),
            ("listen", "8068"),
            ("listen", "unix:ips.sock"),
            ("listen", "127.0.0.1:65536"),
            ("listen", "unix:/run/a\nb"),
            ("advertise", "http://ips\u{7f}"),
            ("registry", ""),
            ("registry", ":memory:"),
            ("registry", "file:/a?mode=memory"),
            ("lock_dir", "locks"),
        ] {
            let error = load(&[(key, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("here: {key}: ")), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_and_its_unknown_keys_are_named() {
        let path = std::env::temp_dir().join(format!("ips-settings-{}.toml", std::process::id()));
        let mut given = BTreeMap::new();
        std::fs::write(
            &path,
            "listen = \"[::1]:1\"\nom_timeout = 1.5\n[nodes]\nallow = [\"10.0.0.0/8\", \"::1\"]\n",
        )
        .unwrap();
        read_file(&path, &mut given).unwrap();
        let settings = Settings::from_given(&given, || Ok(EngineKind::Local)).unwrap();
        assert_eq!(
            (settings.listen.as_str(), settings.allow.len()),
            ("[::1]:1", 2)
        );
        for (text, key) in [
            ("lisen = 1", "lisen"),
            ("[nodes]\nlisten = \"x\"", "[nodes] listen"),
            ("nodes_auth = \"off\"", "nodes_auth"),
            ("\"a\\nb\" = 1", "a b"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_file(&path, &mut given).unwrap_err().to_string();
            assert_eq!(error, format!("{}: {key} is no setting", path.display()));
        }
        std::fs::remove_file(path).unwrap();
    }
}
