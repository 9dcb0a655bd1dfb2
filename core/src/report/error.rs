//! Errors of a report, and the functions that read its keys.

use std::str::FromStr;

use uuid::Uuid;

use crate::identity;
use crate::kv::{KvError, Pair};

/// A body that is not a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The body is not KV at all.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A value breaks the rule of its key.
    #[error("line {line}: {key}: {reason}")]
    Value {
        /// From 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// The rule, and the given value.
        reason: String,
    },
    /// A required key.
    #[error("{0} is missing")]
    Missing(&'static str),
}

/// The pair of this key.
pub(super) fn find<'a>(
    pairs: &'a [Pair<'a>],
    key: &'static str,
) -> Result<&'a Pair<'a>, ReportError> {
    pairs
        .iter()
        .find(|pair| pair.key == key)
        .ok_or(ReportError::Missing(key))
}

/// The value of this key.
pub(super) fn get<T: FromStr<Err: ToString>>(
    pairs: &[Pair<'_>],
    key: &'static str,
) -> Result<T, ReportError> {
    let pair = find(pairs, key)?;
    pair.value
        .parse()
        .map_err(|error: T::Err| ReportError::Value {
            line: pair.line,
            key,
            reason: error.to_string(),
        })
}

/// The UUID of this key.
pub(super) fn uuid(pairs: &[Pair<'_>], key: &'static str) -> Result<Uuid, ReportError> {
    let pair = find(pairs, key)?;
    identity::hyphenated(pair.value).ok_or_else(|| ReportError::Value {
        line: pair.line,
        key,
        reason: "want a UUID as 8-4-4-4-12 hex digits".to_owned(),
    })
}
