//! Writes the journal: an operation begins, its steps start and end, each in one
//! transaction with the claim that goes with it. One open operation per VM, by the schema.

use hps_core::kv::one_line;
use hps_core::names::{NodeName, VmId};
use hps_core::verb::VerbName;
use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::claims::{claim, end_claim, end_claim_after, owner, refusal};
use super::{Author, Registry, RegistryError, audit, inventory, operations};
use crate::model::operation::{
    BeginOutcome, CLAIMED, Completion, FollowUp, NewOperation, Operation, STARTED,
};
use crate::model::step::NewStep;
use crate::model::time::Timestamp;
use crate::model::verb::ClaimEffect;

impl Registry {
    /// Journals an operation with its plan and, where its verb takes the claim, claims the VM
    /// for the node of the first step: one transaction.
    ///
    /// # Errors
    /// The registry cannot be written; then nothing is.
    pub fn begin(
        &mut self,
        author: &Author,
        new: &NewOperation<'_>,
    ) -> Result<BeginOutcome, RegistryError> {
        self.write(|tx| {
            let Some(first) = new.plan.first() else {
                return Ok(BeginOutcome::Refused("its plan has no step".to_owned()));
            };
            if let Some(reason) = refusal(tx, new, &first.node)? {
                return Ok(BeginOutcome::Refused(reason));
            }
            insert(tx, new)?;
            add_entry(tx, new.id, "journaled", new.spec.name.as_str())?;
            if let Some(vm) = new.vm {
                inventory::bump_epoch(tx, vm.as_str())?;
                if new.spec.claim == ClaimEffect::Takes && claim(tx, vm, &first.node)? {
                    add_entry(tx, new.id, CLAIMED, first.node.as_str())?;
                }
            }
            let detail = format!("node={} operation={}", first.node, new.id);
            audit::record(tx, author, new.spec.name.as_str(), new.vm, &detail)?;
            Ok(BeginOutcome::Journaled)
        })
    }

    /// Records an entry of an operation's log.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn log(&mut self, operation: Uuid, step: &str, result: &str) -> Result<(), RegistryError> {
        self.write(|tx| add_entry(tx, operation, step, result))
    }

    /// Records that the task of a step is about to be started.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn start_step(
        &mut self,
        operation: Uuid,
        session: Uuid,
        detail: &str,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE task SET started_at = coalesce(started_at, ?2) WHERE session = ?1",
                params![session.to_string(), Timestamp::now()],
            )?;
            add_entry(tx, operation, STARTED, detail)
        })
    }

    /// Gives a step that is safe to repeat a new session id: a task that is gone left no result.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn repeat_step(
        &mut self,
        operation: Uuid,
        session: Uuid,
        new: Uuid,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute(
                "DELETE FROM token WHERE session = ?1",
                [session.to_string()],
            )?;
            tx.execute(
                "UPDATE task SET session = ?2, started_at = NULL, reported_at = NULL, \
                 report_exit_code = NULL, report_state = NULL, report_message = NULL \
                 WHERE session = ?1 AND ended_at IS NULL",
                [session.to_string(), new.to_string()],
            )?;
            add_entry(
                tx,
                operation,
                "repeated",
                "its result was lost; it is run again",
            )
        })
    }

    /// Ends a step with what follows from it, and the claim where its end is proved: one
    /// transaction. A second end of the same step changes nothing.
    ///
    /// # Errors
    /// The registry cannot be written; then the step stays open.
    pub fn finish_step(
        &mut self,
        session: Uuid,
        completion: &Completion,
        follow_up: &FollowUp,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            let Some((operation, step)) = open_step(tx, session)? else {
                return Ok(());
            };
            tx.execute(
                "UPDATE task SET ended_at = ?2, exit_code = ?3, reason = ?4 WHERE session = ?1",
                params![
                    session.to_string(),
                    Timestamp::now(),
                    completion.exit_code,
                    one_line(&completion.reason)
                ],
            )?;
            tx.execute(
                "DELETE FROM token WHERE session = ?1",
                [session.to_string()],
            )?;
            if let Some(vm) = &operation.vm {
                inventory::bump_epoch(tx, vm.as_str())?;
                if completion.ends_claim {
                    forget_conflict(tx, vm, &step.node)?;
                }
                apply(tx, operation.id, vm, completion)?;
            }
            follow(tx, &operation, follow_up)
        })
    }

    /// Ends a claim when a person states that the node is off.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn release(
        &mut self,
        author: &Author,
        vm: &VmId,
        node: &NodeName,
    ) -> Result<BeginOutcome, RegistryError> {
        self.write(|tx| {
            let owner = owner(tx, vm)?;
            inventory::bump_epoch(tx, vm.as_str())?;
            let forgotten = forget_conflict(tx, vm, node)?;
            if owner.as_deref() != Some(node.as_str()) && forgotten {
                audit::record(
                    tx,
                    author,
                    "release",
                    Some(vm),
                    &format!("stray on node={node}"),
                )?;
                return Ok(BeginOutcome::Journaled);
            }
            if owner.as_deref() != Some(node.as_str()) {
                let owner = owner.unwrap_or_else(|| "no node".to_owned());
                return Ok(BeginOutcome::Refused(format!(
                    "{vm} is owned by {owner}, not by {node}"
                )));
            }
            end_claim(tx, vm.as_str())?;
            tx.execute(
                "UPDATE vm SET state = 'unknown' WHERE vm_id = ?1",
                [vm.as_str()],
            )?;
            let open = "WHERE vm_id = ?1 AND ended_at IS NULL";
            for operation in operations::select(tx, open, [vm.as_str()])? {
                end(tx, operation.id, 11, &format!("released: {node} is off"))?;
            }
            audit::record(tx, author, "release", Some(vm), &format!("node={node}"))?;
            Ok(BeginOutcome::Journaled)
        })
    }
}

fn insert(tx: &Transaction<'_>, new: &NewOperation<'_>) -> Result<(), RegistryError> {
    tx.execute(
        "INSERT INTO operation (operation, vm_id, verb, options, started_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            new.id.to_string(),
            new.vm.map(VmId::as_str),
            new.spec.name.as_str(),
            new.options.to_text(),
            Timestamp::now()
        ],
    )?;
    add_steps(tx, new.id, new.plan)
}

/// Appends steps to the plan of an operation.
fn add_steps(
    tx: &Transaction<'_>,
    operation: Uuid,
    steps: &[NewStep],
) -> Result<(), RegistryError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO task (operation, position, session, verb, node, options, recovery, undo) \
         SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM task WHERE operation = ?1",
    )?;
    for step in steps {
        insert.execute(params![
            operation.to_string(),
            step.session.to_string(),
            step.verb.as_str(),
            step.node.as_str(),
            step.options.to_text(),
            step.recovery.as_str(),
            step.undo.as_ref().map(VerbName::as_str)
        ])?;
    }
    Ok(())
}

/// The step of a session that has not ended, with its operation.
fn open_step(
    tx: &Transaction<'_>,
    session: Uuid,
) -> Result<Option<(Operation, NewStep)>, RegistryError> {
    let clause =
        "WHERE operation = (SELECT operation FROM task WHERE session = ?1 AND ended_at IS NULL)";
    let found = operations::select(tx, clause, [session.to_string()])?;
    Ok(found.into_iter().next().and_then(|operation| {
        let step = operation.step(session)?.plan.clone();
        Some((operation, step))
    }))
}

fn follow(
    tx: &Transaction<'_>,
    operation: &Operation,
    follow_up: &FollowUp,
) -> Result<(), RegistryError> {
    match follow_up {
        FollowUp::Continue => Ok(()),
        FollowUp::Undo(steps) => {
            tx.execute(
                "DELETE FROM task WHERE operation = ?1 AND ended_at IS NULL",
                [operation.id.to_string()],
            )?;
            add_steps(tx, operation.id, steps)?;
            add_entry(tx, operation.id, "undo", &format!("{} steps", steps.len()))
        }
        FollowUp::End(code, reason) => end(tx, operation.id, *code, reason),
    }
}

/// Ends an operation and every step of it that is open; their tokens go with them.
fn end(tx: &Transaction<'_>, operation: Uuid, code: u8, reason: &str) -> Result<(), RegistryError> {
    let (now, reason) = (Timestamp::now(), one_line(reason));
    let values = params![operation.to_string(), now, code, reason];
    tx.execute(
        "DELETE FROM token WHERE session IN (SELECT session FROM task WHERE operation = ?1)",
        [operation.to_string()],
    )?;
    tx.execute(
        "UPDATE task SET ended_at = ?2, exit_code = ?3, reason = ?4 WHERE operation = ?1 AND ended_at IS NULL",
        values,
    )?;
    tx.execute(
        "UPDATE operation SET ended_at = ?2, exit_code = ?3, reason = ?4 WHERE operation = ?1 AND ended_at IS NULL",
        values,
    )?;
    Ok(())
}

fn add_entry(
    tx: &Transaction<'_>,
    operation: Uuid,
    step: &str,
    result: &str,
) -> Result<(), RegistryError> {
    tx.execute(
        "INSERT INTO step (operation, position, step, at, result) \
         SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, ?4 FROM step WHERE operation = ?1",
        params![
            operation.to_string(),
            step,
            Timestamp::now(),
            one_line(result)
        ],
    )?;
    Ok(())
}

/// A domain that is proved to be absent from a node is no longer a conflict there.
fn forget_conflict(
    tx: &Transaction<'_>,
    vm: &VmId,
    node: &NodeName,
) -> Result<bool, RegistryError> {
    let sql = "DELETE FROM conflict WHERE vm_id = ?1 AND node = ?2";
    Ok(tx.execute(sql, [vm.as_str(), node.as_str()])? > 0)
}

/// What the end of a step states about the VM itself.
fn apply(
    tx: &Transaction<'_>,
    operation: Uuid,
    vm: &VmId,
    completion: &Completion,
) -> Result<(), RegistryError> {
    let vm = vm.as_str();
    if let Some(state) = completion.state {
        let sql = "UPDATE vm SET state = ?2, seen_at = ?3 WHERE vm_id = ?1";
        tx.execute(sql, params![vm, state.as_str(), Timestamp::now()])?;
    }
    if let Some(desired) = completion.desired {
        tx.execute(
            "UPDATE vm SET desired = ?2 WHERE vm_id = ?1",
            params![vm, desired.as_str()],
        )?;
    }
    if completion.ends_claim {
        end_claim_after(tx, operation, vm)?;
    }
    Ok(())
}
