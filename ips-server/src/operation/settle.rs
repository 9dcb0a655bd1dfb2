//! Ends steps and operations: those of this process, and those of a process that died. Only
//! evidence counts: a recorded exit code, a node's report, or an observation of the node once
//! nothing of the step runs.

use uuid::Uuid;

use super::error::Error;
use super::inventory::see;
use super::verdict::{Facts, Verdict};
use super::{CommandRequest, CommandResult, observe, plan, task_ref};
use crate::engine::{Engine, RunOutcome, TaskStatus};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::model::operation::{Completion, FollowUp, Operation};
use crate::model::step::{Recovery, Step};
use crate::model::verb::{Catalog, ClaimEffect, Spec};
use crate::registry::Registry;
use hps_core::state::VmState;

/// The open operation that an earlier process left on a VM.
#[derive(Debug)]
pub enum Leftover {
    /// Nothing.
    Nothing,
    /// The same operation, to be continued: its current step is not started.
    Same(Operation),
    /// The operation has ended now, and its end is recorded.
    Result(CommandResult),
    /// The same operation; its task still runs.
    Runs(Operation),
    /// The same operation has ended now, and the claim with it: there is nothing to do.
    Gone(CommandResult),
}

/// The state of an open operation, and what was done about it.
#[derive(Debug)]
pub enum Settlement {
    /// The operation has ended.
    Result(CommandResult),
    /// Its result was lost; it has ended by an observation of its node.
    Observation(CommandResult),
    /// Its current step ended; the next one is to be started.
    Continues,
    /// Its task still runs.
    Runs,
    /// Its state cannot be determined.
    Doubt(String),
}

/// The consequence of the end of a step for its operation.
#[derive(Debug)]
pub enum StepResult {
    /// The operation goes on with the next step.
    Continues,
    /// The operation has ended.
    Result(CommandResult),
    /// The step is in doubt: it and the operation stay open.
    Open(CommandResult),
}

/// Settles the open operation of an earlier process, where the evidence decides.
///
/// # Errors
/// The request is refused: something else runs, or its state cannot be determined.
pub fn leftovers(
    registry: &mut Registry,
    engine: &dyn Engine,
    catalog: Catalog,
    request: &CommandRequest,
) -> Result<Leftover, Error> {
    let Some(open) = registry.open_operation(&request.vm)? else {
        return Ok(Leftover::Nothing);
    };
    let same = request.is_same(&open);
    if same && !open.was_started() {
        return Ok(Leftover::Same(open));
    }
    let named = format!("operation {} ({})", open.id, open.describe());
    match settle(registry, engine, catalog, &open)? {
        Settlement::Result(result) | Settlement::Observation(result) => {
            let is_end = same && request.spec.claim == ClaimEffect::Ends;
            let gone = is_end
                && registry
                    .vm(&request.vm)?
                    .is_some_and(|vm| vm.owner.is_none());
            Ok(if gone {
                Leftover::Gone(result)
            } else {
                Leftover::Result(result)
            })
        }
        Settlement::Continues if same => {
            let open = registry.operation(open.id)?;
            Ok(open.map_or(Leftover::Nothing, Leftover::Same))
        }
        Settlement::Continues => Err(Error::Busy(format!(
            "{named} has open steps; the same command, or `o_vm sweep`, continues it"
        ))),
        Settlement::Runs if same => Ok(Leftover::Runs(open)),
        Settlement::Runs => Err(Error::Busy(format!("{named} still runs"))),
        Settlement::Doubt(why) => Err(Error::Busy(format!(
            "{named} is open; its state cannot be determined: {why}"
        ))),
    }
}

/// Settles the current step of an open operation whose process is gone, where the
/// evidence decides. The caller holds the VM's lock.
///
/// # Errors
/// The registry cannot be written, or the journal holds an unknown verb.
pub fn settle(
    registry: &mut Registry,
    engine: &dyn Engine,
    catalog: Catalog,
    open: &Operation,
) -> Result<Settlement, Error> {
    let Some(step) = open.current() else {
        return Ok(Settlement::Doubt("its plan has no open step".to_owned()));
    };
    let is_later = step.position > 1 && step.started_at.is_none();
    if is_later {
        return Ok(Settlement::Continues);
    }
    let spec = row(catalog, open, step)?;
    let outcome = match engine.status(&task_ref(open, step)) {
        TaskStatus::Running => return Ok(Settlement::Runs),
        TaskStatus::Unknown(why) => return Ok(Settlement::Doubt(why)),
        TaskStatus::Exited(code) => RunOutcome::Exited(code, None),
        TaskStatus::Over => RunOutcome::Unknown("its process ended without a result".to_owned()),
    };
    let verdict = facts(open, step, spec, &outcome).verdict();
    if verdict.code != Exit::Unknown {
        return Ok(
            match close(registry, engine, open, step, completion(verdict))? {
                StepResult::Continues => Settlement::Continues,
                StepResult::Result(result) | StepResult::Open(result) => Settlement::Result(result),
            },
        );
    }
    match step.plan.recovery {
        Recovery::Observe => settle_by_observation(registry, engine, open, step, spec),
        Recovery::Repeat => repeat(registry, engine, open, step),
    }
}

/// Nothing of the step runs, and its result is lost: it is safe to run again.
fn repeat(
    registry: &mut Registry,
    engine: &dyn Engine,
    open: &Operation,
    step: &Step,
) -> Result<Settlement, Error> {
    if let Err(error) = engine.clean(&task_ref(open, step)) {
        return Ok(Settlement::Doubt(chain(&error)));
    }
    registry.repeat_step(open.id, step.plan.session, Uuid::new_v4())?;
    Ok(Settlement::Continues)
}

/// Nothing of the step runs, and its result is lost: the node's domains decide.
fn settle_by_observation(
    registry: &mut Registry,
    engine: &dyn Engine,
    open: &Operation,
    step: &Step,
    spec: &'static Spec,
) -> Result<Settlement, Error> {
    let vm = match &open.vm {
        Some(vm) => registry.vm(vm)?,
        None => None,
    };
    let Some(vm) = vm else {
        return Ok(Settlement::Doubt("its VM is no longer defined".to_owned()));
    };
    match see(registry, engine, &vm, &step.plan.node) {
        Ok(VmState::Unknown) => Ok(Settlement::Doubt(format!(
            "{} cannot determine the state of the domain, or a verb still works on it",
            step.plan.node
        ))),
        Ok(seen) => {
            let completion = observe::completion(spec, seen);
            Ok(match close(registry, engine, open, step, completion)? {
                StepResult::Continues => Settlement::Continues,
                StepResult::Result(result) | StepResult::Open(result) => {
                    Settlement::Observation(result)
                }
            })
        }
        Err(error) => Ok(Settlement::Doubt(error.without_node())),
    }
}

/// Ends a step by how the wait for its task ended; in doubt it stays open.
///
/// # Errors
/// The registry cannot be read or written: the step stays open.
pub fn conclude(
    registry: &mut Registry,
    engine: &dyn Engine,
    catalog: Catalog,
    operation: Uuid,
    session: Uuid,
    outcome: &RunOutcome,
) -> Result<StepResult, Error> {
    // Read again: the node may have reported meanwhile.
    let found = registry
        .operation(operation)
        .map_err(|error| unrecorded(operation, &chain(&error)))?;
    let found = found.ok_or_else(|| unrecorded(operation, "it is no longer in the journal"))?;
    let step = found
        .step(session)
        .ok_or_else(|| unrecorded(operation, "the step is no longer in its plan"))?;
    let spec = row(catalog, &found, step)?;
    let verdict = facts(&found, step, spec, outcome).verdict();
    if matches!(verdict.code, Exit::Unknown | Exit::StoppedWaiting) {
        // The operation is open already; the entry explains why.
        let _ = registry.log(operation, "open", &verdict.reason);
        return Ok(StepResult::Open(CommandResult {
            code: verdict.code,
            message: format!(
                "{}; operation {operation} stays open, `o_vm operations --follow {operation}` follows it",
                verdict.reason
            ),
            operation: Some(operation),
        }));
    }
    close(registry, engine, &found, step, completion(verdict))
}

/// Cleans up and records the end of a step, with what follows from it.
///
/// # Errors
/// The registry cannot be written: the step stays open.
pub fn close(
    registry: &mut Registry,
    engine: &dyn Engine,
    operation: &Operation,
    step: &Step,
    mut completion: Completion,
) -> Result<StepResult, Error> {
    if let Err(error) = engine.clean(&task_ref(operation, step)) {
        completion.exit_code = uncleaned(completion.exit_code);
        completion.reason = format!("{}; and {}", completion.reason, chain(&error));
    }
    let follow_up = plan::follow_up(operation, step, &completion);
    registry
        .finish_step(step.plan.session, &completion, &follow_up)
        .map_err(|error| {
            let why = format!("{}, but: {}", completion.reason, chain(&error));
            unrecorded(operation.id, &why)
        })?;
    Ok(match follow_up {
        FollowUp::Continue | FollowUp::Undo(_) => StepResult::Continues,
        FollowUp::End(code, message) => StepResult::Result(CommandResult {
            code: Exit::from_code(code).unwrap_or(Exit::Unknown),
            message,
            operation: Some(operation.id),
        }),
    })
}

/// The exit code that also states that the clean-up failed.
fn uncleaned(code: u8) -> u8 {
    match Exit::from_code(code) {
        Some(Exit::Success) => Exit::CreatedNotCleaned.code(),
        Some(Exit::ServiceNotCreated | Exit::InstanceTimeout | Exit::ExecutionFailed) => {
            Exit::FailedNotCleaned.code()
        }
        Some(_) | None => code,
    }
}

fn unrecorded(operation: Uuid, why: &str) -> Error {
    Error::Unrecorded {
        operation,
        why: why.to_owned(),
    }
}

/// The row of a step's verb; a newer program may have journaled one that this one lacks.
pub(super) fn row(
    catalog: Catalog,
    operation: &Operation,
    step: &Step,
) -> Result<&'static Spec, Error> {
    let verb = step.plan.verb;
    catalog.find(verb).ok_or(Error::UnknownVerb {
        operation: operation.id,
        verb,
    })
}

fn completion(verdict: Verdict) -> Completion {
    Completion {
        exit_code: verdict.code.code(),
        reason: verdict.reason,
        ends_claim: verdict.ends_claim,
        state: verdict.state,
        desired: verdict.desired,
    }
}

fn facts<'a>(
    operation: &Operation,
    step: &'a Step,
    spec: &'static Spec,
    outcome: &'a RunOutcome,
) -> Facts<'a> {
    Facts {
        spec,
        options: &step.plan.options,
        outcome,
        reported: step.reported.as_ref(),
        fresh_claim: operation.has_fresh_claim(),
    }
}
