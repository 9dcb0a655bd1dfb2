//! The operation that this verb belongs to, from the environment (design: contracts 1 and 2).
//! The IPS sets it in a task; by hand, all of it is absent.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use hps_core::names::{NameError, NodeName, VmId};
use hps_core::{identity, percent, proc};
use uuid::Uuid;

/// The operation around this verb.
#[derive(Debug, Default)]
pub(crate) struct Task {
    /// `N_VM_TOKEN`: authorises this operation to fetch and report.
    pub token: Option<String>,
    /// `N_VM_OPERATION`, else `OPENSVC_SID`.
    pub operation: Option<Uuid>,
    /// `N_VM_ID`.
    pub vm_id: Option<VmId>,
    /// `N_VM_UUID`: a domain of the name with another UUID is refused.
    pub uuid: Option<Uuid>,
    /// `N_VM_KEEP`: disk paths that other VMs of the registry hold, percent-encoded,
    /// separated by `:` or a new line.
    pub keep: Vec<PathBuf>,
    /// `N_VM_NODE`, else `OSVC_NODENAME`, else the hostname.
    pub node: Option<NodeName>,
}

/// A variable with a value that is not valid.
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
                // OpenSVC's own; in another form it belongs to something else.
                None => variable("OPENSVC_SID").and_then(|value| identity::hyphenated(&value)),
            },
            vm_id: variable("N_VM_ID")
                .map(|value| value.parse().map_err(|e: NameError| invalid("N_VM_ID", &e)))
                .transpose()?,
            uuid: variable("N_VM_UUID")
                .map(|value| uuid("N_VM_UUID", &value))
                .transpose()?,
            keep: paths(&keep)?,
            node: node(),
        })
    }
}

/// The paths of `N_VM_KEEP`. One that cannot be decoded is an error: its file would be lost.
pub(crate) fn paths(text: &str) -> Result<Vec<PathBuf>, TaskError> {
    let words = text.split([':', '\n']).filter(|word| !word.is_empty());
    words
        .map(|word| match percent::decode(word) {
            Some(bytes) if bytes.starts_with(b"/") => Ok(PathBuf::from(OsString::from_vec(bytes))),
            _ => Err(invalid(
                "N_VM_KEEP",
                &format!("want absolute paths, not {word:?}"),
            )),
        })
        .collect()
}

/// OpenSVC's name of the node before the hostname: reports must match the operation.
fn node() -> Option<NodeName> {
    let named = variable("N_VM_NODE").or_else(|| variable("OSVC_NODENAME"));
    named.or_else(proc::hostname)?.trim().parse().ok()
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.is_empty())
}

fn invalid(variable: &'static str, reason: &(impl ToString + ?Sized)) -> TaskError {
    TaskError {
        variable,
        reason: reason.to_string(),
    }
}

/// The value itself is never shown.
fn token(value: String) -> Result<String, TaskError> {
    let good = value.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(value)
        .ok_or_else(|| invalid("N_VM_TOKEN", "want printable ASCII without spaces"))
}

fn uuid(variable: &'static str, value: &str) -> Result<Uuid, TaskError> {
    identity::hyphenated(value)
        .ok_or_else(|| invalid(variable, "want a UUID as 8-4-4-4-12 hex digits"))
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
    fn a_kept_path_that_cannot_be_decoded_is_an_error() {
        for bad in ["srv/a", "/srv/%4", "/srv/%zz", "/srv/%+f"] {
            assert!(paths(bad).is_err(), "{bad}");
        }
    }
}
