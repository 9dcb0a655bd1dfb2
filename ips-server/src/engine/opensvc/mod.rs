//! Engine `opensvc`: a verb goes to a node as the task of a transient service (the
//! specification's data flow). Its result is what OpenSVC recorded for our own session,
//! never an exit code of `om`.

mod cleanup;
mod inventory;
mod prepare;
mod result;

use std::fs::File;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hps_core::names::NodeName;

use super::{
    CleanupError, Detail, Engine, InventoryAnswer, NoAnswer, OnStep, PrepareError, RunOutcome,
    TaskStatus,
};
use crate::error::chain;
use crate::model::node::Node;
use crate::model::task::{Task, TaskRef};
use crate::model::token::Token;
use crate::om::Om;
use crate::om::node::Cluster;
use crate::om::service::ServiceName;

/// The cluster, through the `om` of this node.
#[derive(Debug)]
pub struct OpenSvc<'a> {
    /// How `om` is called.
    pub om: Om<'a>,
    /// Time limits from the settings.
    pub limits: Limits,
    /// `N_VM_IPS` of the tasks; unset: the nodes use their own setting.
    pub advertise: Option<String>,
    /// Whether a token works from its node's addresses only.
    pub bind_address: bool,
    /// Raised when the user stops waiting.
    pub stop: &'a AtomicBool,
    /// The name of this node in the cluster; read once.
    pub own: OnceLock<NodeName>,
    /// Set once `om` is known to be new enough.
    pub checked: OnceLock<()>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until a service has an instance on its node.
    pub instance: Duration,
    /// A verb on its node.
    pub verb: Duration,
    /// Until a deleted service is gone.
    pub delete: Duration,
    /// Between two polls.
    pub poll: Duration,
    /// How much longer OpenSVC lets a task live than the verb may take.
    pub task_margin: Duration,
    /// How much longer than OpenSVC we wait.
    pub wait_margin: Duration,
}

impl Limits {
    /// How long OpenSVC lets the task of a verb live.
    fn task(&self, extra: Duration) -> Duration {
        self.verb + extra + self.task_margin
    }

    /// How long its result is waited for.
    fn wait(&self, extra: Duration) -> Duration {
        self.task(extra) + self.wait_margin
    }
}

/// `vm-ops-<verb>-<vm_id>`, as the specification has it.
fn service_of(task: &TaskRef) -> String {
    format!("vm-ops-{}-{}", task.verb, task.subject)
}

fn service_name(task: &TaskRef) -> Result<ServiceName, String> {
    ServiceName::new(&service_of(task))
}

fn rid(task: &TaskRef) -> String {
    format!("task#{}", task.verb)
}

fn no_answer(error: &dyn std::error::Error) -> NoAnswer {
    NoAnswer(chain(error))
}

impl Engine for OpenSvc<'_> {
    fn nodes(&self) -> Result<Vec<Node>, NoAnswer> {
        Ok(self.cluster()?.nodes)
    }

    fn is_host(&self, node: &NodeName) -> bool {
        self.own().is_ok_and(|own| own != *node)
    }

    fn addresses(&self, node: &NodeName) -> Option<Vec<IpAddr>> {
        if !self.bind_address {
            return None;
        }
        let found = (node.as_str(), 0).to_socket_addrs();
        let addresses: Vec<_> = found
            .map(|all| all.map(|one| one.ip()).collect())
            .unwrap_or_default();
        if addresses.is_empty() {
            tracing::warn!(%node, "the node's name does not resolve: its token works from any address");
            return None;
        }
        Some(addresses)
    }

    fn prepare(&self, task: &Task, on_step: OnStep<'_>) -> Result<(), PrepareError> {
        let prepared = self.make_service(task, on_step);
        // After an interrupt the reason is the interrupt, not the error that it caused.
        prepared.map_err(|error| {
            if self.stop.load(Ordering::Relaxed) {
                PrepareError::Interrupted
            } else {
                error
            }
        })
    }

    fn run(&self, task: &Task, lock: &File, _: OnStep<'_>) -> RunOutcome {
        match service_name(&task.reference()) {
            Ok(name) => self.run_service(task, &name, lock),
            Err(why) => RunOutcome::NotStarted(why),
        }
    }

    fn status(&self, task: &TaskRef) -> TaskStatus {
        let found = service_name(task).and_then(|name| self.observe(task, &name));
        found.unwrap_or_else(TaskStatus::Unknown)
    }

    fn wait(&self, task: &TaskRef, _: OnStep<'_>) -> RunOutcome {
        match service_name(task) {
            Ok(name) => self.wait_for_result(task, &name),
            Err(why) => RunOutcome::Unknown(why),
        }
    }

    fn clean(&self, task: &TaskRef) -> Result<(), CleanupError> {
        self.remove(&service_of(task))
    }

    fn service_of(&self, task: &TaskRef) -> String {
        service_of(task)
    }

    fn task_services(&self) -> Result<Vec<String>, NoAnswer> {
        self.om
            .services("vm-ops-*")
            .map_err(|error| no_answer(&error))
    }

    fn remove_task_service(&self, name: &str) -> Result<(), CleanupError> {
        self.remove_idle(name)
    }

    fn inventory(
        &self,
        node: &NodeName,
        token: &Token,
        detail: Detail,
    ) -> Result<InventoryAnswer, NoAnswer> {
        self.report_inventory(node, token, detail)
            .map(|()| InventoryAnswer::Reported)
    }
}

impl OpenSvc<'_> {
    fn cluster(&self) -> Result<Cluster, NoAnswer> {
        let cluster = self.om.cluster().map_err(|error| no_answer(&error))?;
        let _ = self.own.set(cluster.own.clone());
        Ok(cluster)
    }

    /// The name of this node in the cluster, which may differ from its host name.
    fn own(&self) -> Result<NodeName, NoAnswer> {
        match self.own.get() {
            Some(own) => Ok(own.clone()),
            None => Ok(self.cluster()?.own),
        }
    }

    /// The nodes of a task service: the IPS, which manages it, and the target node.
    fn scope(&self, node: &NodeName) -> Result<Vec<NodeName>, NoAnswer> {
        let own = self.own()?;
        Ok(if own == *node {
            vec![own]
        } else {
            vec![own, node.clone()]
        })
    }
}
