//! `n_vm config`: fetch, parse, print as the contract writes it. No side effect.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use hps_core::config::{Parsed, VmConfig};
use hps_core::kv;
use hps_core::names::VmId;

use crate::app::App;
use crate::error::Error;
use crate::ips::IpsError;

/// Between two looks at the signal flag while the IPS answers.
const TICK: Duration = Duration::from_millis(50);
/// Largest config that is read: one byte more is one too many already.
const MOST: u64 = kv::MAX_BYTES as u64;

/// Prints the config of a VM.
pub(crate) fn config(app: &App, id: &VmId) -> Result<String, Error> {
    Ok(fetch(app, id)?.config.to_text())
}

/// The VM config as the IPS has it now.
pub(crate) fn fetch(app: &App, id: &VmId) -> Result<Parsed, Error> {
    let body = text(app, id).map_err(Error::Fetch)?;
    let parsed = VmConfig::parse(&body).map_err(Error::Config)?;
    if !parsed.unknown_keys.is_empty() {
        tracing::warn!(keys = %parsed.unknown_keys.join(" "), "unknown keys in the VM config are ignored");
    }
    Ok(parsed)
}

/// Fetches in a thread of its own, so that a signal ends the waiting.
fn text(app: &App, id: &VmId) -> Result<Vec<u8>, IpsError> {
    let (ips, id, within) = (app.ips()?, id.clone(), app.settings.fetch_timeout);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let query = [
            ("cmd", "vm"),
            ("get_config", "get_config"),
            ("vm_id", id.as_str()),
        ];
        let answer = ips.post_at_most(&query, b"", within, MOST);
        // Nobody listens any more where a signal came.
        let _ = sender.send(answer.and_then(|answer| ips.accepted(answer)));
    });
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if app.signals.received().is_none() => {}
            Err(_) => return Err(IpsError::Interrupted),
        }
    }
}
