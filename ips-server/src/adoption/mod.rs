//! `o_vm adopt`: the domains of a node, proposed as definitions for the registry. Pure;
//! nothing is registered here.

mod domain;

use std::collections::HashSet;
use std::fmt::Write as _;

use hps_core::config::VmConfig;
use hps_core::kv::one_line;
use hps_core::names::VmId;
use hps_core::report::{DomainReport, Inventory};

use crate::model::vm::Vm;

/// The proposal for a domain of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proposal {
    /// It belongs to a VM that the node owns.
    Owned,
    /// It can be registered under this id.
    Register {
        id: VmId,
        config: Box<VmConfig>,
        notes: Vec<String>,
    },
    /// It cannot be registered; the text is the reason.
    Cannot(String),
}

/// Proposals for all domains of a node.
#[derive(Debug)]
pub struct Proposals<'a> {
    inventory: &'a Inventory,
    each: Vec<(&'a DomainReport, Proposal)>,
}

impl<'a> Proposals<'a> {
    /// The proposals, given the VMs of the registry.
    #[must_use]
    pub fn of(inventory: &'a Inventory, vms: &[Vm]) -> Self {
        let mut names: HashSet<String> = vms
            .iter()
            .flat_map(|vm| [vm.id.to_string(), vm.config.name.as_str().to_lowercase()])
            .collect();
        let mut propose = |domain: &'a DomainReport| {
            let proposal = match vms.iter().find(|vm| vm.uuid == domain.uuid) {
                Some(vm) => of_defined(vm, inventory),
                None => of_unknown(domain, &names),
            };
            if let Proposal::Register { id, config, .. } = &proposal {
                names.extend([id.to_string(), config.name.as_str().to_lowercase()]);
            }
            (domain, proposal)
        };
        let each = inventory.domains.iter().map(&mut propose).collect();
        Self { inventory, each }
    }

    /// How many domains belong to VMs that the node owns: there is nothing to register.
    #[must_use]
    pub fn owned(&self) -> usize {
        let is_owned = |(_, proposal): &&(_, Proposal)| *proposal == Proposal::Owned;
        self.each.iter().filter(is_owned).count()
    }

    /// How many domains can be registered.
    #[must_use]
    pub fn registrable(&self) -> usize {
        let is_new = |(_, proposal): &&(_, Proposal)| matches!(proposal, Proposal::Register { .. });
        self.each.iter().filter(is_new).count()
    }

    /// The stream that `o_vm adopt NODE --take` reads. Comments hold what an operator has to
    /// check.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (domain, proposal) in &self.each {
            // Writing to a String cannot fail.
            let _ = match proposal {
                Proposal::Owned => Ok(()),
                Proposal::Cannot(why) => {
                    writeln!(text, "{}# cannot be registered: {why}\n", self.head(domain))
                }
                Proposal::Register { id, config, notes } => {
                    let notes: String = notes.iter().map(|note| format!("# {note}\n")).collect();
                    let head = self.head(domain);
                    writeln!(text, "{head}{notes}vm_id={id}\n{}", config.to_text())
                }
            };
        }
        text
    }

    fn head(&self, domain: &DomainReport) -> String {
        let (name, node) = (one_line(&domain.name), &self.inventory.node);
        format!("# {name} ({}), {} on {node}\n", domain.uuid, domain.state)
    }
}

/// A domain of a defined VM. The definition of the registry applies, not the domain's.
fn of_defined(vm: &Vm, inventory: &Inventory) -> Proposal {
    match &vm.owner {
        Some(owner) if *owner == inventory.node => Proposal::Owned,
        Some(owner) => Proposal::Cannot(format!(
            "it is VM {}, which {owner} owns or may own; destroy one of the two domains",
            vm.id
        )),
        None => Proposal::Register {
            id: vm.id.clone(),
            config: Box::new(vm.config.clone()),
            notes: vec!["the VM is defined already, and no node owns it".to_owned()],
        },
    }
}

fn of_unknown(domain: &DomainReport, names: &HashSet<String>) -> Proposal {
    let Some(definition) = &domain.definition else {
        return Proposal::Cannot(
            "a create of it is in progress, or it has been removed meanwhile".to_owned(),
        );
    };
    let name = one_line(&domain.name);
    if names.contains(&name.to_lowercase()) && definition.vm_id.is_none() {
        return Proposal::Cannot(format!(
            "another VM has the name {name}; rename one of the two"
        ));
    }
    let (id, guessed) = match &definition.vm_id {
        Some(id) => (id.clone(), false),
        None => match name
            .parse::<VmId>()
            .or_else(|_| domain.uuid.to_string().parse())
        {
            Ok(id) => (id, true),
            Err(error) => return Proposal::Cannot(error.to_string()),
        },
    };
    match domain::draft(domain, &id, &definition.xml) {
        Ok(draft) => {
            let mut notes = draft.notes;
            if guessed {
                notes.insert(
                    0,
                    "the node no longer has the vm_id of this domain: it is a guess".to_owned(),
                );
            }
            let config = Box::new(draft.config);
            Proposal::Register { id, config, notes }
        }
        Err(why) => Proposal::Cannot(one_line(&why)),
    }
}

#[cfg(test)]
mod tests;
