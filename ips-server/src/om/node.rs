//! `om node ls` and `om daemon status`: the nodes and their health.
//! `status.gen` alone does not say that a node is alive: a stopped daemon keeps its old
//! one for 90 s, so the monitor's state counts too.

use std::collections::{BTreeMap, HashMap};

use hps_core::exec::ExecError;
use hps_core::names::NodeName;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Om, answer};
use crate::model::node::{Health, Node};

/// Go's zero time: never frozen.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The cluster as the daemon of this node sees it.
#[derive(Debug)]
pub struct Cluster {
    /// This node's own name.
    pub own: NodeName,
    /// Every configured node, by name.
    pub nodes: Vec<Node>,
}

impl Om<'_> {
    /// All nodes with their health: one `om node ls` and one `om daemon status`, side by side.
    ///
    /// # Errors
    /// `om` gave no usable answer; the daemon of this node may be down.
    pub fn cluster(&self) -> Result<Cluster, ExecError> {
        let (configured, status) = std::thread::scope(|scope| {
            let configured = scope.spawn(|| self.read(&["node", "ls", "-o", "json"]));
            let status = self.read(&["daemon", "status", "-o", "jsonline"]);
            (configured.join(), status)
        });
        let configured = match configured {
            Ok(output) => answer::<Vec<String>>(output?)?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let output = status?;
        match serde_json::from_slice(&output.stdout) {
            Ok(status) if output.code == 0 => {
                cluster(&configured, status).map_err(|what| output.nonsense(what))
            }
            Ok(_) => Err(output.exited()),
            Err(_) if output.code != 0 => Err(output.exited()),
            Err(error) => Err(output.nonsense(error.to_string())),
        }
    }
}

/// The parts of `om daemon status` that count; serde skips the rest.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    cluster: ClusterStatus,
    daemon: Daemon,
}

#[derive(Debug, Deserialize)]
struct Daemon {
    nodename: String,
}

#[derive(Debug, Deserialize)]
struct ClusterStatus {
    #[serde(default)]
    node: HashMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    monitor: Option<Monitor>,
    status: Option<NodeStatus>,
    stats: Option<Stats>,
    config: Option<Config>,
}

#[derive(Debug, Deserialize)]
struct Monitor {
    state: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NodeStatus {
    r#gen: Option<HashMap<String, IgnoredAny>>,
    frozen_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Stats {
    load_15m: Option<f64>,
    mem_total: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Config {
    labels: Option<BTreeMap<String, String>>,
}

/// Joins the two answers.
pub(crate) fn cluster(configured: &[String], mut status: Status) -> Result<Cluster, String> {
    let parse = |name: &str| name.parse::<NodeName>().map_err(|error| error.to_string());
    let mut nodes = configured
        .iter()
        .map(|name| Ok(node(parse(name)?, status.cluster.node.remove(name))))
        .collect::<Result<Vec<_>, String>>()?;
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Cluster {
        own: parse(&status.daemon.nodename)?,
        nodes,
    })
}

fn node(name: NodeName, entry: Option<Entry>) -> Node {
    let health = health(entry.as_ref());
    let stats = entry.as_ref().and_then(|entry| entry.stats.as_ref());
    Node {
        name,
        health,
        load_15m: stats.and_then(|stats| stats.load_15m),
        memory_mb: stats.and_then(|stats| stats.mem_total),
        labels: entry
            .and_then(|entry| entry.config?.labels)
            .map(|labels| labels.into_iter().collect())
            .unwrap_or_default(),
    }
}

/// Healthy = entry present, `gen` not empty, monitor idle, not frozen.
fn health(entry: Option<&Entry>) -> Health {
    let Some(entry) = entry else {
        return Health::NotReachable("no heartbeat gen data: its daemon is not seen".to_owned());
    };
    let status = entry.status.as_ref();
    if status
        .and_then(|status| status.r#gen.as_ref())
        .is_none_or(HashMap::is_empty)
    {
        return Health::NotReachable("no heartbeat gen data".to_owned());
    }
    match entry
        .monitor
        .as_ref()
        .and_then(|monitor| monitor.state.as_deref())
    {
        Some("idle") => {}
        Some(state) => return Health::NotReachable(format!("its daemon is in state {state}")),
        None => return Health::NotReachable("its daemon reports no state".to_owned()),
    }
    match status.and_then(|status| status.frozen_at.as_deref()) {
        None | Some("" | NEVER) => Health::Healthy,
        Some(at) => Health::Frozen(format!("frozen_at: {at}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!(
            "{}/../tests/fixtures/om3/{name}.out",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
    }

    fn healths(name: &str) -> Vec<(String, Health)> {
        let configured = ["ips", "tch-001", "tch-002"].map(str::to_owned);
        let cluster =
            cluster(&configured, serde_json::from_slice(&fixture(name)).unwrap()).unwrap();
        cluster
            .nodes
            .into_iter()
            .map(|node| (node.name.to_string(), node.health))
            .collect()
    }

    fn tch_001(name: &str) -> Health {
        healths(name).swap_remove(1).1
    }

    #[test]
    fn a_healthy_cluster_is_healthy_in_both_forms() {
        for name in ["daemon-status-healthy", "daemon-status-jsonline"] {
            assert!(
                healths(name)
                    .iter()
                    .all(|(_, health)| *health == Health::Healthy),
                "{name}"
            );
        }
    }

    #[test]
    fn a_stopped_daemon_is_not_reachable_though_it_keeps_its_gen() {
        assert_eq!(
            tch_001("daemon-status-stopped"),
            Health::NotReachable("its daemon is in state maintenance".into())
        );
    }

    #[test]
    fn a_cut_node_is_not_reachable() {
        assert!(matches!(
            tch_001("daemon-status-cut"),
            Health::NotReachable(_)
        ));
    }

    #[test]
    fn a_frozen_node_has_the_time_of_the_freeze() {
        let Health::Frozen(why) = tch_001("daemon-status-frozen") else {
            panic!()
        };
        assert!(why.starts_with("frozen_at: 20"), "{why}");
    }
}
