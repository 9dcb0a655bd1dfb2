//! The interface between operations and the transport of their tasks to a node. An engine knows
//! how a verb reaches a node and how its result comes back; it knows nothing of the
//! registry, of claims or of exit codes.
//!
//! Interrupts belong to a phase: questions and `prepare` end when the user interrupts,
//! `run` and `wait` stop waiting, and `clean` is never interrupted.

pub mod local;
pub mod opensvc;

use std::fs::File;
use std::net::IpAddr;

use hps_core::names::NodeName;
use hps_core::report::Inventory;

use crate::model::node::Node;
use crate::model::task::{Task, TaskRef};
use crate::model::token::Token;

/// The transport of tasks to nodes.
pub trait Engine: Sync {
    /// Health of every node there is, by name.
    ///
    /// # Errors
    /// The cluster did not answer.
    fn nodes(&self) -> Result<Vec<Node>, NoAnswer>;

    /// Whether VMs run on this node as a rule: the IPS itself is in its cluster, too.
    fn is_host(&self, node: &NodeName) -> bool;

    /// The addresses from which a node sends its requests; `None` where they are unknown.
    fn addresses(&self, node: &NodeName) -> Option<Vec<IpAddr>>;

    /// Makes everything ready for the task to be started on its node.
    ///
    /// # Errors
    /// The task has not been started, and will not be.
    fn prepare(&self, task: &Task, on_step: OnStep<'_>) -> Result<(), PrepareError>;

    /// Starts the task and waits for its end. The child that carries the task inherits the
    /// lock, so that the lock stays held when this process dies.
    fn run(&self, task: &Task, lock: &File, on_step: OnStep<'_>) -> RunOutcome;

    /// The status of a task that an earlier process may have started. The caller holds the
    /// VM's lock.
    fn status(&self, task: &TaskRef) -> TaskStatus;

    /// Waits for the end of a task that an earlier process started and that still runs.
    fn wait(&self, task: &TaskRef, on_step: OnStep<'_>) -> RunOutcome;

    /// Deletes the task service that `prepare` created, and verifies that it is gone.
    ///
    /// # Errors
    /// The service may still exist; the error has the command that removes it.
    fn clean(&self, task: &TaskRef) -> Result<(), CleanupError>;

    /// The name of a task's service, as [`Engine::task_services`] lists it.
    fn service_of(&self, task: &TaskRef) -> String;

    /// All task services that exist.
    ///
    /// # Errors
    /// The cluster did not answer.
    fn task_services(&self) -> Result<Vec<String>, NoAnswer>;

    /// Deletes a task service that belongs to no open operation, unless a task of it runs.
    ///
    /// # Errors
    /// The service may still exist; the error has the command that removes it.
    fn remove_task_service(&self, name: &str) -> Result<(), CleanupError>;

    /// Asks a node for all its domains, now. The token lets it report them.
    ///
    /// # Errors
    /// The node did not answer.
    fn inventory(
        &self,
        node: &NodeName,
        token: &Token,
        detail: Detail,
    ) -> Result<InventoryAnswer, NoAnswer>;
}

/// How much a node reports of its domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Their names and states.
    States,
    /// Also their definitions.
    Definitions,
}

/// The answer to a question for an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InventoryAnswer {
    /// The inventory; it is not in the registry yet.
    Here(Inventory),
    /// The node has reported it to the server: it is in the registry.
    Reported,
}

/// Receives the progress of a task: one word, and details for people.
pub type OnStep<'a> = &'a mut dyn FnMut(&str, &str);

/// A question without an answer: doubt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// Why a task was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The task service could not be created.
    #[error("the task service could not be created: {0}")]
    NotMade(String),
    /// It was created, but did not reach the node in time.
    #[error("the task service did not reach the node in time: {0}")]
    NotThere(String),
    /// The user interrupted.
    #[error("interrupted before the verb was sent to the node")]
    Interrupted,
}

/// A task service was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; remove it with `{remedy}`")]
pub struct CleanupError {
    /// What failed.
    pub what: String,
    /// The command that removes it.
    pub remedy: String,
}

/// The end of the wait for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutcome {
    /// The task ended with this exit code; with the node's reason, where it gave one.
    Exited(i32, Option<String>),
    /// It was not started, and will not be.
    NotStarted(String),
    /// Whether it ran, or how it ended, is unknown.
    Unknown(String),
    /// The user stopped waiting; it goes on.
    StoppedWaiting,
}

/// The status of a task of an earlier process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStatus {
    /// It runs now.
    Running,
    /// It ended with this exit code.
    Exited(i32),
    /// It does not run, and no record shows whether it ran or how it ended.
    Over,
    /// The node or the cluster did not answer.
    Unknown(String),
}

impl std::fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running => f.write_str("its task still runs"),
            Self::Exited(code) => write!(f, "its task exited {code}; would be settled"),
            Self::Over => f.write_str("its task no longer runs; its node would be observed"),
            Self::Unknown(why) => write!(f, "its state cannot be determined: {why}"),
        }
    }
}
