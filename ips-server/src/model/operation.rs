//! An operation: a verb of `o_vm`, journaled as a plan of steps. It ends when its steps have.

use hps_core::names::{NodeName, VmId};
use hps_core::state::VmState;
use hps_core::verb::VerbName;
use uuid::Uuid;

use super::claim::Precondition;
use super::options::Options;
use super::step::{EndRecord, NewStep, Step};
use super::time::Timestamp;
use super::verb::Spec;
use super::vm::Desired;

/// An operation of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: Uuid,
    /// The VM; `None`: it concerns a node only.
    pub vm: Option<VmId>,
    /// The verb of `o_vm`.
    pub verb: VerbName,
    /// The verb's options.
    pub options: Options,
    /// When it was journaled.
    pub started_at: Timestamp,
    /// Its end; `None`: it is open.
    pub end: Option<EndRecord>,
    /// Its steps, in order; never empty.
    pub plan: Vec<Step>,
    /// Its log, in order.
    pub log: Vec<LogEntry>,
}

/// One entry of an operation's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The event, as one word.
    pub step: String,
    /// When.
    pub at: Timestamp,
    /// Details for people.
    pub result: String,
}

/// The log entry of an operation that made its claim; a claim that existed before has none.
pub const CLAIMED: &str = "claimed";
/// The log entry that begins an attempt.
pub const STARTED: &str = "started";

impl Operation {
    /// The node of its first step.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        self.plan.first().map(|step| &step.plan.node)
    }

    /// The first step that has not ended: it runs, or is the next to run.
    #[must_use]
    pub fn current(&self) -> Option<&Step> {
        self.plan.iter().find(|step| step.end.is_none())
    }

    /// The step with this session id.
    #[must_use]
    pub fn step(&self, session: Uuid) -> Option<&Step> {
        self.plan.iter().find(|step| step.plan.session == session)
    }

    /// Whether it made the claim itself, and was started at most once: a domain that it
    /// proves absent was never there.
    #[must_use]
    pub fn has_fresh_claim(&self) -> bool {
        let count = |name: &str| self.log.iter().filter(|entry| entry.step == name).count();
        count(CLAIMED) == 1 && count(STARTED) <= 1
    }

    /// Whether a task of it may have reached a node.
    #[must_use]
    pub fn was_started(&self) -> bool {
        self.log.iter().any(|entry| entry.step == STARTED)
    }

    /// `create on tch-001`, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.node() {
            Some(node) => format!("{} on {node}", self.verb),
            None => self.verb.to_string(),
        }
    }
}

/// An operation to be journaled.
#[derive(Debug)]
pub struct NewOperation<'a> {
    /// Its id.
    pub id: Uuid,
    /// The VM, where it concerns one.
    pub vm: Option<&'a VmId>,
    /// Its verb's row.
    pub spec: &'static Spec,
    /// The verb's options.
    pub options: &'a Options,
    /// Its steps, at least one.
    pub plan: &'a [NewStep],
    /// The condition to check again where the VM is created again.
    pub precondition: Option<Precondition>,
}

/// The result of journaling an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginOutcome {
    /// It is in the journal, with the claim where its verb takes one.
    Journaled,
    /// It may not begin; the text is the reason.
    Refused(String),
}

/// The result of a step, and its effects on the VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Exit code of `o_vm`.
    pub exit_code: u8,
    /// One line for people.
    pub reason: String,
    /// Whether the domain is proved to be absent on the step's node.
    pub ends_claim: bool,
    /// The VM's state, where it is known now.
    pub state: Option<VmState>,
    /// The new desired state of the VM, where it changed.
    pub desired: Option<Desired>,
}

/// The consequence of the end of a step; journaled in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowUp {
    /// The next step of the plan.
    Continue,
    /// The step failed: the steps that were not started are dropped, and these revert those
    /// that had succeeded.
    Undo(Vec<NewStep>),
    /// The operation ends, with this code and reason.
    End(u8, String),
}
