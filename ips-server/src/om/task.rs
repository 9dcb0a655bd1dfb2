//! `om svc instance run` and `om daemon ps`: starting a task on a node, and whether it
//! still runs. Exit 0 of a run with empty output means that nothing ran.

use std::fs::File;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hps_core::exec::ExecError;
use hps_core::names::NodeName;
use serde::Deserialize;
use uuid::Uuid;

use super::service::ServiceName;
use super::{Om, answer, seconds};

/// The answer of `om` to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// The node accepted it under our session id; its result is in its status only.
    Accepted,
    /// No node accepted it: nothing ran.
    Rejected(String),
    /// Whether it started is unknown.
    Unknown(String),
}

#[derive(Deserialize)]
pub(crate) struct Item {
    nodename: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    session_id: Uuid,
}

#[derive(Deserialize)]
struct Process {
    sid: Uuid,
    #[serde(default)]
    object: String,
}

/// A request to run a task once on a node.
#[derive(Debug)]
pub struct RunRequest<'a> {
    /// The service of the task.
    pub service: &'a ServiceName,
    /// The resource id of the task, as `task#create`.
    pub rid: &'a str,
    /// The node that runs it.
    pub node: &'a NodeName,
    /// The session id under which the node records the result.
    pub session: Uuid,
    /// How long `om` waits for the end of the run.
    pub wait: Duration,
}

impl Om<'_> {
    /// Runs a task and waits for its end. The child holds `lock` too, and continues
    /// when `leave` is raised.
    ///
    /// # Errors
    /// `om` gave no usable answer: whether the task started is unknown.
    pub fn run_task(
        &self,
        run: &RunRequest<'_>,
        lock: Option<&File>,
        leave: &AtomicBool,
    ) -> Result<Run, ExecError> {
        let wait = seconds(run.wait);
        let args = [
            "svc",
            "instance",
            "run",
            "-s",
            run.service.as_str(),
            "--rid",
            run.rid,
            "--node",
            run.node.as_str(),
            "--wait",
            "--time",
            &wait,
            "-o",
            "json",
        ];
        let mut command = self
            .command(&args, run.wait)
            .env("OSVC_SESSION_ID", run.session.to_string())
            .left_alone_on(leave);
        if let Some(lock) = lock {
            command = command.inherit(lock);
        }
        let output = command.run()?;
        if output.stdout.trim_ascii().is_empty() && output.code == 0 {
            return Ok(Run::Rejected(
                "om ran nothing: the service has no instance there".to_owned(),
            ));
        }
        Ok(acceptance(&answer::<Vec<Item>>(output)?, run))
    }

    /// Whether this `om` can wait for a run under a session id of ours: v3.0.0-rc18 and later.
    ///
    /// # Errors
    /// `om` gave no usable answer.
    pub fn can_wait(&self) -> Result<bool, ExecError> {
        let output = self.read(&["svc", "instance", "run", "--help"])?;
        Ok(output.text().contains("--wait"))
    }

    /// Whether a task of this session runs on the node.
    ///
    /// # Errors
    /// `om` gave no usable answer.
    pub fn runs(&self, node: &NodeName, session: Uuid) -> Result<bool, ExecError> {
        Ok(self
            .processes(node)?
            .iter()
            .any(|process| process.sid == session))
    }

    /// Whether a task of this service runs on the node.
    ///
    /// # Errors
    /// `om` gave no usable answer.
    pub fn is_busy(&self, node: &NodeName, service: &ServiceName) -> Result<bool, ExecError> {
        Ok(self
            .processes(node)?
            .iter()
            .any(|process| process.object == service.as_str()))
    }

    fn processes(&self, node: &NodeName) -> Result<Vec<Process>, ExecError> {
        let output = self.read(&["daemon", "ps", "--node", node.as_str(), "-o", "json"])?;
        let processes: Option<Vec<Process>> = answer(output)?;
        Ok(processes.unwrap_or_default())
    }
}

/// Accepted exactly when one item has the node's name and our session id.
pub(crate) fn acceptance(items: &[Item], run: &RunRequest<'_>) -> Run {
    let own: Vec<_> = items
        .iter()
        .filter(|item| item.nodename == run.node.as_str())
        .collect();
    match own.as_slice() {
        [
            Item {
                data: Some(data), ..
            },
        ] if data.session_id == run.session => Run::Accepted,
        [
            Item {
                data: Some(data), ..
            },
        ] => Run::Unknown(format!(
            "om ran the task under session {} instead of ours",
            data.session_id
        )),
        [Item { data: None, .. }] => Run::Unknown("the node did not answer".to_owned()),
        [] => Run::Rejected("om did not run the task on this node".to_owned()),
        _ => Run::Unknown("om answered for the node more than once".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(fixture: &str, session: &str) -> Run {
        let path = format!(
            "{}/../tests/fixtures/om3/{fixture}.out",
            env!("CARGO_MANIFEST_DIR")
        );
        let items: Vec<Item> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let (service, node) = (ServiceName::new("t1").unwrap(), "tch-001".parse().unwrap());
        let session = session.parse().unwrap();
        let wait = Duration::from_secs(20);
        acceptance(
            &items,
            &RunRequest {
                service: &service,
                rid: "task#create",
                node: &node,
                session,
                wait,
            },
        )
    }

    #[test]
    fn a_run_under_our_session_is_accepted() {
        assert_eq!(
            judge("run-session-id", "11111111-2222-4333-8444-555555555555"),
            Run::Accepted
        );
    }

    #[test]
    fn another_session_or_a_node_that_did_not_answer_is_doubt() {
        let ours = "11111111-2222-4333-8444-555555555555";
        assert!(matches!(judge("run-ok-wait", ours), Run::Unknown(_)));
        assert!(matches!(judge("run-just-cut", ours), Run::Unknown(_)));
    }
}
