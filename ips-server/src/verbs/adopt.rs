//! `o_vm adopt`: proposes a node's domains as definitions; `--take` registers them. For a lost
//! registry, or a node whose VMs are older than the registry.

use argh::FromArgs;
use hps_core::identity;
use hps_core::names::NodeName;
use hps_core::report::{DomainReport, Inventory};

use super::finish;
use super::import::Stream;
use crate::adoption::Proposals;
use crate::cli::output::{print, print_error};
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error};
use crate::model::exit::Exit;
use crate::operation::inventory;
use crate::registry::Registry;
use crate::registry::adoption::Adoption;

/// Print definitions for a node's unregistered domains; `--take` registers them.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "adopt", help_triggers("--help", "-h"))]
pub struct Adopt {
    /// name of the node
    #[argh(positional)]
    node: NodeName,
    /// register the definitions of this file, all or none; `-` is standard input
    #[argh(option, arg_name = "file")]
    take: Option<String>,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Adopt {
    /// Proposes, or registers.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let result = match &self.take {
            None => self.propose(env),
            Some(file) => self.take(env, file),
        };
        finish(&format!("adopt {}", self.node), result)
    }

    fn propose(&self, env: &Env) -> Result<(), Error> {
        let mut registry = env.registry()?;
        let inventory = self.inventory(env, &mut registry)?;
        let vms = registry.vms()?;
        let proposals = Proposals::of(&inventory, &vms);
        let text = proposals.text();
        if !text.is_empty() {
            print(text.trim_end());
        }
        let (node, owned) = (&self.node, proposals.owned());
        print_error(&match proposals.registrable() {
            0 => format!("adopt {node}: no domain to register; {owned} registered already"),
            new => format!(
                "adopt {node}: {new} to register, {owned} registered already; check and correct \
                 the definitions, then run `o_vm adopt {node} --take FILE`"
            ),
        });
        Ok(())
    }

    fn take(&self, env: &Env, file: &str) -> Result<(), Error> {
        let stream = Stream::read(file)?;
        let mut registry = env.registry()?;
        let inventory = self.inventory(env, &mut registry)?;
        let all = self.matched(&stream, &inventory)?;
        let author = env.author(self.reason.as_deref());
        let new = registry.adopt(&author, &self.node, &all);
        let new = new.map_err(|error| stream.failed(error))?;
        print(&format!(
            "{new} registered, {} registered already; run `o_vm sweep` to find domains of \
             them on other nodes",
            all.len() - new
        ));
        Ok(())
    }

    /// Each VM of the stream with its domain, which the node has now.
    fn matched<'a>(
        &self,
        stream: &'a Stream,
        inventory: &'a Inventory,
    ) -> Result<Vec<Adoption<'a>>, Error> {
        let find = |(at, (id, config))| {
            let uuid = identity::vm_uuid(id, config);
            let refused = |key, reason: String| stream.refused(at, key, &reason);
            let domain = (inventory.domains.iter()).find(|domain| domain.uuid == uuid);
            match domain {
                None => Err(refused(
                    "vm_id",
                    format!("{} has no domain with UUID {uuid}", self.node),
                )),
                Some(DomainReport {
                    definition: None, ..
                }) => Err(refused(
                    "vm_id",
                    format!("a create of {id} is still in progress on {}", self.node),
                )),
                Some(domain) if domain.name != config.name.as_str() => Err(refused(
                    "name",
                    format!(
                        "the name of domain {uuid} on {} is {:?}",
                        self.node, domain.name
                    ),
                )),
                Some(domain) => Ok(Adoption { id, config, domain }),
            }
        };
        stream
            .vms
            .iter()
            .enumerate()
            .map(|(at, (id, config))| find((at, (id, config))))
            .collect()
    }

    fn inventory(&self, env: &Env, registry: &mut Registry) -> Result<Inventory, Error> {
        let stop = interruptible();
        let engine = env.engine(&stop)?;
        inventory::definitions(registry, engine.as_ref(), &self.node)
    }
}
