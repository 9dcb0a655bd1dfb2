//! `o_vm nodes`: every configured node with its health and the reason.

use argh::FromArgs;

use super::Env;
use crate::json::ShownNode;
use crate::model::exit::Exit;
use crate::model::node::Node;
use crate::operation::Conclusion;

/// List the nodes and whether they can take VMs.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "nodes")]
pub struct Nodes {
    /// only nodes with this label: TAG or key=value
    #[argh(option, arg_name = "label")]
    tag: Option<String>,
    /// print the names only, parted by spaces
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
        let listed = self.list(env);
        listed.map_or_else(
            |conclusion| {
                super::print_error(&format!("nodes: {}", conclusion.message));
                conclusion.code
            },
            |()| Exit::Success,
        )
    }

    fn list(&self, env: &Env) -> Result<(), Conclusion> {
        let mut nodes = super::all_nodes(env)?;
        if let Some(tag) = &self.tag {
            nodes.retain(|node| has_label(node, tag));
        }
        if self.names {
            let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
            super::say(&names.join(" "));
            return Ok(());
        }
        let records = env
            .registry()?
            .nodes()
            .map_err(|error| super::registry_failed(&error))?;
        let shown: Vec<_> = nodes
            .iter()
            .map(|node| ShownNode::of(node, &records))
            .collect();
        if self.json {
            super::say_json(&shown);
        } else {
            super::say_table(
                &["NODE", "HEALTH", "LOAD", "MEMORY", "LABELS", "REASON"],
                shown.iter().map(row),
            );
        }
        Ok(())
    }
}

fn row(node: &ShownNode<'_>) -> Vec<String> {
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

/// `TAG`: a label of that name; `key=value`: that very label.
fn has_label(node: &Node, tag: &str) -> bool {
    match tag.split_once('=') {
        Some((key, value)) => node.labels.iter().any(|(k, v)| k == key && v == value),
        None => node.labels.iter().any(|(key, _)| key == tag),
    }
}
