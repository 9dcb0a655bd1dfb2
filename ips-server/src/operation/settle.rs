//! Ends operations: the one at hand, and those whose process died. Believes only
//! evidence: a recorded exit code, a node's report, or a look at the node once nothing
//! of the operation runs.

use hps_core::names::{NodeName, VmId};
use hps_core::report::Inventory;
use hps_core::state::VmState;
use hps_core::verb::Verb;
use uuid::Uuid;

use super::token::Token;
use super::verdict::Facts;
use super::{Conclusion, Request, observe};
use crate::engine::{Detail, Earlier, Ended, Engine, Inventoried, Node};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::registry::Registry;
use crate::registry::journal::Ending;
use crate::registry::operations::Operation;

/// What an earlier process left of a VM's operations.
#[derive(Debug)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// The very same operation, not started yet: to be continued.
    Same(Operation),
    /// It has ended, and is recorded now.
    Ended(Conclusion),
    /// The very same operation, and its verb still runs.
    Runs(Operation),
    /// The very same destroy, and the VM is gone: there is nothing to do again.
    Gone(Conclusion),
}

/// How an open operation stands, and what was done about it.
#[derive(Debug)]
pub enum Settled {
    /// It ended, and that is recorded.
    Ended(Conclusion),
    /// Its result was lost; what the node has decided it, and that is recorded.
    Looked(Conclusion),
    /// Its verb still runs.
    Runs,
    /// Nobody can say.
    Doubt(String),
}

/// Settles what an earlier process left open, so far as that can be decided.
///
/// # Errors
/// The request is refused: something else runs, or nobody can say whether it does.
pub fn leftovers(
    registry: &mut Registry,
    engine: &dyn Engine,
    request: &Request,
) -> Result<Left, Conclusion> {
    let failed = |error| Conclusion::refused(Exit::Parameters, chain(&error));
    let Some(open) = registry.open_operation(&request.vm).map_err(failed)? else {
        return Ok(Left::Nothing);
    };
    let same = request.is_same(&open);
    if same && !open.was_started() {
        return Ok(Left::Same(open));
    }
    let named = format!(
        "operation {} ({} on {})",
        open.operation, open.verb, open.node
    );
    match settle(registry, engine, &open) {
        Settled::Ended(conclusion) | Settled::Looked(conclusion)
            if same && request.verb == Verb::Destroy =>
        {
            let vm = registry.vm(&request.vm).map_err(failed)?;
            let gone = vm.is_some_and(|vm| vm.owner.is_none());
            Ok(if gone {
                Left::Gone(conclusion)
            } else {
                Left::Ended(conclusion)
            })
        }
        Settled::Ended(conclusion) | Settled::Looked(conclusion) => Ok(Left::Ended(conclusion)),
        Settled::Runs if same => Ok(Left::Runs(open)),
        Settled::Runs => Err(Conclusion::refused(
            Exit::Refused,
            format!("{named} still runs"),
        )),
        Settled::Doubt(why) => Err(Conclusion::refused(
            Exit::Refused,
            format!("{named} is open, and nobody can say how it stands: {why}"),
        )),
    }
}

/// Ends an open operation whose process is gone, if that can be decided. The caller
/// holds the VM's lock.
pub fn settle(registry: &mut Registry, engine: &dyn Engine, open: &Operation) -> Settled {
    let ended = match engine.earlier(&open.past()) {
        Earlier::Running => return Settled::Runs,
        Earlier::Unknown(why) => return Settled::Doubt(why),
        Earlier::Exited(code) => Ended::Exited(code, None),
        Earlier::Over => Ended::Unknown("its process ended without a result".to_owned()),
    };
    let verdict = facts(open, &ended).verdict();
    if verdict.code == Exit::Unknown {
        return settle_by_look(registry, engine, open);
    }
    let ending = Ending {
        exit_code: verdict.code.code(),
        reason: verdict.reason,
        ends_claim: verdict.ends_claim,
        state: verdict.state,
        desired: verdict.desired,
    };
    Settled::Ended(close(registry, engine, open, ending))
}

/// Nothing of it runs, and its result is lost or was doubt: the node's domains decide.
fn settle_by_look(registry: &mut Registry, engine: &dyn Engine, open: &Operation) -> Settled {
    match see(registry, engine, &open.vm, &open.node) {
        Ok(VmState::Unknown) => Settled::Doubt(format!(
            "{} cannot tell its state, or something still works on it there",
            open.node
        )),
        Ok(seen) => Settled::Looked(close(
            registry,
            engine,
            open,
            observe::ending(open.verb, seen),
        )),
        Err(why) => Settled::Doubt(why),
    }
}

/// The state of the VM's domain on the node, by that node's own answer.
///
/// # Errors
/// Why nobody could say.
pub fn see(
    registry: &mut Registry,
    engine: &dyn Engine,
    vm: &VmId,
    node: &NodeName,
) -> Result<VmState, String> {
    let known = registry.vm(vm).map_err(|error| chain(&error))?;
    let uuid = known
        .map(|vm| vm.uuid)
        .ok_or_else(|| format!("{vm} is not defined any more"))?;
    let inventory = take(registry, engine, node, Detail::States)?;
    let found = (inventory.domains.iter()).find(|domain| domain.uuid == uuid);
    Ok(found.map_or(VmState::Absent, |domain| domain.state))
}

/// Asks a node for its domains and records them.
///
/// # Errors
/// Why nobody could say, or why it could not be recorded.
pub fn take_inventory(
    registry: &mut Registry,
    engine: &dyn Engine,
    node: &NodeName,
) -> Result<(), String> {
    take(registry, engine, node, Detail::States).map(drop)
}

/// Asks a node for its domains and what they are made of; records only the former.
///
/// # Errors
/// As [`take_inventory`].
pub fn take_definitions(
    registry: &mut Registry,
    engine: &dyn Engine,
    node: &NodeName,
) -> Result<Inventory, String> {
    let inventory = take(registry, engine, node, Detail::Definitions)?;
    let domains = &inventory.domains;
    let is_told = domains.iter().any(|domain| domain.definition.is_some());
    if is_told || !domains.iter().any(|domain| domain.state.is_there()) {
        return Ok(inventory);
    }
    Err(format!(
        "{node} did not say what its domains are made of: is its n_vm older than this?"
    ))
}

fn take(
    registry: &mut Registry,
    engine: &dyn Engine,
    node: &NodeName,
    detail: Detail,
) -> Result<Inventory, String> {
    let (token, said) = (Token::new(), |error| chain(&error));
    let asked = registry.grant_inventory(node, token.hash()).map_err(said)?;
    let answered = match engine.inventory(node, &token, detail) {
        Ok(Inventoried::Here(inventory)) => registry
            .record_inventory(&inventory, asked)
            .map(|()| Some(inventory))
            .map_err(said),
        Ok(Inventoried::Reported) => registry.kept_inventory(token.hash()).map_err(said),
        Err(error) => Err(chain(&error)),
    };
    let revoked = registry.revoke(token.hash()).map_err(said);
    let inventory = answered.and_then(|inventory| revoked.map(|()| inventory))?;
    inventory.ok_or_else(|| format!("what {node} reported did not arrive"))
}

/// The nodes that may have VMs: hosts, and whoever owns one.
///
/// # Errors
/// Why nobody could say.
pub fn hosts(registry: &Registry, engine: &dyn Engine) -> Result<Vec<Node>, String> {
    let owners = registry.owners().map_err(|error| chain(&error))?;
    let mut nodes = engine.nodes().map_err(|error| chain(&error))?;
    nodes.retain(|node| owners.contains(&node.name) || engine.is_host(&node.name));
    Ok(nodes)
}

/// Ends an operation by how the wait for it ended; where that is doubt, it stays open.
pub fn conclude(
    registry: &mut Registry,
    engine: &dyn Engine,
    operation: Uuid,
    ended: &Ended,
) -> Conclusion {
    let found = match registry.operation(operation) {
        Ok(Some(found)) => found,
        Ok(None) => return unrecorded(operation, "it is not in the journal any more"),
        Err(error) => return unrecorded(operation, &chain(&error)),
    };
    let verdict = facts(&found, ended).verdict();
    if matches!(verdict.code, Exit::Unknown | Exit::StoppedWaiting) {
        // The operation is open already; the step is for whoever asks why.
        let _ = registry.step(operation, "open", &verdict.reason);
        let message = format!(
            "{}; operation {operation} stays open, `o_vm operations --follow {operation}` follows it",
            verdict.reason
        );
        return Conclusion {
            code: verdict.code,
            message,
            operation: Some(operation),
        };
    }
    let ending = Ending {
        exit_code: verdict.code.code(),
        reason: verdict.reason,
        ends_claim: verdict.ends_claim,
        state: verdict.state,
        desired: verdict.desired,
    };
    close(registry, engine, &found, ending)
}

/// Cleans up and records the end.
pub fn close(
    registry: &mut Registry,
    engine: &dyn Engine,
    operation: &Operation,
    mut ending: Ending,
) -> Conclusion {
    if let Err(left) = engine.clean(&operation.past()) {
        ending.exit_code = uncleaned(ending.exit_code);
        ending.reason = format!("{}; and {}", ending.reason, chain(&left));
    }
    if let Err(error) = registry.finish(operation.operation, &ending) {
        return unrecorded(
            operation.operation,
            &format!("{}, but: {}", ending.reason, chain(&error)),
        );
    }
    Conclusion {
        code: Exit::from_code(ending.exit_code).unwrap_or(Exit::Unknown),
        message: ending.reason,
        operation: Some(operation.operation),
    }
}

/// The exit code that also says that the clean-up failed.
fn uncleaned(code: u8) -> u8 {
    match Exit::from_code(code) {
        Some(Exit::Success) => Exit::CreatedNotCleaned.code(),
        Some(Exit::ServiceNotCreated | Exit::InstanceTimeout | Exit::ExecutionFailed) => {
            Exit::FailedNotCleaned.code()
        }
        Some(_) | None => code,
    }
}

fn unrecorded(operation: Uuid, why: &str) -> Conclusion {
    Conclusion {
        code: Exit::Unknown,
        message: format!("the end of operation {operation} could not be recorded: {why}"),
        operation: Some(operation),
    }
}

fn facts<'a>(operation: &'a Operation, ended: &'a Ended) -> Facts<'a> {
    Facts {
        verb: operation.verb,
        options: &operation.options,
        ended,
        reported: operation.reported.as_ref(),
        fresh_claim: operation.has_fresh_claim(),
    }
}
