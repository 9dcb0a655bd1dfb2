//! The seam between an operation and what carries its verb to a node. An engine knows
//! how a verb reaches a node and how its result comes back; it knows nothing of the
//! registry, of claims or of exit codes.

pub mod local;
pub mod opensvc;

use std::net::IpAddr;

use hps_core::names::NodeName;
use hps_core::report::Inventory;

use crate::operation::job::{Job, Past};
use crate::operation::lock::VmLock;
use crate::operation::token::Token;

/// What every engine can do.
pub trait Engine: Sync {
    /// Health of every node there is, by name.
    ///
    /// # Errors
    /// Why nobody could say.
    fn nodes(&self) -> Result<Vec<Node>, Unanswered>;

    /// Whether VMs are run on this node as a rule: the IPS itself is in its cluster, too.
    fn is_host(&self, node: &NodeName) -> bool;

    /// The addresses a node's requests come from; `None` where they cannot be told.
    fn addresses(&self, node: &NodeName) -> Option<Vec<IpAddr>>;

    /// Makes everything ready for the verb to be started on the node.
    ///
    /// # Errors
    /// The verb has not been started, and will not be.
    fn prepare(&self, job: &Job, say: Say<'_>) -> Result<(), Unprepared>;

    /// Starts the verb and waits for its end. The lock is handed to what carries the
    /// verb, so that it stays held when this process dies.
    fn run(&self, job: &Job, lock: &VmLock, say: Say<'_>) -> Ended;

    /// What became of a job that an earlier process may have started. Asked only with
    /// the VM's lock in hand.
    fn earlier(&self, job: &Past) -> Earlier;

    /// Waits for the end of a verb that an earlier process started and that still runs.
    fn wait(&self, job: &Past, say: Say<'_>) -> Ended;

    /// Removes what `prepare` made, and verifies that it is gone.
    ///
    /// # Errors
    /// What is left, and how a person removes it.
    fn clean(&self, job: &Past) -> Result<(), Uncleaned>;

    /// What carried verbs once and is still there: names, with the nodes that may run them.
    ///
    /// # Errors
    /// Why nobody could say.
    fn carriers(&self) -> Result<Vec<Carrier>, Unanswered>;

    /// Removes a carrier that no open operation accounts for, unless something of it runs.
    ///
    /// # Errors
    /// What is left, and how a person removes it.
    fn remove_carrier(&self, carrier: &Carrier) -> Result<(), Uncleaned>;

    /// Asks a node for all its domains, now. The token lets it report them.
    ///
    /// # Errors
    /// Why nobody could say.
    fn inventory(
        &self,
        node: &NodeName,
        token: &Token,
        detail: Detail,
    ) -> Result<Inventoried, Unanswered>;
}

/// How much a node tells of its domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What they are called and how they are.
    States,
    /// Also what they are made of.
    Definitions,
}

/// Something that carried a verb to a node: with OpenSVC, a transient service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// Its name.
    pub name: String,
}

/// How an inventory came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inventoried {
    /// Here it is; the registry does not have it yet.
    Here(Inventory),
    /// The node has reported it: the registry has it.
    Reported,
}

/// Takes the steps of an operation as they happen: what, and how it ended.
pub type Say<'a> = &'a mut dyn FnMut(&str, &str);

/// A node and whether verbs may be sent to it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are the keys of the JSON")]
pub struct Node {
    pub name: NodeName,
    pub health: Health,
    pub labels: Vec<(String, String)>,
    pub load_15m: Option<f64>,
    pub memory_mb: Option<u64>,
}

/// Whether verbs may be sent to a node; the text says why not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Health {
    Healthy,
    NotInCluster,
    NotReachable(String),
    Frozen(String),
}

impl Health {
    /// The word for it in JSON and tables.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NotInCluster => "not-in-cluster",
            Self::NotReachable(_) => "not-reachable",
            Self::Frozen(_) => "frozen",
        }
    }

    /// Whether its daemon answers.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Healthy | Self::Frozen(_))
    }

    /// Why it is not healthy.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Healthy | Self::NotInCluster => None,
            Self::NotReachable(reason) | Self::Frozen(reason) => Some(reason),
        }
    }
}

/// A question that nobody answered: doubt, not an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);

/// Why a verb was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unprepared {
    /// What carries the verb could not be made.
    #[error("the task service could not be made: {0}")]
    NotMade(String),
    /// It was made, and did not reach the node in time.
    #[error("the task service did not reach the node in time: {0}")]
    NotThere(String),
}

/// Something is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; remove it with `{mend}`")]
pub struct Uncleaned {
    /// What is left.
    pub what: String,
    /// The command that removes it.
    pub mend: String,
}

/// How the wait for a verb ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The verb ended with this exit code; its last words, where there are any.
    Exited(i32, Option<String>),
    /// It was not started, and will not be.
    NotStarted(String),
    /// Nobody can say whether it ran or how it ended.
    Unknown(String),
    /// The user stopped waiting; it goes on.
    StoppedWaiting,
}

/// What became of a job of an earlier process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// Its verb runs now.
    Running,
    /// Its verb ended with this exit code.
    Exited(i32),
    /// Nothing of it runs, and nothing tells how it ended, or whether it ran.
    Over,
    /// Nobody can say.
    Unknown(String),
}
