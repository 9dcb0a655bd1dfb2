//! `n_vm stop`: virsh's `shutdown` only sends an ACPI request, and a guest that is not
//! listening yet loses it. `--wait` sends it again until the domain really is off.

use std::time::{Duration, Instant};

use hps_core::names::VmName;
use hps_core::state::VmState;
use hps_core::verb::Verb;
use uuid::Uuid;

use crate::app::{App, Locks, Outcome};
use crate::error::{Error, Hint};

/// How a domain is to be stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Pull the plug at once.
    pub force: bool,
    /// Wait this long until it is off.
    pub wait: Option<Duration>,
    /// Pull the plug when the time is over.
    pub force_after: bool,
}

/// Stops a domain.
pub(crate) fn stop(app: &App, name: &VmName, how: How) -> Result<Outcome, Error> {
    let (uuid, info, locks) = app.domain(name, Verb::Stop, Hint::None)?;
    if is_off(info.state) {
        return Ok(Outcome::new("is off already", info.state));
    }
    if how.force {
        let state = pull_the_plug(app, uuid, &locks)?;
        return Ok(Outcome::new("the plug was pulled", state));
    }
    if info.state != VmState::Running {
        let hint = "n_vm unpause lets it run on, n_vm stop NAME force pulls the plug";
        return Err(Error::WrongState {
            state: info.state,
            hint,
        });
    }
    if let Err(error) = request(app, uuid, &locks)
        && !now_off(app, uuid)?
    {
        return Err(error);
    }
    match how.wait {
        None => Ok(Outcome::new("shutdown requested", VmState::Running)),
        Some(patience) => wait(app, uuid, how, patience, &locks),
    }
}

fn wait(
    app: &App,
    uuid: Uuid,
    how: How,
    patience: Duration,
    locks: &Locks,
) -> Result<Outcome, Error> {
    let (began, mut requested) = (Instant::now(), Instant::now());
    while !now_off(app, uuid)? {
        if app.signals.received().is_some() {
            return Err(Error::Interrupted(
                "the shutdown request stays with the domain",
            ));
        }
        if began.elapsed() >= patience && how.force_after {
            let state = pull_the_plug(app, uuid, locks)?;
            let message = "did not shut down in time, the plug was pulled";
            return Ok(Outcome::new(message, state));
        }
        if began.elapsed() >= patience {
            return Err(Error::StillRunning(patience.as_secs_f64()));
        }
        if requested.elapsed() >= app.settings.resend_interval {
            requested = Instant::now();
            // A domain that went off meanwhile refuses it; the next look tells.
            if let Err(error) = request(app, uuid, locks) {
                tracing::debug!("{}", error.chain());
            }
        }
        std::thread::sleep(
            app.settings
                .poll_interval
                .min(patience.saturating_sub(began.elapsed())),
        );
    }
    off(app, uuid, "shut down")
}

fn request(app: &App, uuid: Uuid, locks: &Locks) -> Result<(), Error> {
    let sent = app.virsh().shutdown(uuid, &locks.files());
    app.act("requesting a shutdown", sent)
}

fn pull_the_plug(app: &App, uuid: Uuid, locks: &Locks) -> Result<VmState, Error> {
    let done = app.virsh().destroy(uuid, &locks.files());
    app.reached(uuid, is_off, "pulling the plug", done)
}

fn off(app: &App, uuid: Uuid, message: &str) -> Result<Outcome, Error> {
    let state = app
        .dominfo(uuid)?
        .map_or(VmState::Absent, |info| info.state);
    Ok(Outcome::new(message, state))
}

/// A transient domain is gone once it is off.
fn now_off(app: &App, uuid: Uuid) -> Result<bool, Error> {
    Ok(app.dominfo(uuid)?.is_none_or(|info| is_off(info.state)))
}

fn is_off(state: VmState) -> bool {
    match state {
        VmState::ShutOff | VmState::Crashed | VmState::Absent => true,
        VmState::Running | VmState::Paused | VmState::PmSuspended | VmState::Unknown => false,
    }
}
