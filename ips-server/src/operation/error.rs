//! Why a command was not executed, each kind with its exit code. An operation that was
//! executed and failed is not an error here but a [`super::CommandResult`].

use hps_core::exec::ExecError;
use hps_core::names::{NodeName, VmId};
use hps_core::verb::VerbName;
use uuid::Uuid;

use super::lock::LockError;
use crate::engine::NoAnswer;
use crate::model::exit::Exit;
use crate::model::token::TokenError;
use crate::registry::RegistryError;

/// Why a command was not executed. No field is called `source`: each text holds its cause
/// already, and the chain would print it twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, or a file that it names, cannot be used.
    #[error("{0}")]
    Usage(String),
    /// `om` failed, outside of any operation.
    #[error("{}", crate::error::chain(.0))]
    Om(#[from] ExecError),
    /// `o_vm task` failed.
    #[error("{0}")]
    Task(String),
    /// The registry could not be read or written.
    #[error("{}", crate::error::chain(.0))]
    Registry(RegistryError),
    /// As `Registry`, when the operation begins: nothing was started.
    #[error("journal: {}", crate::error::chain(.0))]
    Journal(RegistryError),
    /// As `Journal`, but the operation is in the journal already: it stays open.
    #[error("journal: {}", crate::error::chain(error))]
    JournalLost {
        /// The operation.
        operation: Uuid,
        /// What failed.
        error: Box<RegistryError>,
    },
    /// The end of a step could not be recorded.
    #[error("the end of operation {operation} could not be recorded: {why}")]
    Unrecorded {
        /// The operation.
        operation: Uuid,
        /// What failed.
        why: String,
    },
    /// An operation that was just journaled is not there.
    #[error("operation {0} is not in the journal")]
    NotJournaled(Uuid),
    /// The settings do not allow for an engine.
    #[error("{0}")]
    NoEngine(String),
    /// No such VM.
    #[error("VM {0} is not defined; `o_vm list` shows the defined VMs")]
    NotDefined(String),
    /// No node has the VM.
    #[error("no node has {0}; `o_vm create {0} NODE` creates it")]
    NowhereToRun(VmId),
    /// No node owns the VM, and one has a domain of it.
    #[error(
        "no node owns {vm}, but {node} has a domain of it ({state}); \
         `o_vm create {vm} {node}` takes it over"
    )]
    Stray {
        /// The VM.
        vm: VmId,
        /// The node that has the domain.
        node: NodeName,
        /// The domain's state.
        state: String,
    },
    /// The verb needs a node, and none was named.
    #[error("a node is required: `o_vm {0} {1} NODE`")]
    NodeMissing(VerbName, VmId),
    /// The journal holds a verb that this program does not have.
    #[error(
        "operation {operation} has the verb {verb}, unknown to this version of o_vm; upgrade it"
    )]
    UnknownVerb {
        /// The operation.
        operation: Uuid,
        /// Its verb.
        verb: VerbName,
    },
    /// The cluster did not answer whether the node may be used.
    #[error("validate {node}: {answer}")]
    Validate {
        /// The node.
        node: NodeName,
        /// Why.
        answer: NoAnswer,
    },
    /// The cluster did not answer.
    #[error("nodes: {0}")]
    Cluster(NoAnswer),
    /// The cluster has no such node.
    #[error("node {0} is not in the cluster")]
    NotInCluster(NodeName),
    /// The node does not answer.
    #[error("node {node} is not reachable: {why}")]
    NotReachable {
        /// The node.
        node: NodeName,
        /// Why.
        why: String,
    },
    /// The node is frozen.
    #[error("node {node} is frozen: {why}")]
    Frozen {
        /// The node.
        node: NodeName,
        /// Why.
        why: String,
    },
    /// The VM's lock file cannot be used.
    #[error("{}", crate::error::chain(.0))]
    Lock(LockError),
    /// Another operation on the VM runs or is open.
    #[error("{0}")]
    Busy(String),
    /// The registry refuses: another node owns the VM, or an operation is open.
    #[error("{0}")]
    Refused(String),
    /// A node did not answer, so that a state is unknown.
    #[error("{node}: {answer}")]
    StateUnknown {
        /// The node.
        node: NodeName,
        /// Why.
        answer: NoAnswer,
    },
    /// The state of VMs cannot be determined.
    #[error("{0}")]
    Unknown(String),
    /// No random bytes.
    #[error("{}", crate::error::chain(.0))]
    Token(TokenError),
    /// The user stopped waiting for the operation of another process.
    #[error("stopped waiting; the operation goes on")]
    StoppedWaiting,
    /// The user interrupted before anything was started.
    #[error("interrupted; nothing was started")]
    Interrupted,
}

impl Error {
    /// The exit code of `o_vm`.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_)
            | Self::Om(_)
            | Self::Task(_)
            | Self::Registry(_)
            | Self::Journal(_)
            | Self::NoEngine(_)
            | Self::NotDefined(_)
            | Self::NowhereToRun(_)
            | Self::NodeMissing(..)
            | Self::Lock(_)
            | Self::Token(_) => Exit::Parameters,
            Self::NotInCluster(_) => Exit::NodeNotInCluster,
            Self::Validate { .. } | Self::Cluster(_) | Self::NotReachable { .. } => {
                Exit::NodeNotReachable
            }
            Self::Frozen { .. } => Exit::NodeFrozen,
            Self::Stray { .. } | Self::Busy(_) | Self::Refused(_) | Self::UnknownVerb { .. } => {
                Exit::Refused
            }
            Self::JournalLost { .. }
            | Self::Unrecorded { .. }
            | Self::NotJournaled(_)
            | Self::StateUnknown { .. }
            | Self::Unknown(_) => Exit::Unknown,
            Self::StoppedWaiting | Self::Interrupted => Exit::StoppedWaiting,
        }
    }

    /// The operation in the journal, where the error is about one.
    #[must_use]
    pub fn operation(&self) -> Option<Uuid> {
        if let Self::JournalLost { operation, .. } | Self::Unrecorded { operation, .. } = self {
            Some(*operation)
        } else {
            None
        }
    }

    /// One line for people, without the node where the caller names it.
    #[must_use]
    pub fn without_node(&self) -> String {
        if let Self::StateUnknown { answer, .. } | Self::Cluster(answer) = self {
            answer.0.clone()
        } else {
            crate::error::chain(self)
        }
    }
}

impl From<RegistryError> for Error {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}
