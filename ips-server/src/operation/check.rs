//! The check of a node before an operation on it: contract 3's exit codes 2, 3 and 4.

use std::sync::atomic::{AtomicBool, Ordering};

use hps_core::names::NodeName;

use super::error::Error;
use crate::engine::Engine;
use crate::model::node::Health;

/// Checks that a verb may be sent to this node.
///
/// # Errors
/// It may not, with exit code 2, 3 or 4, or the user interrupted.
pub fn check_node(engine: &dyn Engine, node: &NodeName, stop: &AtomicBool) -> Result<(), Error> {
    let nodes = engine.nodes().map_err(|answer| {
        if stop.load(Ordering::Relaxed) {
            return Error::Interrupted;
        }
        Error::Validate {
            node: node.clone(),
            answer,
        }
    })?;
    let found = nodes.into_iter().find(|known| known.name == *node);
    let node = node.clone();
    match found.map_or(Health::NotInCluster, |known| known.health) {
        Health::Healthy => Ok(()),
        Health::NotInCluster => Err(Error::NotInCluster(node)),
        Health::NotReachable(why) => Err(Error::NotReachable { node, why }),
        Health::Frozen(why) => Err(Error::Frozen { node, why }),
    }
}
