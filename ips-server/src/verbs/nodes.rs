//! `o_vm nodes`: every node of the cluster, with its health and the reason for it.

use argh::FromArgs;

use super::finish;
use crate::cli::output::{print, print_json, print_table};
use crate::cli::{Env, Error};
use crate::json::NodeJson;
use crate::model::exit::Exit;
use crate::model::node::Node;

/// List the nodes with their health.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "nodes", help_triggers("--help", "-h"))]
pub struct Nodes {
    /// only nodes with this label: TAG or key=value
    #[argh(option, arg_name = "label")]
    tag: Option<String>,
    /// print only the names, separated by spaces
    #[argh(switch)]
    names: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

impl Nodes {
    /// Lists them.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("nodes", self.list(env))
    }

    fn list(&self, env: &Env) -> Result<(), Error> {
        let mut nodes = env.nodes()?;
        if let Some(tag) = &self.tag {
            nodes.retain(|node| has_label(node, tag));
        }
        if self.names {
            let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
            print(&names.join(" "));
            return Ok(());
        }
        let records = env.registry()?.nodes()?;
        let shown: Vec<_> = nodes
            .iter()
            .map(|node| NodeJson::of(node, &records))
            .collect();
        if self.json {
            print_json(&shown);
        } else {
            print_table(
                &["NODE", "HEALTH", "LOAD", "MEMORY", "LABELS", "REASON"],
                shown.iter().map(row),
            );
        }
        Ok(())
    }
}

fn row(node: &NodeJson<'_>) -> Vec<String> {
    let labels: Vec<_> = node
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    vec![
        node.node.to_owned(),
        node.health.unwrap_or_default().to_owned(),
        node.load_15m
            .map_or_else(|| "-".to_owned(), |load| format!("{load:.2}")),
        node.memory_mb
            .map_or_else(|| "-".to_owned(), |mb| format!("{mb} MiB")),
        labels.join(","),
        node.reason.unwrap_or_default().to_owned(),
    ]
}

/// `TAG` is a label of that name with any value, `key=value` that label with that value.
fn has_label(node: &Node, tag: &str) -> bool {
    match tag.split_once('=') {
        Some((key, value)) => node.labels.iter().any(|(k, v)| k == key && v == value),
        None => node.labels.iter().any(|(key, _)| key == tag),
    }
}
