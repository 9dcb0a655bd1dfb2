//! What follows the end of a step: the next one, the undoing of those before it, or the end
//! of the operation. Pure; the journal alone decides, so any process can go on.

use uuid::Uuid;

use crate::model::exit::Exit;
use crate::model::operation::{Completion, FollowUp, Operation};
use crate::model::options::Options;
use crate::model::step::{NewStep, Recovery, Step};

/// The follow-up of a step that ends with this completion.
#[must_use]
pub fn follow_up(operation: &Operation, step: &Step, completion: &Completion) -> FollowUp {
    let is_success = Exit::from_code(completion.exit_code).is_some_and(Exit::is_success);
    if let Some(failed) = failed_before(operation, step) {
        // This step undoes an earlier one: the operation has failed already.
        let (code, mut reason) = failed;
        if !is_success {
            reason = format!(
                "{reason}; and {} on {} could not be undone: {}",
                step.plan.verb, step.plan.node, completion.reason
            );
        }
        return next_or_end(operation, step, code, reason);
    }
    if is_success {
        return next_or_end(
            operation,
            step,
            completion.exit_code,
            completion.reason.clone(),
        );
    }
    let undo = undo_steps(operation, step);
    if undo.is_empty() {
        FollowUp::End(completion.exit_code, completion.reason.clone())
    } else {
        FollowUp::Undo(undo)
    }
}

fn next_or_end(operation: &Operation, step: &Step, code: u8, reason: String) -> FollowUp {
    let has_next = operation
        .plan
        .iter()
        .any(|other| other.position > step.position && other.end.is_none());
    if has_next {
        FollowUp::Continue
    } else {
        FollowUp::End(code, reason)
    }
}

/// Code and reason of an earlier step that failed.
fn failed_before(operation: &Operation, step: &Step) -> Option<(u8, String)> {
    operation
        .plan
        .iter()
        .filter(|other| other.position < step.position)
        .filter_map(|other| other.end.as_ref())
        .find(|end| !Exit::from_code(end.exit_code).is_some_and(Exit::is_success))
        .map(|end| (end.exit_code, end.reason.clone()))
}

/// Steps that revert those that succeeded before this one, the last first.
fn undo_steps(operation: &Operation, failed: &Step) -> Vec<NewStep> {
    let before = operation.plan.iter().rev();
    before
        .filter(|step| step.position < failed.position)
        .filter_map(|step| {
            Some(NewStep {
                session: Uuid::new_v4(),
                verb: step.plan.undo?,
                node: step.plan.node.clone(),
                options: Options::default(),
                recovery: Recovery::Repeat,
                undo: None,
            })
        })
        .collect()
}
