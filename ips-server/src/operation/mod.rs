//! Operations: a verb for one VM, journaled, one at a time, carried to a node by an
//! engine, ended with an exit code and a reason (design: contracts 3 and 4).

pub mod job;
pub mod lock;
pub mod observe;
pub mod options;
pub mod perform;
pub mod progress;
pub mod settle;
pub mod sweep;
pub mod token;
pub mod verdict;

use hps_core::names::{NodeName, VmId};
use hps_core::verb::Verb;
use uuid::Uuid;

use crate::model::exit::Exit;
use crate::registry::journal::Again;
use crate::registry::operations::Operation;
use job::Past;
use options::Options;

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of the command line")]
pub struct Request {
    pub vm: VmId,
    pub verb: Verb,
    pub node: NodeName,
    pub options: Options,
    /// Set where it is to be made again, since its node has lost it.
    pub again: Option<Again>,
}

/// How it ended: the exit code, one line for people, and the operation if there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub struct Conclusion {
    pub code: Exit,
    pub message: String,
    pub operation: Option<Uuid>,
}

impl Conclusion {
    /// An end before any operation was journaled.
    #[must_use]
    pub fn refused(code: Exit, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            operation: None,
        }
    }
}

impl Request {
    /// Whether an earlier operation is the very same thing.
    #[must_use]
    pub fn is_same(&self, earlier: &Operation) -> bool {
        self.verb == earlier.verb && self.node == earlier.node && self.options == earlier.options
    }
}

impl Operation {
    /// What an engine must know to find it again.
    #[must_use]
    pub fn past(&self) -> Past {
        Past {
            operation: self.operation,
            vm: self.vm.clone(),
            verb: self.verb,
            node: self.node.clone(),
        }
    }
}
