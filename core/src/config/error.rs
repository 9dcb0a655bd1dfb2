//! Errors of a VM config.

use crate::kv::KvError;
use crate::names::DiskNumber;

use super::PROVISION_METHOD;

/// A text that is not a valid VM config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not KV at all.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A value breaks the rule of its key.
    #[error("line {line}: {key}: {reason}")]
    Value {
        /// From 1.
        line: usize,
        /// As given, shortened.
        key: String,
        /// The rule, and the given value.
        reason: String,
    },
    /// A second path without a first one.
    #[error("line {line}: {key} without disk_{number}_a")]
    SecondPathAlone {
        /// From 1.
        line: usize,
        /// `disk_N_b`.
        key: String,
        /// N.
        number: DiskNumber,
    },
    /// A required key.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A provision method that nodes do not have.
    #[error("line {line}: provision_method {method:?} is not supported: want {PROVISION_METHOD}")]
    Method {
        /// From 1.
        line: usize,
        /// As given, shortened.
        method: String,
    },
    /// The server's `error=TEXT`.
    #[error("{0}")]
    Refused(String),
}
