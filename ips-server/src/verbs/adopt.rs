//! `o_vm adopt`: a registry that was lost, or a node that was there before it. Proposes
//! the node's domains as definitions; takes them only when told to.

use argh::FromArgs;
use hps_core::identity;
use hps_core::names::NodeName;
use hps_core::report::{DomainReport, Inventory};

use super::import::Stream;
use super::{Env, done, print_error, registry_failed, say};
use crate::adoption::Proposals;
use crate::model::exit::Exit;
use crate::operation::{Conclusion, inventory};
use crate::registry::Registry;
use crate::registry::adoption::Adopted;

/// Print what a node has that the registry does not know, as definitions; take them.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "adopt")]
pub struct Adopt {
    /// node to ask
    #[argh(positional)]
    node: NodeName,
    /// take what this file says, all or none: the stream that was printed, corrected; `-` is
    /// standard input
    #[argh(option, arg_name = "file")]
    take: Option<String>,
    /// why, for the audit
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Adopt {
    /// Proposes, or takes.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let result = match &self.take {
            None => self.propose(env),
            Some(file) => self.take(env, file),
        };
        done(&format!("adopt {}", self.node), result)
    }

    fn propose(&self, env: &Env) -> Result<(), Conclusion> {
        let mut registry = env.registry()?;
        let inventory = self.inventory(env, &mut registry)?;
        let vms = registry.vms().map_err(|error| registry_failed(&error))?;
        let proposals = Proposals::of(&inventory, &vms);
        let text = proposals.text();
        if !text.is_empty() {
            say(text.trim_end());
        }
        let (node, owned) = (&self.node, proposals.owned());
        print_error(&match proposals.takeable() {
            0 => format!("adopt {node}: nothing to take; it owns {owned} of its domains"),
            new => format!(
                "adopt {node}: {new} to take, {owned} owned already; read it, correct it, then \
                 `o_vm adopt {node} --take FILE`"
            ),
        });
        Ok(())
    }

    fn take(&self, env: &Env, file: &str) -> Result<(), Conclusion> {
        let stream = Stream::read(file)?;
        let mut registry = env.registry()?;
        let inventory = self.inventory(env, &mut registry)?;
        let all = self.matched(&stream, &inventory)?;
        let author = env.author(self.reason.as_deref());
        let new = registry.adopt(&author, &self.node, &all);
        let new = new.map_err(|error| stream.failed(&error))?;
        say(&format!(
            "{new} VMs taken, {} owned already; `o_vm sweep` tells of other nodes that have one too",
            all.len() - new
        ));
        Ok(())
    }

    /// Each VM of the stream with its domain, which the node has now.
    fn matched<'a>(
        &self,
        stream: &'a Stream,
        inventory: &'a Inventory,
    ) -> Result<Vec<Adopted<'a>>, Conclusion> {
        let find = |(at, (id, config))| {
            let uuid = identity::vm_uuid(id, config);
            let refused = |key, reason: String| stream.refused(at, key, &reason);
            let domain = (inventory.domains.iter()).find(|domain| domain.uuid == uuid);
            match domain {
                None => Err(refused(
                    "vm_id",
                    format!("{} has no domain with the UUID {uuid}", self.node),
                )),
                Some(DomainReport {
                    definition: None, ..
                }) => Err(refused(
                    "vm_id",
                    format!("a create of {id} is still at work on {}", self.node),
                )),
                Some(domain) if domain.name != config.name.as_str() => Err(refused(
                    "name",
                    format!(
                        "the domain {uuid} is called {:?} on {}",
                        domain.name, self.node
                    ),
                )),
                Some(domain) => Ok(Adopted { id, config, domain }),
            }
        };
        stream
            .vms
            .iter()
            .enumerate()
            .map(|(at, (id, config))| find((at, (id, config))))
            .collect()
    }

    fn inventory(&self, env: &Env, registry: &mut Registry) -> Result<Inventory, Conclusion> {
        let stop = super::interruptible();
        let engine = env
            .engine(&stop)
            .map_err(|why| Conclusion::refused(Exit::Parameters, why))?;
        inventory::definitions(registry, engine.as_ref(), &self.node).map_err(Conclusion::from)
    }
}
