//! `n_vm config`: fetches a config, parses it, and prints it in the form of contract 1. It
//! changes nothing.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use argh::FromArgs;
use hps_core::config::{ParsedConfig, VmConfig};
use hps_core::kv;
use hps_core::names::VmId;

use super::{Command, Done};
use crate::app::App;
use crate::error::Error;
use crate::ips::IpsError;
use crate::spec::{Address, Spec};

/// Time between two polls of the signal flag while the IPS answers.
const TICK: Duration = Duration::from_millis(50);
/// Largest config that is read, in bytes.
const MOST: u64 = kv::MAX_BYTES as u64;

/// Fetch a VM's config and print it; change nothing.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "config", help_triggers("--help", "-h"))]
pub(crate) struct Config {
    /// the VM
    #[argh(positional)]
    vm_id: VmId,
}

impl Command for Config {
    const SPEC: Spec = Spec {
        vm: Address::VmId,
        ..Spec::new("config")
    };

    fn vm(&self) -> &str {
        self.vm_id.as_str()
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        Ok(Done::shown(fetch(app, &self.vm_id)?.config.to_text()))
    }
}

/// The VM config as the IPS has it now.
pub(crate) fn fetch(app: &App, id: &VmId) -> Result<ParsedConfig, Error> {
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
    let (waiter, answer) = (thread::current(), Arc::new(Mutex::new(None)));
    let slot = answer.clone();
    let fetching = thread::spawn(move || {
        let query = [
            ("cmd", "vm"),
            ("get_config", "get_config"),
            ("vm_id", id.as_str()),
        ];
        let fetched = ips.post_at_most(&query, b"", within, MOST);
        let fetched = fetched.and_then(|answer| ips.accepted(answer));
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(fetched);
        }
        waiter.unpark();
    });
    loop {
        // Read before the answer: a finished thread has sent its answer, unless it panicked.
        let is_over = fetching.is_finished();
        if let Some(fetched) = answer.lock().ok().and_then(|mut answer| answer.take()) {
            return fetched;
        }
        if is_over || app.signals.received().is_some() {
            return Err(IpsError::Interrupted);
        }
        thread::park_timeout(TICK);
    }
}
