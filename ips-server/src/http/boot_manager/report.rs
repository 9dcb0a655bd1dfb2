//! `cmd=vm&report=report`: what a node says about the end of its verb.

use hps_core::report::Report;

use crate::http::auth::Denied;
use crate::http::call::Call;
use crate::http::reply::{Answer, Failure, Reply};
use crate::registry::tokens::{Grant, ReportOutcome};

pub(in crate::http) fn post(call: &mut Call<'_>) -> Answer {
    let report = Report::parse(&call.request.body)
        .map_err(|error| Failure::refused(400, format!("report: {error}")))?;
    if !call
        .grant
        .as_ref()
        .is_some_and(|grant| is_of(&report, grant))
    {
        return Err(Failure::Denied(Denied::OtherVm));
    }
    match call.registry.record_report(&report)? {
        ReportOutcome::Recorded => Ok(Reply::no_content()),
        ReportOutcome::Contradicted => Err(Failure::refused(
            409,
            "the operation has a different report already",
        )),
        ReportOutcome::Closed => Err(Failure::refused(403, "the operation is closed")),
    }
}

/// Whether a report is about the token's own operation in every respect.
fn is_of(report: &Report, grant: &Grant) -> bool {
    grant.session == Some(report.operation)
        && grant.vm.as_ref() == Some(&report.vm_id)
        && grant.verb == Some(report.verb)
        && grant.node.as_ref() == Some(&report.node)
}
