//! `GET /v1/operations`: the newest operations of the journal as JSON.

use super::call::Call;
use super::reply::{Answer, Reply};
use crate::json::OperationJson;

/// How many operations one answer holds.
const MAX_OPERATIONS: u32 = 1000;

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let operations = call.registry.operations(None, MAX_OPERATIONS)?;
    let shown: Vec<_> = operations.iter().map(OperationJson::of).collect();
    Ok(Reply::json(&shown))
}
