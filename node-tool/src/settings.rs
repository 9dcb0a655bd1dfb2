//! Settings: environment over file over default (design: Settings). An unknown key, or a
//! value that is not valid, is an error that names key and place, so that a typo is never a
//! silent default.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hps_core::duration::{InvalidTime, TimeSpan};
use hps_core::kv::{self, KvError};
use hps_core::names::{NameError, Word};
use tracing::Level;
use ureq::http::Uri;

/// The settings file, unless `--config` or `N_VM_CONFIG` names another.
const DEFAULT_FILE: &str = "/etc/hps/node.conf";

/// The settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Base URL of the IPS; unset: `http://<default gateway>`.
    pub ips: Option<String>,
    /// libvirt URI.
    pub connect: String,
    /// Unset: virt-install decides.
    pub virt_type: Option<Word>,
    /// Address of the VNC consoles of new VMs. They have no password.
    pub vnc_listen: IpAddr,
    /// Level of the log lines on stderr.
    pub log: Level,
    /// Locks, the pools ledger, notes of unfinished removals.
    pub state_dir: PathBuf,
    /// Limit for a connection to the IPS.
    pub connect_timeout: Duration,
    /// Limit for an answer of the IPS.
    pub fetch_timeout: Duration,
    /// Limit for one virsh, one qemu-img, one question to virt-install.
    pub virsh_timeout: Duration,
    /// Limit for a virt-install that creates a VM.
    pub virt_install_timeout: Duration,
    /// Limit for a report with all its tries.
    pub report_timeout: Duration,
    /// How long a verb waits for another one on the same VM.
    pub lock_timeout: Duration,
    /// Between two polls of a domain that is shutting down or rebooting.
    pub poll_interval: Duration,
    /// Between two ACPI requests to it.
    pub resend_interval: Duration,
    /// For an IPS behind https.
    pub tls: TlsFiles,
}

/// PEM files for https.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsFiles {
    /// The certificate authorities to trust, instead of the world's.
    pub tls_ca: Option<PathBuf>,
    /// This node's certificate and its key, for servers that ask for one.
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
}

/// Settings that are not valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("settings {}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("settings {}", path.display())]
    NotKv { path: PathBuf, source: KvError },
    #[error("settings {}: line {line}: {key}: {reason}", path.display())]
    InFile {
        path: PathBuf,
        line: usize,
        key: String,
        reason: String,
    },
    #[error("settings: {variable} in the environment: {reason}")]
    InEnvironment { variable: String, reason: String },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ips: None,
            connect: "qemu:///system".to_owned(),
            virt_type: None,
            vnc_listen: IpAddr::from([127, 0, 0, 1]),
            log: Level::INFO,
            state_dir: PathBuf::from("/var/lib/hps-node"),
            connect_timeout: Duration::from_secs(5),
            fetch_timeout: Duration::from_secs(15),
            virsh_timeout: Duration::from_secs(30),
            virt_install_timeout: Duration::from_secs(300),
            report_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(120),
            poll_interval: Duration::from_millis(500),
            resend_interval: Duration::from_secs(10),
            tls: TlsFiles::default(),
        }
    }
}

impl Settings {
    /// Every key, for the environment's `N_VM_<KEY>`.
    const KEYS: [&str; 17] = [
        "ips",
        "connect",
        "virt_type",
        "vnc_listen",
        "log",
        "state_dir",
        "connect_timeout",
        "fetch_timeout",
        "virsh_timeout",
        "virt_install_timeout",
        "report_timeout",
        "lock_timeout",
        "poll_interval",
        "resend_interval",
        "tls_ca",
        "tls_cert",
        "tls_key",
    ];

    /// Reads file and environment. A file that was given must exist.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        let named = file.map(Path::to_owned).or_else(|| env_path("N_VM_CONFIG"));
        settings.read_file(named.as_deref())?;
        for key in Self::KEYS {
            let variable = format!("N_VM_{}", key.to_ascii_uppercase());
            if let Some(value) = std::env::var_os(&variable) {
                let set = settings.set(key, &value.to_string_lossy());
                set.map_err(|reason| SettingsError::InEnvironment { variable, reason })?;
            }
        }
        Ok(settings)
    }

    fn read_file(&mut self, named: Option<&Path>) -> Result<(), SettingsError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read(path) {
            Ok(bytes) => self.read(path, &bytes),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(SettingsError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    pub(crate) fn read(&mut self, path: &Path, bytes: &[u8]) -> Result<(), SettingsError> {
        let path = path.to_owned();
        let pairs = match kv::parse(bytes) {
            Ok(pairs) => pairs,
            Err(source) => return Err(SettingsError::NotKv { path, source }),
        };
        for pair in pairs {
            self.set(pair.key, pair.value)
                .map_err(|reason| SettingsError::InFile {
                    path: path.clone(),
                    line: pair.line,
                    key: pair.key.to_owned(),
                    reason,
                })?;
        }
        Ok(())
    }

    /// Sets one key; the one place where its value is parsed.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "ips" => self.ips = Some(base_url(value)?),
            "connect" => self.connect = uri(value)?,
            "virt_type" => self.virt_type = Some(word(value)?),
            "vnc_listen" => self.vnc_listen = value.parse().map_err(|_| "want an IP address")?,
            "log" => {
                self.log = value
                    .parse()
                    .map_err(|_| "want error, warn, info or debug")?;
            }
            "state_dir" => self.state_dir = absolute(value)?,
            "connect_timeout" => self.connect_timeout = time(value)?,
            "fetch_timeout" => self.fetch_timeout = time(value)?,
            "virsh_timeout" => self.virsh_timeout = time(value)?,
            "virt_install_timeout" => self.virt_install_timeout = time(value)?,
            "report_timeout" => self.report_timeout = time(value)?,
            "lock_timeout" => self.lock_timeout = time(value)?,
            "poll_interval" => self.poll_interval = time(value)?,
            "resend_interval" => self.resend_interval = time(value)?,
            "tls_ca" => self.tls.tls_ca = Some(tls_file(value)?),
            "tls_cert" => self.tls.tls_cert = Some(tls_file(value)?),
            "tls_key" => self.tls.tls_key = Some(tls_file(value)?),
            _ => {
                return Err(format!(
                    "unknown setting; known are {}",
                    Self::KEYS.join(" ")
                ));
            }
        }
        Ok(())
    }
}

fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// A URL without query, fragment or credentials: paths are appended to it.
fn base_url(value: &str) -> Result<String, String> {
    let rest = value.strip_prefix("http://").or_else(|| {
        value
            .strip_prefix("https://")
            .filter(|_| cfg!(feature = "tls"))
    });
    let plain = |rest: &str| !rest.contains(['?', '#', '@']);
    let base = value.trim_end_matches('/');
    match rest {
        Some(rest) if plain(rest) && base.parse().is_ok_and(|uri| is_url(&uri)) => {
            Ok(base.to_owned())
        }
        _ if cfg!(feature = "tls") => Err("want http://HOST or https://HOST".to_owned()),
        _ => Err("want http://HOST[:PORT]".to_owned()),
    }
}

/// A URL needs a host; a port must be a valid one.
fn is_url(uri: &Uri) -> bool {
    let authority = uri.authority().filter(|_| uri.scheme().is_some());
    authority.is_some_and(|authority| {
        let host = authority.host();
        !host.is_empty() && (authority.port().is_some() || authority.as_str() == host)
    })
}

fn word(value: &str) -> Result<Word, String> {
    value.parse().map_err(|error: NameError| error.to_string())
}

/// A leading `-` would be an option of virsh.
fn uri(value: &str) -> Result<String, String> {
    let good = value.contains(':') && !value.starts_with('-');
    good.then(|| value.to_owned())
        .ok_or_else(|| "want a libvirt URI such as qemu:///system".to_owned())
}

/// A setting without effect would be a silent default.
fn tls_file(value: &str) -> Result<PathBuf, String> {
    if cfg!(feature = "tls") {
        absolute(value)
    } else {
        Err("this n_vm was built without TLS (feature `tls`)".to_owned())
    }
}

fn absolute(value: &str) -> Result<PathBuf, String> {
    value
        .starts_with('/')
        .then(|| PathBuf::from(value))
        .ok_or_else(|| "want an absolute path".to_owned())
}

fn time(value: &str) -> Result<Duration, String> {
    let time = value.parse::<TimeSpan>();
    time.map(TimeSpan::get)
        .map_err(|error: InvalidTime| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let mut settings = Settings::default();
        let error = settings.read(Path::new("f"), text.as_bytes()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn every_key_is_known() {
        for key in Settings::KEYS {
            let error = Settings::default().set(key, "").unwrap_err();
            assert!(!error.starts_with("unknown setting"), "{key}: {error}");
        }
    }

    /// `(key, what it takes, default)` of each entry of node.conf(5).
    fn page() -> Vec<(&'static str, &'static str, &'static str)> {
        let page = include_str!("../../packaging/man/node.conf.5.scd");
        let entries = page.split("\n*").filter_map(|entry| {
            let (head, text) = entry.split_once("\n\tDefault: ")?;
            let (key, takes) = head.split_once("* = ")?;
            Some((key, takes, text.split_once(". ")?.0))
        });
        entries.collect()
    }

    #[test]
    fn the_manual_page_has_every_key_and_default() {
        let page = page();
        assert_eq!(
            page.iter().map(|entry| entry.0).collect::<Vec<_>>(),
            Settings::KEYS
        );
        let unset = format!("{:?}", Settings::default());
        for (key, takes, default) in page {
            let mut settings = Settings::default();
            if default == "unset" {
                assert!(unset.contains(&format!("{key}: None")), "{key}");
            } else {
                settings.set(key, default).unwrap();
            }
            assert_eq!(format!("{settings:?}"), unset, "{key}");
            let error = settings.set(key, "?").err().unwrap_or_default();
            assert_eq!(error.starts_with("want a time"), takes == "_time_", "{key}");
        }
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        assert_eq!(
            error("log=info\nvirsh_timeout=soon\n"),
            "settings f: line 2: virsh_timeout: want a time as 90, 0.5, 90s, 2m or 1h, more than 0 and at most 24h, not \"soon\""
        );
        assert!(
            error("virt_typ=kvm\n").starts_with("settings f: line 1: virt_typ: unknown setting")
        );
    }

    #[test]
    fn values_that_are_not_valid_are_refused() {
        for bad in [
            "ips=https://ips",
            "ips=http://",
            "ips=http://ips?x",
            "ips=http:///x",
            "ips=http://:80",
            "ips=http://a b",
            "ips=http://ips:99999",
            "connect=-x",
            "vnc_listen=localhost,port=1",
            "virt_type=kvm --debug",
            "fetch_timeout=0",
            "fetch_timeout=-1",
            "fetch_timeout=inf",
            "fetch_timeout=NaN",
            "fetch_timeout=1e-300",
            "state_dir=here",
        ] {
            assert!(
                Settings::default()
                    .read(Path::new("f"), bad.as_bytes())
                    .is_err(),
                "{bad}"
            );
        }
    }
}
