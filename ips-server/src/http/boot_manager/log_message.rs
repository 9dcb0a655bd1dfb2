//! `cmd=log_message`: a line for the log, under the node's name.

use crate::http::call::Call;
use crate::http::reply::{Answer, Failure, Reply};

pub(in crate::http) fn post(call: &mut Call<'_>) -> Answer {
    let query = &call.request.query;
    let Some(message) = query.get("message") else {
        return Err(Failure::refused(400, "message is missing"));
    };
    let address = call.request.client.address;
    if !call.server.log_limit.admits(address) {
        return Err(Failure::refused(429, "too many messages"));
    }
    let node = call.grant.as_ref().and_then(|grant| grant.node.as_ref());
    let node = node.map_or_else(|| address.to_string(), ToString::to_string);
    let function = query.get("function").unwrap_or_default();
    tracing::info!(%node, function, "{message}");
    Ok(Reply::no_content())
}
