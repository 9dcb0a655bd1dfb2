//! `o_vm healthy-nodes`: the healthy nodes of a list, in the order of the list. It asks the
//! cluster once for any number of nodes.

use argh::FromArgs;

use super::finish;
use crate::cli::output::{print, print_error};
use crate::cli::{Env, Error, usage_error};
use crate::model::exit::Exit;
use crate::model::node::{Health, Node};

/// Filter a list of nodes to the healthy ones.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "healthy-nodes", help_triggers("--help", "-h"))]
pub struct HealthyNodes {
    /// node names, separated by spaces
    #[argh(positional)]
    nodes: String,
}

impl HealthyNodes {
    /// The names on stdout, the count on stderr; 1 for an empty list.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("healthy-nodes", self.filter(env))
    }

    fn filter(&self, env: &Env) -> Result<(), Error> {
        let wanted: Vec<_> = self.nodes.split_whitespace().collect();
        if wanted.is_empty() {
            return Err(usage_error("a list of nodes is required"));
        }
        let nodes = env.nodes()?;
        let is_healthy = |name: &&&str| is_healthy(&nodes, name);
        let healthy: Vec<_> = wanted.iter().filter(is_healthy).copied().collect();
        let (count, all) = (healthy.len(), wanted.len());
        print_error(&format!("{count} of {all} nodes healthy"));
        print(&healthy.join(" "));
        Ok(())
    }
}

fn is_healthy(nodes: &[Node], name: &str) -> bool {
    let mut found = nodes.iter().filter(|node| node.name.as_str() == name);
    found.any(|node| node.health == Health::Healthy)
}
