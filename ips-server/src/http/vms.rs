//! `GET /v1/vms` and `/v1/vms/ID`: VMs as JSON.

use hps_core::names::{VmId, VmName};

use super::call::Call;
use super::reply::{Answer, Failure, Reply};
use crate::json::{self, VmJson};

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let stale_after = call.server.settings.stale_after;
    let json = json::vms_json(call.registry, stale_after, |_| true)?;
    Ok(Reply::json_text(json))
}

/// By vm_id or name.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let path = call.request.path();
    let name = path.strip_prefix("/v1/vms/").unwrap_or_default();
    if name.parse::<VmId>().is_err() && name.parse::<VmName>().is_err() {
        return Err(Failure::refused(400, "not a valid VM name or vm_id"));
    }
    let stale_after = call.server.settings.stale_after;
    match call.registry.find(name)? {
        Some(vm) => Ok(Reply::json(&VmJson::of(&vm, stale_after))),
        None => Err(Failure::refused(404, format!("VM {name} is not defined"))),
    }
}
