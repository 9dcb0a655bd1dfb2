//! A step of an operation's plan: one task on one node, with a session id, a result and a
//! settlement of its own.

use hps_core::names::NodeName;
use hps_core::state::VmState;
use hps_core::verb::VerbName;
use uuid::Uuid;

use super::options::Options;
use super::time::Timestamp;

/// A step to be journaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    /// Session id of its task, unique in the journal; OpenSVC's session id too.
    pub session: Uuid,
    /// The verb of `n_vm`.
    pub verb: VerbName,
    /// The node.
    pub node: NodeName,
    /// The verb's options.
    pub options: Options,
    /// How it is settled when its result is lost.
    pub recovery: Recovery,
    /// The verb that reverts it on the same node when a later step fails.
    pub undo: Option<VerbName>,
}

/// The way to settle a step whose result is lost and that no longer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Its node is observed: the state of the domain decides.
    Observe,
    /// It is safe to run again, under a new session id.
    Repeat,
}

impl Recovery {
    /// The word for it in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Repeat => "repeat",
        }
    }
}

impl std::str::FromStr for Recovery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Observe, Self::Repeat]
            .into_iter()
            .find(|recovery| recovery.as_str() == text)
            .ok_or_else(|| format!("{text:?}: want observe or repeat"))
    }
}

/// A step of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place in the plan, from 1.
    pub position: u32,
    /// Its part of the plan.
    pub plan: NewStep,
    /// When its task was first started; `None`: nothing has reached the node.
    pub started_at: Option<Timestamp>,
    /// Its end; `None`: it has not ended.
    pub end: Option<EndRecord>,
    /// The node's report on it.
    pub reported: Option<NodeResult>,
}

/// A node's report on a task, authorized by the task's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeResult {
    /// Exit code of `n_vm`.
    pub exit_code: u8,
    /// The domain's state.
    pub state: VmState,
    /// One line for people.
    pub message: String,
}

/// The end of an operation or of a step, as journaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndRecord {
    /// When.
    pub at: Timestamp,
    /// Exit code of `o_vm`.
    pub exit_code: u8,
    /// One line for people.
    pub reason: String,
}
