//! `n_vm config`: fetches a config, parses it, and prints it in the form of contract 1. It
//! changes nothing.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use argh::FromArgs;
use hps_core::config::{Parsed, VmConfig};
use hps_core::kv;
use hps_core::names::VmId;

use super::{Command, Done};
use crate::app::App;
use crate::error::Error;
use crate::ips::IpsError;
use crate::spec::{Address, Spec};

/// Time between two looks at the signal flag while the IPS answers.
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
        // After a signal the receiver is gone.
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
