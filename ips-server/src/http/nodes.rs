//! `GET /v1/nodes`: what the nodes have reported, as JSON.

use super::call::Call;
use super::reply::{Answer, Reply};
use crate::json::NodeJson;

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let nodes = call.registry.nodes()?;
    let shown: Vec<_> = nodes.iter().map(NodeJson::reported).collect();
    Ok(Reply::json(&shown))
}
