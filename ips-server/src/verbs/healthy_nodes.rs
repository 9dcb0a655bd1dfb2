//! `o_vm healthy-nodes`: of a list of nodes, those that verbs may be sent to. One
//! question to the cluster for any number of nodes.

use argh::FromArgs;

use super::Env;
use crate::model::exit::Exit;
use crate::model::node::{Health, Node};

/// Filter a list of nodes to the healthy ones.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "healthy-nodes")]
pub struct HealthyNodes {
    /// node names, parted by spaces
    #[argh(positional)]
    nodes: String,
}

impl HealthyNodes {
    /// The names on stdout, the count on stderr; 1 for an empty list.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let asked: Vec<_> = self.nodes.split_whitespace().collect();
        if asked.is_empty() {
            super::print_error("healthy-nodes: a list of nodes is required");
            return Exit::Parameters;
        }
        match super::all_nodes(env) {
            Ok(nodes) => tell(&asked, &nodes),
            Err(conclusion) => {
                super::print_error(&format!("healthy-nodes: {}", conclusion.message));
                conclusion.code
            }
        }
    }
}

fn tell(asked: &[&str], nodes: &[Node]) -> Exit {
    let is_healthy = |name: &str| {
        nodes
            .iter()
            .any(|node| node.name.as_str() == name && node.health == Health::Healthy)
    };
    let healthy: Vec<_> = asked
        .iter()
        .filter(|name| is_healthy(name))
        .copied()
        .collect();
    super::print_error(&format!(
        "{} of {} nodes healthy",
        healthy.len(),
        asked.len()
    ));
    super::say(&healthy.join(" "));
    Exit::Success
}
