//! `cmd=vm&report=inventory`: all domains of a node.

use hps_core::report::Inventory;

use crate::http::auth::Denied;
use crate::http::call::Call;
use crate::http::reply::{Answer, Failure, Reply};
use crate::model::token;

pub(in crate::http) fn post(call: &mut Call<'_>) -> Answer {
    let inventory = Inventory::parse(&call.request.body)
        .map_err(|error| Failure::refused(400, format!("inventory: {error}")))?;
    let granted = call.grant.as_ref().filter(|grant| {
        grant.session.is_none()
            && grant.vm.is_none()
            && grant.node.as_ref() == Some(&inventory.node)
    });
    let Some(grant) = granted else {
        return Err(Failure::Denied(Denied::OtherVm));
    };
    let epoch = grant.epoch.unwrap_or_default();
    call.registry.record_inventory(&inventory, epoch)?;
    // The process that asked for it decides by this answer, not by later changes of the registry.
    if let Some(shown) = call.request.client.token.as_deref() {
        call.registry
            .keep_inventory(token::hash(shown), &inventory)?;
    }
    Ok(Reply::no_content())
}
