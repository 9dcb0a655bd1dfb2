//! Operations: a verb as a plan of steps, journaled, one operation at a time per VM, each
//! step run on its node by an engine (design: contracts 3 and 4). No code here knows a verb
//! by name: it reads the verb's row.

mod acquire;
pub mod check;
pub mod error;
pub mod execute;
pub mod inventory;
pub mod lock;
pub mod observe;
pub mod plan;
pub mod progress;
pub mod settle;
pub mod sweep;
#[cfg(test)]
mod tests;
pub mod verdict;

use hps_core::names::{NodeName, VmId};
use uuid::Uuid;

pub use error::Error;

use crate::model::claim::Precondition;
use crate::model::exit::Exit;
use crate::model::operation::Operation;
use crate::model::options::Options;
use crate::model::step::Step;
use crate::model::task::TaskRef;
use crate::model::verb::Spec;

/// A command of an operator.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// The VM.
    pub vm: VmId,
    /// The verb's row.
    pub spec: &'static Spec,
    /// The node.
    pub node: NodeName,
    /// The verb's options.
    pub options: Options,
    /// Set where the VM is to be created again because its node lost it.
    pub precondition: Option<Precondition>,
}

/// The result of a command: the exit code, one line for people, and the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// Exit code of `o_vm`.
    pub code: Exit,
    /// One line for people.
    pub message: String,
    /// The operation in the journal, where there is one.
    pub operation: Option<Uuid>,
}

impl CommandRequest {
    /// Whether an earlier operation has the same verb, node and options.
    #[must_use]
    pub fn is_same(&self, earlier: &Operation) -> bool {
        self.spec.name == earlier.verb
            && Some(&self.node) == earlier.node()
            && self.options == earlier.options
    }
}

impl From<Error> for CommandResult {
    fn from(error: Error) -> Self {
        Self {
            code: error.exit(),
            message: crate::error::chain(&error),
            operation: error.operation(),
        }
    }
}

/// What an engine needs to find the task of a step again.
#[must_use]
pub fn task_ref(operation: &Operation, step: &Step) -> TaskRef {
    let plan = &step.plan;
    TaskRef {
        session: plan.session,
        subject: operation
            .vm
            .as_ref()
            .map_or_else(|| plan.node.to_string(), ToString::to_string),
        verb: plan.verb,
        node: plan.node.clone(),
    }
}
