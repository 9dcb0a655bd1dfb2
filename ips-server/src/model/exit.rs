//! The exit codes of `o_vm` (design: contract 3). docs/contracts.md and o_vm(1) have the same
//! table; tests compare them.

/// An exit code of `o_vm`; [`Exit::meaning`] has the whole sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Success,
    /// 1: nothing was started, because of the command line or the surroundings.
    Parameters,
    /// 2: the cluster has no such node.
    NodeNotInCluster,
    /// 3: the node does not answer.
    NodeNotReachable,
    /// 4: an administrator froze the node.
    NodeFrozen,
    /// 5: the task service could not be created.
    ServiceNotCreated,
    /// 6: the task service did not reach the node in time.
    InstanceTimeout,
    /// 7: the verb failed on the node.
    ExecutionFailed,
    /// 8: as 0, but the task service still exists.
    CreatedNotCleaned,
    /// 9: as 5, 6 or 7, but the task service still exists.
    FailedNotCleaned,
    /// 10: the registry or another operation forbids it.
    Refused,
    /// 11: doubt; the operation stays open.
    Unknown,
    /// 130: the user interrupted; the operation stays open.
    StoppedWaiting,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 13] = [
        Self::Success,
        Self::Parameters,
        Self::NodeNotInCluster,
        Self::NodeNotReachable,
        Self::NodeFrozen,
        Self::ServiceNotCreated,
        Self::InstanceTimeout,
        Self::ExecutionFailed,
        Self::CreatedNotCleaned,
        Self::FailedNotCleaned,
        Self::Refused,
        Self::Unknown,
        Self::StoppedWaiting,
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Parameters => 1,
            Self::NodeNotInCluster => 2,
            Self::NodeNotReachable => 3,
            Self::NodeFrozen => 4,
            Self::ServiceNotCreated => 5,
            Self::InstanceTimeout => 6,
            Self::ExecutionFailed => 7,
            Self::CreatedNotCleaned => 8,
            Self::FailedNotCleaned => 9,
            Self::Refused => 10,
            Self::Unknown => 11,
            Self::StoppedWaiting => 130,
        }
    }

    /// Whether the verb did what it should, cleaned up or not.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Success | Self::CreatedNotCleaned)
    }

    /// The meaning of a number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// The meaning, in the words of docs/contracts.md and o_vm(1).
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done",
            Self::Parameters => "invalid parameters, or the VM is not defined",
            Self::NodeNotInCluster => "the node is not in the cluster",
            Self::NodeNotReachable => "the node is not reachable",
            Self::NodeFrozen => "the node is frozen",
            Self::ServiceNotCreated => {
                "the verb was not sent: its task service could not be created"
            }
            Self::InstanceTimeout => {
                "the verb was not sent: its task service did not reach the node in time"
            }
            Self::ExecutionFailed => "the node reported that the verb failed",
            Self::CreatedNotCleaned => "done, but the task service was not deleted",
            Self::FailedNotCleaned => "not done, and the task service was not deleted",
            Self::Refused => {
                "refused: another operation is in progress, or another node owns or may own the VM"
            }
            Self::Unknown => "outcome unknown; the operation stays open",
            Self::StoppedWaiting => {
                "the wait was interrupted; the verb continues on the node, the operation stays open"
            }
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
