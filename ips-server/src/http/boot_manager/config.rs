//! `cmd=vm&get_config`: the config of a VM.

use hps_core::kv::one_line;
use hps_core::names::VmId;

use crate::http::auth::Denied;
use crate::http::call::Call;
use crate::http::reply::{Answer, Failure, Reply};

pub(in crate::http) fn get(call: &mut Call<'_>) -> Answer {
    let Some(id) = call.request.query.get("vm_id") else {
        return Err(Failure::refused(400, "vm_id is missing"));
    };
    let id: VmId = id
        .parse()
        .map_err(|error| Failure::refused(400, one_line(&format!("{error}"))))?;
    if let Some(grant) = &call.grant
        && grant.vm.as_ref() != Some(&id)
    {
        return Err(Failure::Denied(Denied::OtherVm));
    }
    match call.registry.vm(&id)? {
        Some(vm) => Ok(Reply::text(vm.config.to_text())),
        None => Err(Failure::refused(404, format!("VM {id} is not defined"))),
    }
}
