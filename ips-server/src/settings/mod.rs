//! Settings of the IPS: environment over file over default (the command line comes on
//! top where a verb has such an option). A bad or unknown key is an error that names it.

mod error;
mod network;
mod source;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hps_core::names::NodeName;

pub use error::SettingsError;
pub use network::{Network, NetworkError};
pub(crate) use source::Given;
pub use source::KEYS;
#[cfg(any(test, fuzzing))]
pub(crate) use source::read_text;
pub use value::endpoint;
use value::{Values, url};

/// The settings file unless `--config` or `IPS_CONFIG` names another.
pub const DEFAULT_FILE: &str = "/etc/hps/ips.toml";

/// The settings of the IPS; ips.toml(5) explains each.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) listen: String,
    pub(crate) registry: PathBuf,
    pub(crate) engine: EngineKind,
    pub(crate) node_name: Option<NodeName>,
    pub(crate) advertise: Option<String>,
    /// On a tmpfs: a lock must not outlive a reboot.
    pub(crate) lock_dir: PathBuf,
    /// Of one call of `om`, besides the wait that it was asked for.
    pub(crate) om_timeout: Duration,
    pub(crate) instance_timeout: Duration,
    // Deadlines nest, so that the inner one ends first and its reason is known: the verb on
    // the node, then `task_margin` later OpenSVC kills its task (SIGKILL), then `wait_margin`
    // later `o_vm` gives up. A stop's own --timeout is added to all three.
    pub(crate) verb_timeout: Duration,
    pub(crate) delete_timeout: Duration,
    pub(crate) task_margin: Duration,
    pub(crate) wait_margin: Duration,
    pub(crate) poll_interval: Duration,
    /// An older state is shown as unknown.
    pub(crate) stale_after: Duration,
    pub(crate) auth: Auth,
    pub(crate) allow: Vec<Network>,
    /// A token works only from the addresses that its node had when the operation began.
    pub(crate) bind_address: bool,
    /// Only these may name the client in X-Forwarded-For; from others it is a forgery.
    pub(crate) trusted_proxy: Vec<Network>,
    pub(crate) restart: bool,
}

/// How verbs reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// This machine itself.
    Local,
    /// An OpenSVC cluster.
    OpenSvc,
}

/// What a config is handed out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// The token of an open operation.
    Token,
    /// An address in an allowed network.
    Off,
}

impl Settings {
    /// Loads the settings. `file` is what `--config` names; else `IPS_CONFIG` names it, else
    /// it is the default file, and only that one may be missing.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value in it or in the environment is not valid.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let named = file
            .map(Path::to_owned)
            .or_else(|| std::env::var_os("IPS_CONFIG").map(PathBuf::from));
        let mut given = BTreeMap::new();
        let mut has_file = true;
        match named {
            Some(path) => source::read_file(&path, &mut given)?,
            None if Path::new(DEFAULT_FILE).exists() => {
                source::read_file(Path::new(DEFAULT_FILE), &mut given)?;
            }
            None => has_file = false,
        }
        source::read_environment(&mut given);
        Self::from_given(&given, || default_engine(has_file))
    }

    pub(crate) fn from_given(
        given: &BTreeMap<String, Given>,
        engine: impl FnOnce() -> Result<EngineKind, SettingsError>,
    ) -> Result<Self, SettingsError> {
        let all = Values(given);
        let node_name = |text: &str| text.parse::<NodeName>().map_err(|e| e.to_string());
        let engines = [
            ("local", EngineKind::Local),
            ("opensvc", EngineKind::OpenSvc),
        ];
        let auths = [("token", Auth::Token), ("off", Auth::Off)];
        Ok(Self {
            listen: all
                .parsed("listen", endpoint)?
                .unwrap_or_else(|| "127.0.0.1:8068".to_owned()),
            registry: all.path("registry", "/var/lib/hps-ips/registry.db")?,
            engine: match all.word("engine", &engines)? {
                Some(engine) => engine,
                None => engine()?,
            },
            node_name: all.parsed("node_name", node_name)?,
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
            auth: all.word("nodes_auth", &auths)?.unwrap_or(Auth::Token),
            allow: all.networks("nodes_allow", "")?,
            bind_address: all
                .word("nodes_bind_address", &[("auto", true), ("off", false)])?
                .unwrap_or(true),
            trusted_proxy: all.networks("nodes_trusted_proxy", "127.0.0.1")?,
            restart: all
                .word("nodes_restart", &[("on", true), ("off", false)])?
                .unwrap_or(false),
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
