//! Reports the result of a verb to the IPS. Best effort, with a time limit: it changes no
//! exit code.

use std::time::{Duration, Instant};

use hps_core::report::Report;
use hps_core::state::VmState;
use hps_core::verb::VerbName;

use crate::app::App;
use crate::ips::{Ips, IpsError};

/// How long the line for the IPS log may take.
const LOG_WITHIN: Duration = Duration::from_secs(2);
/// The same where the default gateway may not be an IPS at all.
const GUESS_WITHIN: Duration = Duration::from_millis(500);
/// Tries of a report.
const TRIES: u32 = 3;

/// Sends the result line to the IPS log.
pub(crate) fn log_line(app: &App, function: &str, message: &str) {
    let known = app.settings.ips.is_some() || app.task.token.is_some();
    let within = if known { LOG_WITHIN } else { GUESS_WITHIN };
    let Ok(ips) = app.ips() else { return };
    if let Err(error) = log_message(&ips, message, function, within) {
        tracing::debug!(%error, "the IPS log was not reached");
    }
}

/// `cmd=log_message`.
pub(crate) fn log_message(
    ips: &Ips,
    message: &str,
    function: &str,
    within: Duration,
) -> Result<Vec<u8>, IpsError> {
    let query = [
        ("cmd", "log_message"),
        ("message", message),
        ("function", function),
    ];
    ips.accepted(ips.post(&query, b"", within)?)
}

/// Reports the result, where this verb belongs to an operation.
pub(crate) fn report(app: &App, verb: VerbName, exit_code: u8, state: VmState, message: &str) {
    let task = &app.task;
    let (Some(_), Some(operation), Some(vm_id), Some(node)) =
        (&task.token, task.operation, &task.vm_id, &task.node)
    else {
        return;
    };
    let report = Report {
        operation,
        vm_id: vm_id.clone(),
        verb,
        node: node.clone(),
        exit_code,
        state,
        message: message.to_owned(),
    };
    if let Err(error) = send(app, "report", &report.to_text()) {
        tracing::warn!(%error, "the result was not reported to the IPS");
    }
}

/// Posts a body as `cmd=vm&report=WHAT`, a few times within `report_timeout`.
pub(crate) fn send(app: &App, what: &str, body: &str) -> Result<(), IpsError> {
    let (ips, began) = (app.ips()?, Instant::now());
    let mut tries = 0;
    loop {
        tries += 1;
        let left = app.settings.report_timeout.saturating_sub(began.elapsed());
        let share = left / (TRIES + 1 - tries).max(1);
        let query = [("cmd", "vm"), ("report", what)];
        let sent = ips.post(&query, body.as_bytes(), share.max(Duration::from_millis(1)));
        match sent.and_then(|answer| ips.accepted(answer)) {
            Ok(_) => return Ok(()),
            // The same request would be refused again.
            Err(
                error @ IpsError::Status {
                    status: 400..=499, ..
                },
            ) => return Err(error),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => std::thread::sleep((left / 20).min(Duration::from_millis(200))),
        }
    }
}
