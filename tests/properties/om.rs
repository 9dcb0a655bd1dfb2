//! The JSON of `om`, compared with a second reader that uses the plain tree. No node is called
//! healthy, no task accepted and no exit code recorded unless the answer contains it.

use std::time::Duration;

use hps_core::names::NodeName;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::common::said_well;
use crate::model::node::{Health, Node};
use crate::om::service::ServiceName;
use crate::om::task::{Run, RunRequest};
use crate::om::{instance, node, task};

/// The node, task and session of the queries, as in the recorded answers.
const NODE: &str = "tch-001";
const RID: &str = "task#create";
const SESSION: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);

/// Every answer that a decision depends on, read from the same bytes.
pub fn om_json(bytes: &[u8]) {
    cluster(bytes);
    let asked: NodeName = NODE.parse().unwrap();
    both(bytes, |list: instance::List, tree| {
        assert!(!instance::is_on(&list, &asked) || some(items(tree), has_status));
    });
    both(bytes, |instances: Vec<instance::Instance>, tree| {
        let found = instance::exit_of(instances, RID, SESSION);
        assert_eq!(found.map(i64::from), recorded(tree));
    });
    both(bytes, |items: Vec<task::Item>, tree| {
        let request = RunRequest {
            service: &ServiceName::new("t1").unwrap(),
            rid: RID,
            node: &asked,
            session: SESSION,
            wait: Duration::from_secs(1),
        };
        let run = task::acceptance(&items, &request);
        assert_eq!(run == Run::Accepted, is_taken(tree));
        if let Run::Rejected(_) = run {
            assert!(!some(Some(tree), |item| at(item, "nodename", 0)
                .is_some_and(|n| n == NODE)));
        }
    });
}

fn cluster(bytes: &[u8]) {
    let configured = ["tch-002", NODE, "ips"].map(str::to_owned);
    both(bytes, |status: node::Status, tree| {
        match node::cluster(&configured, status) {
            Ok(cluster) => {
                let names: Vec<_> = cluster
                    .nodes
                    .iter()
                    .map(|node| node.name.as_str())
                    .collect();
                assert_eq!(names, ["ips", NODE, "tch-002"]);
                for node in &cluster.nodes {
                    assert_eq!(
                        node.health == Health::Healthy,
                        is_healthy(tree, node),
                        "{node:?}"
                    );
                }
            }
            Err(what) => said_well(&what),
        }
    });
}

/// Calls `check` if the bytes have this form, with their plain tree.
fn both<T: DeserializeOwned>(bytes: &[u8], check: impl FnOnce(T, &Value)) {
    // The plain tree refuses numbers and depths that a skipped member may have.
    if let (Ok(typed), Ok(tree)) = (serde_json::from_slice(bytes), serde_json::from_slice(bytes)) {
        check(typed, &tree);
    }
}

/// A member by its name; serde also accepts an array for an object, members by position.
fn at<'a>(value: &'a Value, name: &str, position: usize) -> Option<&'a Value> {
    let found = value.get(name).or_else(|| value.get(position));
    found.filter(|found| !found.is_null())
}

fn some(list: Option<&Value>, which: impl Fn(&Value) -> bool) -> bool {
    list.and_then(Value::as_array)
        .is_some_and(|list| list.iter().any(which))
}

fn items(list: &Value) -> Option<&Value> {
    at(list, "items", 0)
}

fn has_status(item: &Value) -> bool {
    let (data, meta) = (at(item, "data", 0), at(item, "meta", 1));
    let node = meta.and_then(|meta| at(meta, "node", 0));
    node.is_some_and(|node| node == NODE)
        && data.is_some_and(|data| at(data, "status", 0).is_some())
}

fn is_session(value: Option<&Value>) -> bool {
    let uuid = value.and_then(Value::as_str).map(Uuid::parse_str);
    uuid.is_some_and(|uuid| uuid == Ok(SESSION))
}

fn recorded(instances: &Value) -> Option<i64> {
    let resources = at(at(instances.get(0)?, "status", 0)?, "resources", 0)?;
    let info = at(resources.get(RID)?, "info", 0)?;
    is_session(at(info, "last_run_session_id", 0))
        .then(|| at(info, "last_run_exitcode", 1)?.as_i64())
        .flatten()
}

fn is_taken(items: &Value) -> bool {
    let of_node = |item: &&Value| at(item, "nodename", 0).is_some_and(|name| name == NODE);
    let own: Vec<_> = items
        .as_array()
        .into_iter()
        .flatten()
        .filter(of_node)
        .collect();
    let session = |item: &Value| at(at(item, "data", 1)?, "session_id", 0).cloned();
    own.len() == 1 && is_session(session(own[0]).as_ref())
}

fn is_healthy(tree: &Value, node: &Node) -> bool {
    let said = || {
        let nodes = at(at(tree, "cluster", 0)?, "node", 0)?;
        let entry = nodes.get(node.name.as_str())?;
        let status = at(entry, "status", 1)?;
        let frozen_at = at(status, "frozen_at", 1)
            .and_then(Value::as_str)
            .unwrap_or_default();
        let idle = at(at(entry, "monitor", 0)?, "state", 0)? == "idle";
        let alive = !at(status, "gen", 0)?.as_object()?.is_empty();
        Some(idle && alive && ["", "0001-01-01T00:00:00Z"].contains(&frozen_at))
    };
    said().unwrap_or(false)
}
