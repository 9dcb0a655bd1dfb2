//! Engine `local`: the verbs run on this very machine, as children. No cluster is needed.
//! A child holds the VM's lock, so with the lock in hand nothing of an earlier process runs.

use std::fs::File;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hps_core::exec::{Command, ExecError};
use hps_core::identity;
use hps_core::kv;
use hps_core::names::NodeName;
use hps_core::proc;
use hps_core::report::{DomainReport, Inventory};
use serde::Deserialize;

use super::{
    CleanupError, Detail, Engine, InventoryAnswer, NoAnswer, OnStep, PrepareError, RunOutcome,
    TaskStatus,
};
use crate::error::chain;
use crate::model::node::{Health, Node};
use crate::model::task::{Task, TaskRef};
use crate::model::token::Token;

/// The machine itself as the only node.
#[derive(Debug)]
pub struct Local<'a> {
    /// The only node there is.
    pub node: NodeName,
    /// `N_VM_IPS` of the child: where it fetches the config and reports.
    pub ips: String,
    /// How long a verb may take.
    pub verb_timeout: Duration,
    /// How much longer than that its child may live.
    pub margin: Duration,
    /// Raised when the user stops waiting.
    pub stop: &'a AtomicBool,
}

impl Engine for Local<'_> {
    fn nodes(&self) -> Result<Vec<Node>, NoAnswer> {
        Ok(vec![Node {
            name: self.node.clone(),
            health: Health::Healthy,
            labels: Vec::new(),
            load_15m: proc::load_15m(),
            memory_mb: proc::memory_mb(),
        }])
    }

    fn is_host(&self, _: &NodeName) -> bool {
        true
    }

    fn addresses(&self, _: &NodeName) -> Option<Vec<IpAddr>> {
        None
    }

    fn prepare(&self, _: &Task, _: OnStep<'_>) -> Result<(), PrepareError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(PrepareError::Interrupted);
        }
        Ok(())
    }

    fn run(&self, task: &Task, lock: &File, _: OnStep<'_>) -> RunOutcome {
        let limit = self.verb_timeout + task.options.extra_time() + self.margin;
        let mut child = Command::new("n_vm", limit)
            .args(task.words())
            .env("N_VM_IPS", &self.ips)
            .inherit(lock)
            .left_alone_on(self.stop);
        for (key, value) in task.environment() {
            child = child.env(key, value);
        }
        match child.run() {
            Ok(output) => RunOutcome::Exited(output.code, reason(&output.stderr, task)),
            Err(ExecError::LeftAlone { .. }) => RunOutcome::StoppedWaiting,
            Err(error @ ExecError::NotStarted { .. }) => RunOutcome::NotStarted(chain(&error)),
            Err(error) => RunOutcome::Unknown(chain(&error)),
        }
    }

    /// A child holds the VM's lock, so a caller that holds it knows that nothing runs.
    fn status(&self, _: &TaskRef) -> TaskStatus {
        TaskStatus::Over
    }

    fn wait(&self, _: &TaskRef, _: OnStep<'_>) -> RunOutcome {
        RunOutcome::Unknown("its process no longer runs".to_owned())
    }

    fn clean(&self, _: &TaskRef) -> Result<(), CleanupError> {
        Ok(())
    }

    fn service_of(&self, task: &TaskRef) -> String {
        format!("{}-{}", task.verb, task.subject)
    }

    fn task_services(&self) -> Result<Vec<String>, NoAnswer> {
        Ok(Vec::new())
    }

    fn remove_task_service(&self, _: &str) -> Result<(), CleanupError> {
        Ok(())
    }

    fn inventory(
        &self,
        node: &NodeName,
        _: &Token,
        detail: Detail,
    ) -> Result<InventoryAnswer, NoAnswer> {
        if *node != self.node {
            return Err(NoAnswer(format!(
                "engine local has the node {} only",
                self.node
            )));
        }
        let failed = |error: ExecError| NoAnswer(chain(&error));
        if detail == Detail::Definitions {
            return self.defined().map(InventoryAnswer::Here).map_err(failed);
        }
        let domains = listed(self.verb_timeout, self.stop).map_err(failed)?;
        Ok(InventoryAnswer::Here(Inventory {
            node: node.clone(),
            boot_id: proc::boot_id().map_err(|error| NoAnswer(chain(&error)))?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cpus: proc::cpus().unwrap_or(0),
            memory_mb: proc::memory_mb().unwrap_or(0),
            domains,
        }))
    }
}

impl Local<'_> {
    fn defined(&self) -> Result<Inventory, ExecError> {
        let output = Command::new("n_vm", self.verb_timeout)
            .args(["list", "--definitions"])
            .env("N_VM_NODE", self.node.as_str())
            .interrupted_by(self.stop)
            .run()?
            .success()?;
        Inventory::parse(&output.stdout).map_err(|error| output.nonsense(error.to_string()))
    }
}

/// One domain of `n_vm list --json`.
#[derive(Deserialize)]
struct ListEntry {
    name: String,
    uuid: String,
    state: String,
    vcpus: Option<u32>,
    memory_mb: Option<u64>,
    vnc: Option<String>,
}

fn listed(limit: Duration, stop: &AtomicBool) -> Result<Vec<DomainReport>, ExecError> {
    let output = Command::new("n_vm", limit)
        .args(["list", "--json"])
        .interrupted_by(stop)
        .run()?
        .success()?;
    match parse_list(&output.stdout) {
        Ok(domains) => Ok(domains),
        Err(what) => Err(output.nonsense(what)),
    }
}

fn parse_list(json: &[u8]) -> Result<Vec<DomainReport>, String> {
    let listed: Vec<ListEntry> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    listed.into_iter().map(domain).collect()
}

fn domain(listed: ListEntry) -> Result<DomainReport, String> {
    let uuid = identity::hyphenated(&listed.uuid)
        .ok_or_else(|| format!("not a UUID: {:?}", listed.uuid))?;
    let state = listed
        .state
        .parse()
        .map_err(|error: hps_core::state::NoSuchState| error.to_string())?;
    Ok(DomainReport {
        name: listed.name,
        uuid,
        state,
        vcpus: listed.vcpus.unwrap_or(0),
        memory_mb: listed.memory_mb.unwrap_or(0),
        vnc: listed.vnc,
        definition: None,
    })
}

/// The node's own reason: `n_vm` prints it as `n_vm: VERB VM: reason`, and may print
/// warnings behind it. Where no line has that form, the last line that is not a warning.
fn reason(stderr: &[u8], task: &Task) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim().trim_start_matches("n_vm: "))
        .filter(|line| !line.is_empty())
        .collect();
    let marks =
        [task.vm.as_str(), task.name.as_str()].map(|vm| format!("{} {vm}: ", task.spec.name));
    let result = lines.iter().rev().find_map(|line| {
        marks
            .iter()
            .find_map(|mark| line.strip_prefix(mark.as_str()))
    });
    let is_log = |line: &str| line.starts_with("warning: ") || line.starts_with("debug: ");
    result
        .or_else(|| lines.iter().rev().copied().find(|line| !is_log(line)))
        .map(kv::one_line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hps_core::state::VmState;

    #[test]
    fn the_list_of_n_vm_is_parsed() {
        let json =
            br#"[{"name":"web","uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","state":"running",
            "vcpus":2,"memory_mb":512,"vnc":null}]"#;
        let domains = parse_list(json).unwrap();
        assert_eq!(
            (domains[0].name.as_str(), domains[0].state),
            ("web", VmState::Running)
        );
    }

    #[test]
    fn an_answer_that_is_not_a_list_is_an_error() {
        for bad in [
            "",
            "{}",
            "[{}]",
            r#"[{"name":"a","uuid":"b","state":"running"}]"#,
        ] {
            assert!(parse_list(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
