//! Why a verb failed that is not an operation. `exit` gives every failure its code: a new
//! one does not compile until somebody has chosen it.

use hps_core::exec::ExecError;
use hps_core::names::{NodeName, VmId};

use crate::engine::Unanswered;
use crate::error::chain;
use crate::model::exit::Exit;
use crate::operation::Conclusion;
use crate::operation::lock::LockError;
use crate::registry::RegistryError;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, a file that it names, or a setting cannot be used.
    #[error("{0}")]
    Usage(String),
    /// No VM has this vm_id or name.
    #[error("VM {0} is not defined; 'o_vm list' shows the defined VMs")]
    UnknownVm(String),
    /// The registry failed or refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The lock file of a VM cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// `om` failed.
    #[error(transparent)]
    Om(#[from] ExecError),
    /// A task of `o_vm task` failed, or a task service is not as it should be.
    #[error("{0}")]
    Task(String),
    /// The cluster does not answer.
    #[error(transparent)]
    Cluster(#[from] Unanswered),
    /// Another process has the lock of this VM.
    #[error("another operation on {0} is in progress; 'o_vm operations --vm {0}' shows it")]
    Busy(VmId),
    /// A node did not answer, or its answer cannot be used.
    #[error("{node}: {reason}")]
    NoAnswer {
        /// The node that was asked.
        node: NodeName,
        /// Why there is no answer.
        reason: String,
    },
}

impl Error {
    /// The exit code of this failure.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_)
            | Self::UnknownVm(_)
            | Self::Registry(_)
            | Self::Lock(_)
            | Self::Om(_)
            | Self::Task(_) => Exit::Parameters,
            Self::Cluster(_) => Exit::NodeNotReachable,
            Self::Busy(_) => Exit::Refused,
            Self::NoAnswer { .. } => Exit::Unknown,
        }
    }
}

/// The error of something that was given and cannot be used.
pub fn usage_error(why: impl Into<String>) -> Error {
    Error::Usage(why.into())
}

/// The error of a node that did not answer.
pub fn no_answer(node: &NodeName, reason: String) -> Error {
    let node = node.clone();
    Error::NoAnswer { node, reason }
}

/// An operation that ends before it began.
impl From<Error> for Conclusion {
    fn from(error: Error) -> Self {
        Self::refused(error.exit(), chain(&error))
    }
}
