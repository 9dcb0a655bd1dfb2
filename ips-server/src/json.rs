//! The JSON of VMs, operations and nodes, the same for `--json` and `/v1` (design:
//! contract 2, JSON): snake_case, RFC 3339 UTC, absent is null. Field names are its keys.

use std::collections::BTreeMap;
use std::time::Duration;

use hps_core::names::{NodeName, VmId};
use serde::Serialize;

use crate::model::node::Node;
use crate::model::node::NodeRecord;
use crate::model::operation::Operation;
use crate::model::time::Timestamp;
use crate::model::vm::Vm;
use crate::registry::{Registry, RegistryError};

/// A VM.
#[derive(Debug, Serialize)]
pub struct VmJson<'a> {
    pub(crate) vm_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uuid: String,
    pub(crate) node: Option<&'a str>,
    pub(crate) state: &'static str,
    pub(crate) seen_at: Option<Timestamp>,
    pub(crate) desired: &'static str,
    pub(crate) vcpus: u32,
    pub(crate) memory_mb: u32,
    pub(crate) title: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) disks: Vec<DiskJson<'a>>,
    pub(crate) networks: Vec<NetworkJson<'a>>,
}

/// A disk of a VM.
#[derive(Debug, Serialize)]
pub struct DiskJson<'a> {
    pub(crate) a: &'a str,
    pub(crate) b: Option<&'a str>,
}

/// A network of a VM.
#[derive(Debug, Serialize)]
pub struct NetworkJson<'a> {
    pub(crate) vni: u32,
    pub(crate) bridge: &'a str,
}

/// An operation.
#[derive(Debug, Serialize)]
pub struct OperationJson<'a> {
    pub(crate) operation: String,
    pub(crate) vm_id: Option<&'a str>,
    pub(crate) verb: &'a str,
    pub(crate) node: Option<&'a str>,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) exit_code: Option<u8>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) steps: Vec<StepJson<'a>>,
}

/// A step of an operation.
#[derive(Debug, Serialize)]
pub struct StepJson<'a> {
    pub(crate) step: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) result: &'a str,
}

/// A node. The server does not ask the cluster, so its health is null there.
#[derive(Debug, Serialize)]
pub struct NodeJson<'a> {
    pub(crate) node: &'a str,
    pub(crate) health: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) labels: BTreeMap<&'a str, &'a str>,
    pub(crate) load_15m: Option<f64>,
    pub(crate) memory_mb: Option<u64>,
    pub(crate) version: Option<&'a str>,
    pub(crate) boot_id: Option<String>,
}

/// One JSON array of the VMs that are wanted, by vm_id. Each is written as it is read, so
/// that a large registry is never completely in memory.
///
/// # Errors
/// The registry cannot be read.
pub fn vms_json(
    registry: &Registry,
    stale_after: Duration,
    wants: impl Fn(&Vm) -> bool,
) -> Result<Vec<u8>, RegistryError> {
    let mut json = vec![b'['];
    registry.each_vm(|vm| {
        if wants(&vm) {
            if json.len() > 1 {
                json.push(b',');
            }
            // Serializing our own types into a Vec does not fail.
            let _ = serde_json::to_writer(&mut json, &VmJson::of(&vm, stale_after));
        }
    })?;
    json.push(b']');
    Ok(json)
}

impl<'a> VmJson<'a> {
    /// The JSON of a VM; a state older than `stale_after` is unknown.
    #[must_use]
    pub fn of(vm: &'a Vm, stale_after: Duration) -> Self {
        let config = &vm.config;
        Self {
            vm_id: vm.id.as_str(),
            name: config.name.as_str(),
            uuid: vm.uuid.to_string(),
            node: vm.owner.as_ref().map(NodeName::as_str),
            state: vm.shown_state(stale_after).as_str(),
            seen_at: vm.seen_at,
            desired: vm.desired.as_str(),
            vcpus: config.vcpus.get(),
            memory_mb: config.memory.get(),
            title: config.title.as_ref().map(hps_core::names::Text::as_str),
            description: config
                .description
                .as_ref()
                .map(hps_core::names::Text::as_str),
            disks: config
                .disks
                .iter()
                .map(|disk| DiskJson {
                    a: disk.a.as_str(),
                    b: disk.b.as_ref().map(hps_core::names::DiskPath::as_str),
                })
                .collect(),
            networks: config
                .networks
                .iter()
                .map(|network| NetworkJson {
                    vni: network.vni.get(),
                    bridge: network.bridge.as_str(),
                })
                .collect(),
        }
    }
}

impl<'a> OperationJson<'a> {
    /// The JSON of an operation.
    #[must_use]
    pub fn of(operation: &'a Operation) -> Self {
        let ended = operation.end.as_ref();
        Self {
            operation: operation.id.to_string(),
            vm_id: operation.vm.as_ref().map(VmId::as_str),
            verb: operation.verb.as_str(),
            node: operation.node().map(NodeName::as_str),
            started_at: operation.started_at,
            ended_at: ended.map(|end| end.at),
            exit_code: ended.map(|end| end.exit_code),
            reason: ended.map(|end| end.reason.as_str()),
            steps: operation
                .log
                .iter()
                .map(|step| StepJson {
                    step: &step.step,
                    at: step.at,
                    result: &step.result,
                })
                .collect(),
        }
    }
}

impl<'a> NodeJson<'a> {
    /// The JSON of a node of the cluster, with what it has reported.
    #[must_use]
    pub fn of(node: &'a Node, records: &'a [NodeRecord]) -> Self {
        let record = records.iter().find(|record| record.name == node.name);
        Self {
            node: node.name.as_str(),
            health: Some(node.health.as_str()),
            reason: node.health.reason(),
            labels: node
                .labels
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            load_15m: node.load_15m,
            memory_mb: node.memory_mb,
            version: record.and_then(|record| record.version.as_deref()),
            boot_id: record
                .and_then(|record| record.boot_id)
                .map(|id| id.to_string()),
        }
    }

    /// The JSON of what a node has reported.
    #[must_use]
    pub fn reported(record: &'a NodeRecord) -> Self {
        Self {
            node: record.name.as_str(),
            health: None,
            reason: None,
            labels: BTreeMap::new(),
            load_15m: None,
            memory_mb: record.memory_mb,
            version: record.version.as_deref(),
            boot_id: record.boot_id.map(|id| id.to_string()),
        }
    }
}
