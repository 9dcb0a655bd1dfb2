//! Recovery: every open operation whose process is gone is settled where that can be
//! decided, leftover task services are removed, the inventory is refreshed, conflicts are
//! reported. Started plans continue; nothing else is started here.

use hps_core::names::NodeName;

use super::execute::Executor;
use super::inventory;
use super::lock::{Attempt, VmLock, try_lock};
use super::settle::{self, Settlement};
use super::{CommandResult, Error, task_ref};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::model::operation::Operation;
use crate::model::verb::{ClaimEffect, Spec};
use crate::model::vm::Vm;

/// What a sweep works with.
pub struct Sweep<'a, 'b> {
    /// Registry, engine, locks.
    pub executor: &'b mut Executor<'a>,
    /// Only report, change nothing.
    pub dry_run: bool,
    /// VMs whose domain was observed, but whose creating verb lost its result. That verb may
    /// have died before it made the domain persistent; the same verb again completes this.
    pub unfinished: Vec<(Vm, NodeName, &'static Spec)>,
}

/// One finding of a sweep, and the action on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The operation, service, node or VM.
    pub subject: String,
    /// What became of it.
    pub outcome: String,
    /// Whether a person must look after it.
    pub needs_attention: bool,
}

impl Finding {
    fn done(subject: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: outcome.into(),
            needs_attention: false,
        }
    }

    fn attention(subject: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: outcome.into(),
            needs_attention: true,
        }
    }
}

impl Sweep<'_, '_> {
    /// Sweeps once.
    ///
    /// # Errors
    /// The registry cannot be read or written.
    pub fn run(&mut self) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for open in self.executor.registry.open_operations()? {
            findings.push(self.operation(&open));
        }
        findings.extend(self.task_services()?);
        findings.extend(self.inventories()?);
        findings.extend(self.conflicts()?);
        Ok(findings)
    }

    fn operation(&mut self, open: &Operation) -> Finding {
        let about = open
            .vm
            .as_ref()
            .map_or_else(String::new, |vm| format!(" {vm}"));
        let on = open
            .node()
            .map_or_else(String::new, |node| format!(" on {node}"));
        let subject = format!("operation {} ({}{about}{on})", open.id, open.verb);
        let mut lock = match open
            .vm
            .as_ref()
            .map(|vm| try_lock(self.executor.lock_dir, vm))
        {
            Some(Ok(Attempt::Locked(lock))) => lock,
            Some(Ok(Attempt::Held(_))) => return Finding::done(subject, "under way"),
            Some(Err(error)) => return Finding::attention(subject, chain(&error)),
            None => return Finding::attention(subject, "it has no VM; end it with its own verb"),
        };
        // It may have ended between the listing and the lock.
        match self.executor.registry.operation(open.id) {
            Ok(Some(operation)) if operation.end.is_none() => {
                let settled = self.settle(subject.clone(), &operation, &mut lock);
                settled.unwrap_or_else(|error| Finding::attention(subject, chain(&error)))
            }
            Ok(_) => Finding::done(subject, "ended meanwhile"),
            Err(error) => Finding::attention(subject, chain(&error)),
        }
    }

    fn settle(
        &mut self,
        subject: String,
        open: &Operation,
        lock: &mut VmLock,
    ) -> Result<Finding, Error> {
        let (catalog, engine) = (self.executor.catalog, self.executor.engine);
        if self.dry_run {
            let status = open
                .current()
                .map(|step| engine.status(&task_ref(open, step)).to_string());
            return Ok(Finding::done(subject, status.unwrap_or_default()));
        }
        let settlement = settle::settle(&mut self.executor.registry, engine, catalog, open)?;
        Ok(match settlement {
            Settlement::Result(result) => finished(subject, &result),
            Settlement::Observation(result) => {
                self.note_unfinished(open, &result)?;
                finished(subject, &result)
            }
            Settlement::Continues => {
                let result = self.go_on(open, lock)?;
                finished(subject, &result)
            }
            Settlement::Runs => Finding::done(subject, "its task still runs"),
            Settlement::Doubt(why) => Finding::attention(subject, format!("left open: {why}")),
        })
    }

    fn note_unfinished(&mut self, open: &Operation, result: &CommandResult) -> Result<(), Error> {
        let spec = self.executor.catalog.find(open.verb);
        let takes = spec.filter(|spec| spec.claim == ClaimEffect::Takes);
        if let (Some(spec), Exit::Success, Some(id), Some(node)) =
            (takes, result.code, &open.vm, open.node())
            && let Some(vm) = self.executor.registry.vm(id)?
        {
            self.unfinished.push((vm, node.clone(), spec));
        }
        Ok(())
    }

    /// Executes the open steps of a process that died.
    fn go_on(&mut self, open: &Operation, lock: &mut VmLock) -> Result<CommandResult, Error> {
        let operation = self.executor.registry.operation(open.id)?;
        let vm = match &open.vm {
            Some(vm) => self.executor.registry.vm(vm)?,
            None => None,
        };
        match (operation, vm) {
            (Some(operation), Some(vm)) => self.executor.go_on(operation, &vm, lock),
            (None, _) | (_, None) => Err(Error::NotJournaled(open.id)),
        }
    }

    /// Removes the task services that no open operation accounts for.
    fn task_services(&mut self) -> Result<Vec<Finding>, Error> {
        let engine = self.executor.engine;
        let services = match engine.task_services() {
            Ok(services) => services,
            Err(error) => return Ok(vec![Finding::attention("services", error.0)]),
        };
        let open = self.executor.registry.open_operations()?;
        let in_use: Vec<_> = open
            .iter()
            .flat_map(|operation| operation.plan.iter().map(move |step| (operation, step)))
            .map(|(operation, step)| engine.service_of(&task_ref(operation, step)))
            .collect();
        let orphans = services.into_iter().filter(|name| !in_use.contains(name));
        Ok(orphans
            .map(|name| {
                let subject = format!("service {name}");
                if self.dry_run {
                    return Finding::done(subject, "would be removed");
                }
                match engine.remove_task_service(&name) {
                    Ok(()) => Finding::done(subject, "removed"),
                    Err(error) => Finding::attention(subject, chain(&error)),
                }
            })
            .collect())
    }

    /// Asks every node that answers; the VMs of the others stay as they were last seen.
    fn inventories(&mut self) -> Result<Vec<Finding>, Error> {
        let nodes = match inventory::hosts(&self.executor.registry, self.executor.engine) {
            Ok(nodes) => nodes,
            Err(Error::Registry(error)) => return Err(Error::Registry(error)),
            Err(error) => return Ok(vec![Finding::attention("nodes", error.without_node())]),
        };
        let mut findings = Vec::new();
        for node in nodes {
            let subject = format!("node {}", node.name);
            if !node.health.is_alive() {
                let why = node.health.reason().unwrap_or("it is not in the cluster");
                findings.push(Finding::attention(
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
        let (registry, engine) = (&mut self.executor.registry, self.executor.engine);
        match inventory::refresh(registry, engine, node) {
            Ok(()) => None,
            Err(error) => Some(Finding::attention(
                subject,
                format!("no inventory: {}", error.without_node()),
            )),
        }
    }

    fn conflicts(&mut self) -> Result<Vec<Finding>, Error> {
        let conflicts = self.executor.registry.conflicts()?;
        Ok(conflicts
            .into_iter()
            .map(|conflict| {
                let owner = conflict
                    .owner
                    .map_or_else(|| "no node".to_owned(), |owner| owner.to_string());
                Finding::attention(
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

fn finished(subject: String, result: &CommandResult) -> Finding {
    let code = result.code.code();
    Finding::done(subject, format!("ended with {code}: {}", result.message))
}
