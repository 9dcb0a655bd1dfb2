//! `om svc instance ls|status`: whether a service has reached a node, and how the last
//! run of its task ended. The status lags behind `run --wait` and shows the run before
//! until then, so only our own session id counts.

use std::collections::HashMap;

use hps_core::exec::ExecError;
use hps_core::names::NodeName;
use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::service::ServiceName;
use super::{NO_INSTANCE, NO_OBJECT, Om, answer};

#[derive(Deserialize)]
pub(crate) struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    data: Data,
    meta: Meta,
}

#[derive(Deserialize)]
struct Data {
    status: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Meta {
    node: String,
}

#[derive(Deserialize)]
pub(crate) struct Instance {
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    resources: Option<HashMap<String, Resource>>,
}

#[derive(Deserialize)]
struct Resource {
    info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    last_run_session_id: Option<Uuid>,
    last_run_exitcode: Option<i32>,
}

impl Om<'_> {
    /// Whether the service has an instance with a status on the node.
    ///
    /// # Errors
    /// `om` gave no usable answer.
    pub fn has_instance(&self, name: &ServiceName, node: &NodeName) -> Result<bool, ExecError> {
        let args = [
            "svc",
            "instance",
            "ls",
            "-s",
            name.as_str(),
            "--node",
            node.as_str(),
            "-o",
            "json",
        ];
        let output = self.read(&args)?;
        if matches!(output.code, NO_INSTANCE | NO_OBJECT) {
            return Ok(false);
        }
        let list: List = answer(output)?;
        Ok(is_on(&list, node))
    }

    /// The exit code recorded for this very session, where there is one yet.
    ///
    /// # Errors
    /// `om` gave no usable answer.
    pub fn recorded_exit(
        &self,
        name: &ServiceName,
        node: &NodeName,
        rid: &str,
        session: Uuid,
    ) -> Result<Option<i32>, ExecError> {
        let args = [
            "svc",
            "instance",
            "status",
            "-s",
            name.as_str(),
            "--node",
            node.as_str(),
            "-o",
            "json",
        ];
        let output = self.read(&args)?;
        if matches!(output.code, NO_INSTANCE | NO_OBJECT) {
            return Ok(None);
        }
        let instances: Vec<Instance> = answer(output)?;
        Ok(exit_of(instances, rid, session))
    }
}

pub(crate) fn is_on(list: &List, node: &NodeName) -> bool {
    let here = |item: &Item| item.meta.node == node.as_str() && item.data.status.is_some();
    list.items.iter().any(here)
}

pub(crate) fn exit_of(instances: Vec<Instance>, rid: &str, session: Uuid) -> Option<i32> {
    let status = instances.into_iter().next()?.status?;
    let info = status.resources?.remove(rid)?.info?;
    (info.last_run_session_id == Some(session))
        .then_some(info.last_run_exitcode)
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(fixture: &str, session: &str) -> Option<i32> {
        let path = format!(
            "{}/../tests/fixtures/om3/{fixture}.out",
            env!("CARGO_MANIFEST_DIR")
        );
        let instances = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        exit_of(instances, "task#create", session.parse().unwrap())
    }

    #[test]
    fn only_our_own_session_counts() {
        let ours = "11111111-2222-4333-8444-555555555555";
        assert_eq!(recorded("instance-status-session-id", ours), Some(0));
        assert_eq!(
            recorded(
                "instance-status-session-id",
                "21111111-2222-4333-8444-555555555555"
            ),
            None
        );
        assert_eq!(recorded("instance-status-before-run", ours), None);
    }
}
