//! Asking nodes for their domains, outside of any operation: reads take no lock.

use hps_core::names::NodeName;
use hps_core::report::Inventory;
use hps_core::state::VmState;

use super::error::Error;
use crate::engine::{Detail, Engine, InventoryAnswer, NoAnswer};
use crate::model::node::Node;
use crate::model::token::Token;
use crate::model::vm::Vm;
use crate::registry::Registry;

/// The state of the VM's domain on the node, by the node's own answer now.
///
/// # Errors
/// The node did not answer.
pub fn see(
    registry: &mut Registry,
    engine: &dyn Engine,
    vm: &Vm,
    node: &NodeName,
) -> Result<VmState, Error> {
    let inventory = ask(registry, engine, node, Detail::States)?;
    let found = inventory
        .domains
        .iter()
        .find(|domain| domain.uuid == vm.uuid);
    Ok(found.map_or(VmState::Absent, |domain| domain.state))
}

/// Asks a node for its domains and records them.
///
/// # Errors
/// The node did not answer, or the answer could not be recorded.
pub fn refresh(registry: &mut Registry, engine: &dyn Engine, node: &NodeName) -> Result<(), Error> {
    ask(registry, engine, node, Detail::States).map(drop)
}

/// Asks a node for its domains and their definitions; records only the states.
///
/// # Errors
/// As [`refresh`].
pub fn definitions(
    registry: &mut Registry,
    engine: &dyn Engine,
    node: &NodeName,
) -> Result<Inventory, Error> {
    let inventory = ask(registry, engine, node, Detail::Definitions)?;
    let domains = &inventory.domains;
    let has_definitions = domains.iter().any(|domain| domain.definition.is_some());
    if has_definitions || !domains.iter().any(|domain| domain.state.is_there()) {
        return Ok(inventory);
    }
    Err(unknown(
        node,
        "it reported no definitions of its domains; its n_vm may be older than this o_vm",
    ))
}

fn ask(
    registry: &mut Registry,
    engine: &dyn Engine,
    node: &NodeName,
    detail: Detail,
) -> Result<Inventory, Error> {
    let token = Token::new().map_err(Error::Token)?;
    let epoch = registry.grant_inventory(node, token.hash())?;
    let answer = match engine.inventory(node, &token, detail) {
        Ok(InventoryAnswer::Here(inventory)) => registry
            .record_inventory(&inventory, epoch)
            .map(|()| Some(inventory))
            .map_err(Error::Registry),
        Ok(InventoryAnswer::Reported) => registry
            .kept_inventory(token.hash())
            .map_err(Error::Registry),
        Err(answer) => Err(Error::StateUnknown {
            node: node.clone(),
            answer,
        }),
    };
    let revoked = registry.revoke(token.hash());
    let inventory = answer?;
    revoked?;
    inventory.ok_or_else(|| unknown(node, "its report did not arrive"))
}

fn unknown(node: &NodeName, why: &str) -> Error {
    Error::StateUnknown {
        node: node.clone(),
        answer: NoAnswer(why.to_owned()),
    }
}

/// The nodes that may have VMs: hosts, and nodes that own one.
///
/// # Errors
/// The cluster did not answer.
pub fn hosts(registry: &Registry, engine: &dyn Engine) -> Result<Vec<Node>, Error> {
    let owners = registry.owners()?;
    let mut nodes = engine.nodes().map_err(Error::Cluster)?;
    nodes.retain(|node| owners.contains(&node.name) || engine.is_host(&node.name));
    Ok(nodes)
}
