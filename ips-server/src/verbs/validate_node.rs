//! `o_vm validate-node`: whether a node can take verbs. Exit codes 0 to 4 and log lines are
//! the specification's.

use argh::FromArgs;
use hps_core::names::NodeName;

use crate::cli::Env;
use crate::cli::output::print_error;
use crate::error::chain;
use crate::model::exit::Exit;
use crate::model::node::Health;
use crate::syslog::{Level, log};

/// Check that a node is in the cluster, reachable and not frozen.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "validate-node", help_triggers("--help", "-h"))]
pub struct ValidateNode {
    /// name of the node
    #[argh(positional)]
    node: String,
    /// print nothing
    #[argh(switch, short = 'q')]
    quiet: bool,
}

impl ValidateNode {
    /// 0 healthy, 1 parameters, 2 not in the cluster, 3 not reachable, 4 frozen.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let (exit, level, line) = self.validate(env);
        if !self.quiet {
            print_error(&line);
            // Without a syslog the line on stderr is enough.
            let _ = log("o_vm", level, &line);
        }
        exit
    }

    fn validate(&self, env: &Env) -> (Exit, Level, String) {
        if self.node.is_empty() {
            return (
                Exit::Parameters,
                Level::Err,
                "o_vm_validate_node: node_name is required".to_owned(),
            );
        }
        let name: NodeName = match self.node.parse() {
            Ok(name) => name,
            Err(_) => return not_in_cluster(&self.node),
        };
        match env.nodes() {
            Ok(nodes) => verdict(
                &name,
                nodes
                    .into_iter()
                    .find(|node| node.name == name)
                    .map(|node| node.health),
            ),
            Err(error) => (error.exit(), Level::Err, chain(&error)),
        }
    }
}

fn verdict(name: &NodeName, health: Option<Health>) -> (Exit, Level, String) {
    match health {
        Some(Health::Healthy) => (
            Exit::Success,
            Level::Info,
            format!("Node {name} validated successfully"),
        ),
        Some(Health::NotReachable(why)) => (
            Exit::NodeNotReachable,
            Level::Err,
            format!("Node {name} not reachable ({why})"),
        ),
        Some(Health::Frozen(why)) => (
            Exit::NodeFrozen,
            Level::Err,
            format!("Node {name} is frozen ({why})"),
        ),
        Some(Health::NotInCluster) | None => not_in_cluster(name.as_str()),
    }
}

fn not_in_cluster(name: &str) -> (Exit, Level, String) {
    let name = hps_core::kv::one_line(name);
    (
        Exit::NodeNotInCluster,
        Level::Err,
        format!("Node {name} not found in cluster"),
    )
}
