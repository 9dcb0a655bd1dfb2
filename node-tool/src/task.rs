//! What the environment says about the operation this verb belongs to (design:
//! contracts 1 and 2). Set by the IPS in a task; by hand, all of it is absent.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use hps_core::identity;
use hps_core::names::{NameError, NodeName, VmId};
use uuid::Uuid;

/// The operation around this verb.
#[derive(Debug, Default)]
pub(crate) struct Task {
    /// `N_VM_TOKEN`: what the IPS lets this operation fetch and report with.
    pub token: Option<String>,
    /// `N_VM_OPERATION`, else `OPENSVC_SID`.
    pub operation: Option<Uuid>,
    /// `N_VM_ID`.
    pub vm_id: Option<VmId>,
    /// `N_VM_UUID`: a domain of the name with another UUID is refused.
    pub uuid: Option<Uuid>,
    /// `N_VM_KEEP`: disk paths that other VMs of the registry hold, parted by `:` or a new
    /// line, `%XX` for whatever is no plain character.
    pub keep: Vec<PathBuf>,
    /// `N_VM_NODE`, else `OSVC_NODENAME`, else the hostname.
    pub node: Option<NodeName>,
}

/// A variable that cannot be what it must be.
#[derive(Debug, thiserror::Error)]
#[error("{variable} in the environment: {reason}")]
pub(crate) struct TaskError {
    variable: &'static str,
    reason: String,
}

impl Task {
    /// Reads the environment.
    pub(crate) fn from_env() -> Result<Self, TaskError> {
        let keep = variable("N_VM_KEEP").unwrap_or_default();
        Ok(Self {
            token: variable("N_VM_TOKEN").map(token).transpose()?,
            operation: match variable("N_VM_OPERATION") {
                Some(value) => Some(uuid("N_VM_OPERATION", &value)?),
                // OpenSVC's own; of another form it is simply none of ours.
                None => variable("OPENSVC_SID").and_then(|value| identity::hyphenated(&value)),
            },
            vm_id: variable("N_VM_ID")
                .map(|value| value.parse().map_err(|e: NameError| wrong("N_VM_ID", &e)))
                .transpose()?,
            uuid: variable("N_VM_UUID")
                .map(|value| uuid("N_VM_UUID", &value))
                .transpose()?,
            keep: paths(&keep)?,
            node: node(),
        })
    }
}

/// One that cannot be read would be one that is not kept: an error.
pub(crate) fn paths(text: &str) -> Result<Vec<PathBuf>, TaskError> {
    let words = text.split([':', '\n']).filter(|word| !word.is_empty());
    words
        .map(|word| match decoded(word) {
            Some(bytes) if bytes.starts_with(b"/") => Ok(PathBuf::from(OsString::from_vec(bytes))),
            _ => Err(wrong("N_VM_KEEP", &format!("no absolute path: {word:?}"))),
        })
        .collect()
}

/// The bytes of a text with `%XX` in it.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        // `from_str_radix` alone would take "+f".
        let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(hex, 16).ok().filter(|_| digits)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

fn node() -> Option<NodeName> {
    let named = variable("N_VM_NODE").or_else(|| variable("OSVC_NODENAME"));
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    named.or_else(host)?.trim().parse().ok()
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.is_empty())
}

fn wrong(variable: &'static str, reason: &(impl ToString + ?Sized)) -> TaskError {
    TaskError {
        variable,
        reason: reason.to_string(),
    }
}

/// The value itself is never shown.
fn token(value: String) -> Result<String, TaskError> {
    let good = value.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(value)
        .ok_or_else(|| wrong("N_VM_TOKEN", "want printable ASCII without spaces"))
}

fn uuid(variable: &'static str, value: &str) -> Result<Uuid, TaskError> {
    identity::hyphenated(value)
        .ok_or_else(|| wrong(variable, "want a UUID as 8-4-4-4-12 hex digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_paths_are_decoded() {
        let want = ["/srv/a:b", "/srv/c\nd", "/srv/%e"]
            .map(PathBuf::from)
            .to_vec();
        assert_eq!(paths("/srv/a%3Ab:/srv/c%0Ad\n/srv/%25e:").unwrap(), want);
    }

    #[test]
    fn a_kept_path_that_cannot_be_read_is_an_error_not_a_loss() {
        for bad in ["srv/a", "/srv/%4", "/srv/%zz", "/srv/%+f"] {
            assert!(paths(bad).is_err(), "{bad}");
        }
    }
}
