//! What can be wrong with the settings.

use std::path::PathBuf;

use super::DEFAULT_FILE;

/// Settings that cannot be used; names key and source.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("settings file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("settings file {}: line {line}: {reason}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A setting has a value that is not valid for it.
    #[error("{origin}: {key}: {reason}")]
    Value {
        /// The file or the environment variable.
        origin: String,
        /// The setting.
        key: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// There is no setting of this name.
    #[error("{origin}: unknown setting {key}")]
    UnknownKey {
        /// The file.
        origin: String,
        /// The name.
        key: String,
    },
    /// A cluster is there, and no settings file says whether to use it.
    #[error(
        "OpenSVC's `om` is on PATH and there is no settings file: write `engine = \"opensvc\"` (or \"local\") into {DEFAULT_FILE}"
    )]
    EngineNotChosen,
}
