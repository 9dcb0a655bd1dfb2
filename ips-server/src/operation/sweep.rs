//! Recovery: every open operation whose process is gone is ended where that can be
//! decided, what carried verbs is removed, the inventory is refreshed, conflicts are
//! told. Nothing is started here but what the settings ask for.

use std::path::Path;

use hps_core::names::{NodeName, VmId};
use hps_core::verb::Verb;

use super::Conclusion;
use super::lock::{Attempt, try_lock};
use super::settle::{self, Settled};
use crate::engine::Engine;
use crate::error::chain;
use crate::model::exit::Exit;
use crate::registry::operations::Operation;
use crate::registry::{Registry, RegistryError};

/// What a sweep works with.
pub struct Sweep<'a> {
    /// The registry.
    pub registry: &'a mut Registry,
    /// What carries verbs to nodes.
    pub engine: &'a dyn Engine,
    /// Where VM locks are.
    pub lock_dir: &'a Path,
    /// Only say what would be done.
    pub dry_run: bool,
    /// VMs that a create brought to life whose end is not known: it may have died before it
    /// came to define the domain, and the same create again finishes that.
    pub unfinished: Vec<(VmId, NodeName)>,
}

/// One thing a sweep found, and what it did about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The operation, service, node or VM.
    pub subject: String,
    /// What became of it.
    pub outcome: String,
    /// Whether somebody must look after it.
    pub needs_care: bool,
}

impl Finding {
    fn done(subject: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: outcome.into(),
            needs_care: false,
        }
    }

    fn care(subject: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: outcome.into(),
            needs_care: true,
        }
    }
}

impl Sweep<'_> {
    /// Sweeps once.
    ///
    /// # Errors
    /// The registry cannot be read or written.
    pub fn run(&mut self) -> Result<Vec<Finding>, RegistryError> {
        let mut findings = Vec::new();
        for open in self.registry.open_operations()? {
            findings.push(self.operation(&open));
        }
        findings.extend(self.carriers()?);
        findings.extend(self.inventories()?);
        findings.extend(self.conflicts()?);
        Ok(findings)
    }

    fn operation(&mut self, open: &Operation) -> Finding {
        let subject = format!(
            "operation {} ({} {} on {})",
            open.operation, open.verb, open.vm, open.node
        );
        let _lock = match try_lock(self.lock_dir, &open.vm) {
            Ok(Attempt::Locked(lock)) => lock,
            Ok(Attempt::Held(_)) => return Finding::done(subject, "under way"),
            Err(error) => return Finding::care(subject, chain(&error)),
        };
        // It may have ended between the listing and the lock.
        match self.registry.operation(open.operation) {
            Ok(Some(operation)) if operation.ended.is_none() => self.settle(subject, &operation),
            Ok(_) => Finding::done(subject, "ended meanwhile"),
            Err(error) => Finding::care(subject, chain(&error)),
        }
    }

    fn settle(&mut self, subject: String, open: &Operation) -> Finding {
        if self.dry_run {
            return Finding::done(subject, format!("{:?}", self.engine.earlier(&open.past())));
        }
        match settle::settle(self.registry, self.engine, open) {
            Settled::Ended(conclusion) => ended(subject, &conclusion),
            Settled::Looked(conclusion) => {
                if open.verb == Verb::Create && conclusion.code == Exit::Success {
                    self.unfinished.push((open.vm.clone(), open.node.clone()));
                }
                ended(subject, &conclusion)
            }
            Settled::Runs => Finding::done(subject, "its verb still runs"),
            Settled::Doubt(why) => Finding::care(subject, format!("left open: {why}")),
        }
    }

    /// Removes what no open operation accounts for.
    fn carriers(&mut self) -> Result<Vec<Finding>, RegistryError> {
        let carriers = match self.engine.carriers() {
            Ok(carriers) => carriers,
            Err(error) => return Ok(vec![Finding::care("task services", chain(&error))]),
        };
        let open = self.registry.open_operations()?;
        let in_use = |name: &str| {
            open.iter()
                .any(|operation| crate::engine::opensvc::service_of(&operation.past()) == name)
        };
        let orphans = carriers
            .into_iter()
            .filter(|carrier| !in_use(&carrier.name));
        Ok(orphans
            .map(|carrier| {
                let subject = format!("service {}", carrier.name);
                if self.dry_run {
                    return Finding::done(subject, "would be removed");
                }
                match self.engine.remove_carrier(&carrier) {
                    Ok(()) => Finding::done(subject, "removed"),
                    Err(left) => Finding::care(subject, chain(&left)),
                }
            })
            .collect())
    }

    /// Asks every node that answers; the VMs of the others stay as they were seen last.
    fn inventories(&mut self) -> Result<Vec<Finding>, RegistryError> {
        let nodes = match settle::hosts(self.registry, self.engine) {
            Ok(nodes) => nodes,
            Err(why) => return Ok(vec![Finding::care("nodes", why)]),
        };
        let mut findings = Vec::new();
        for node in nodes {
            let subject = format!("node {}", node.name);
            if !node.health.is_alive() {
                let why = node.health.reason().unwrap_or("it is not in the cluster");
                findings.push(Finding::care(
                    subject,
                    format!("its VMs are unknown: {why}"),
                ));
            } else if !self.dry_run {
                findings.extend(self.inventory(subject, &node.name));
            }
        }
        Ok(findings)
    }

    fn inventory(&mut self, subject: String, node: &NodeName) -> Option<Finding> {
        match settle::take_inventory(self.registry, self.engine, node) {
            Ok(()) => None,
            Err(why) => Some(Finding::care(subject, format!("no inventory: {why}"))),
        }
    }

    fn conflicts(&mut self) -> Result<Vec<Finding>, RegistryError> {
        let conflicts = self.registry.conflicts()?;
        Ok(conflicts
            .into_iter()
            .map(|conflict| {
                let owner = conflict
                    .owner
                    .map_or_else(|| "no node".to_owned(), |owner| owner.to_string());
                Finding::care(
                    format!("VM {}", conflict.vm),
                    format!(
                        "node {} has a domain of it ({}, seen {}), while {owner} owns it",
                        conflict.node, conflict.state, conflict.seen_at
                    ),
                )
            })
            .collect())
    }
}

fn ended(subject: String, conclusion: &Conclusion) -> Finding {
    let code = conclusion.code.code();
    Finding::done(
        subject,
        format!("ended with {code}: {}", conclusion.message),
    )
}
