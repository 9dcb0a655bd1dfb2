//! Engine `local`: the verbs run on this very machine, as children. No cluster is needed.
//! A child holds the VM's lock, so with the lock in hand nothing of an earlier process runs.

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hps_core::exec::{Command, ExecError};
use hps_core::identity;
use hps_core::names::NodeName;
use hps_core::report::{DomainReport, Inventory};
use serde::Deserialize;

use super::{
    Carrier, Detail, Earlier, Ended, Engine, Health, Inventoried, Node, Say, Unanswered, Uncleaned,
    Unprepared,
};
use crate::operation::job::{Job, Past};
use crate::operation::lock::VmLock;
use crate::operation::token::Token;

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
    fn nodes(&self) -> Result<Vec<Node>, Unanswered> {
        Ok(vec![Node {
            name: self.node.clone(),
            health: Health::Healthy,
            labels: Vec::new(),
            load_15m: load_15m(),
            memory_mb: memory_mb(),
        }])
    }

    fn is_host(&self, _: &NodeName) -> bool {
        true
    }

    fn addresses(&self, _: &NodeName) -> Option<Vec<IpAddr>> {
        None
    }

    fn prepare(&self, _: &Job, _: Say<'_>) -> Result<(), Unprepared> {
        Ok(())
    }

    fn run(&self, job: &Job, lock: &VmLock, _: Say<'_>) -> Ended {
        let limit = self.verb_timeout + job.options.extra_time() + self.margin;
        let mut child = Command::new("n_vm", limit)
            .args([job.verb.as_str()])
            .args(job.arguments())
            .env("N_VM_IPS", &self.ips)
            .inherit(lock.file())
            .left_alone_on(self.stop);
        for (key, value) in job.environment() {
            child = child.env(key, value);
        }
        match child.run() {
            Ok(output) => Ended::Exited(output.code, last_line(&output.stderr)),
            Err(ExecError::LeftAlone { .. }) => Ended::StoppedWaiting,
            Err(error @ ExecError::NotStarted { .. }) => Ended::NotStarted(chain(&error)),
            Err(error) => Ended::Unknown(chain(&error)),
        }
    }

    fn earlier(&self, _: &Past) -> Earlier {
        Earlier::Over
    }

    fn wait(&self, _: &Past, _: Say<'_>) -> Ended {
        Ended::Unknown("nothing of it runs any more".to_owned())
    }

    fn clean(&self, _: &Past) -> Result<(), Uncleaned> {
        Ok(())
    }

    fn carriers(&self) -> Result<Vec<Carrier>, Unanswered> {
        Ok(Vec::new())
    }

    fn remove_carrier(&self, _: &Carrier) -> Result<(), Uncleaned> {
        Ok(())
    }

    fn inventory(
        &self,
        node: &NodeName,
        _: &Token,
        detail: Detail,
    ) -> Result<Inventoried, Unanswered> {
        if *node != self.node {
            return Err(Unanswered(format!(
                "engine local knows the node {} only",
                self.node
            )));
        }
        let failed = |error: ExecError| Unanswered(chain(&error));
        if detail == Detail::Definitions {
            return self.defined().map(Inventoried::Here).map_err(failed);
        }
        let domains = listed(self.verb_timeout, self.stop).map_err(failed)?;
        Ok(Inventoried::Here(Inventory {
            node: node.clone(),
            boot_id: boot_id()
                .ok_or_else(|| Unanswered("this kernel has no boot id".to_owned()))?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cpus: std::thread::available_parallelism()
                .map_or(0, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
            memory_mb: memory_mb().unwrap_or(0),
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
struct Listed {
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
    let listed: Vec<Listed> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    listed.into_iter().map(domain).collect()
}

fn domain(listed: Listed) -> Result<DomainReport, String> {
    let uuid =
        identity::hyphenated(&listed.uuid).ok_or_else(|| format!("no UUID: {:?}", listed.uuid))?;
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

fn last_line(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    text.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .map(hps_core::kv::one_line)
}

fn chain(error: &dyn std::error::Error) -> String {
    crate::error::chain(error)
}

fn boot_id() -> Option<uuid::Uuid> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    identity::hyphenated(text.trim())
}

/// `0.20 0.18 0.12 1/80 11206`: the third number.
fn load_15m() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg")
        .ok()?
        .split(' ')
        .nth(2)?
        .parse()
        .ok()
}

/// `MemTotal:       24689764 kB`
fn memory_mb() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text
        .lines()
        .next()?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hps_core::state::VmState;

    #[test]
    fn the_list_of_n_vm_is_read() {
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
    fn an_answer_that_is_no_list_is_no_empty_list() {
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
