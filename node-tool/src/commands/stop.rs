//! `n_vm stop`: virsh's `shutdown` only sends an ACPI request, and a guest that is not
//! listening yet loses it. `--wait` sends it again until the domain really is off.

use std::time::{Duration, Instant};

use argh::FromArgs;
use hps_core::duration::TimeSpan;
use hps_core::names::VmName;
use hps_core::state::VmState;

use super::{Command, Done};
use crate::app::{App, Domain};
use crate::error::{Error, Hint};
use crate::spec::{Link, Spec};
use crate::virsh::Act;

/// How long `--wait` waits without `--timeout`.
const PATIENCE: TimeSpan = TimeSpan::seconds(90);

/// Ask a VM to shut down, or force it off.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "stop", help_triggers("--help", "-h"))]
pub(crate) struct Stop {
    /// wait until it is off; repeat the request now and then
    #[argh(switch)]
    wait: bool,
    /// how long to wait: 90, 90s, 2m or 1h (default 90s)
    #[argh(option, arg_name = "time")]
    timeout: Option<TimeSpan>,
    /// force it off when that time is over
    #[argh(switch)]
    force_after: bool,
    /// the VM
    #[argh(positional)]
    name: VmName,
    /// the word force: force it off at once
    #[argh(positional, from_str_fn(force))]
    force: Option<()>,
}

/// The word `force`, which the specification has in the place of an option.
pub(super) fn force(word: &str) -> Result<(), String> {
    (word == "force")
        .then_some(())
        .ok_or_else(|| format!("want the word force, not {word:?}"))
}

impl Command for Stop {
    const SPEC: Spec = Spec {
        reaches: Some(is_off),
        links: &[Link::new("n_vm_stop")],
        ..Spec::changing("stop")
    };

    fn vm(&self) -> &str {
        self.name.as_str()
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        let domain = app.domain(&self.name, &Self::SPEC, Hint::None)?;
        let state = domain.info.state;
        if is_off(state) {
            return Ok(Done::changed("is off already", state));
        }
        if self.force.is_some() {
            return force_off(app, &domain, "was forced off");
        }
        if state != VmState::Running {
            let hint = "n_vm unpause resumes it, n_vm stop NAME force forces it off";
            return Err(Error::WrongState { state, hint });
        }
        if let Err(error) = request(app, &domain)
            && !is_off_now(app, &domain)?
        {
            return Err(error);
        }
        match self.patience() {
            None => Ok(Done::changed("shutdown requested", VmState::Running)),
            Some(patience) => self.wait(app, &domain, patience),
        }
    }
}

impl Stop {
    /// How long to wait, where anything asks for it.
    fn patience(&self) -> Option<Duration> {
        let waits = self.wait || self.force_after || self.timeout.is_some();
        waits.then_some(self.timeout.unwrap_or(PATIENCE).get())
    }

    /// Repeats the request until the domain is off or the time is over.
    fn wait(&self, app: &App, domain: &Domain, patience: Duration) -> Result<Done, Error> {
        let (began, mut requested) = (Instant::now(), Instant::now());
        while !is_off_now(app, domain)? {
            if app.signals.received().is_some() {
                let request = "the shutdown request stays with the domain";
                return Err(Error::Interrupted(request));
            }
            if began.elapsed() >= patience && self.force_after {
                let message = "did not shut down in time and was forced off";
                return force_off(app, domain, message);
            }
            if began.elapsed() >= patience {
                return Err(Error::StillRunning(patience));
            }
            if requested.elapsed() >= app.settings.resend_interval {
                requested = Instant::now();
                // A domain that went off meanwhile refuses it; the next look shows that.
                if let Err(error) = request(app, domain) {
                    tracing::debug!("{}", error.chain());
                }
            }
            let left = patience.saturating_sub(began.elapsed());
            std::thread::sleep(app.settings.poll_interval.min(left));
        }
        Ok(Done::changed("shut down", app.state(domain.uuid)?))
    }
}

fn request(app: &App, domain: &Domain) -> Result<(), Error> {
    app.act(domain.uuid, Act::Shutdown, &domain.locks)
}

/// As pulling the plug: the guest cannot prevent it, and cannot save anything.
fn force_off(app: &App, domain: &Domain, message: &str) -> Result<Done, Error> {
    let state = app.change(domain.uuid, Act::Destroy, &Stop::SPEC, &domain.locks)?;
    Ok(Done::changed(message, state))
}

fn is_off_now(app: &App, domain: &Domain) -> Result<bool, Error> {
    app.state(domain.uuid).map(is_off)
}

/// A transient domain is absent once it is off.
pub(super) fn is_off(state: VmState) -> bool {
    match state {
        VmState::ShutOff | VmState::Crashed | VmState::Absent => true,
        VmState::Running | VmState::Paused | VmState::PmSuspended | VmState::Unknown => false,
    }
}
