//! `n_vm reboot`: virsh's `reboot` only asks the guest, `reset` restarts it at once. The
//! state of a domain is `running` before and after a restart: only libvirt's `reboot` event,
//! which comes with the reset of the virtual hardware, proves that a guest did restart.

use std::time::{Duration, Instant};

use argh::FromArgs;
use hps_core::duration::TimeSpan;
use hps_core::exec::{ExecError, Output};
use hps_core::names::VmName;
use hps_core::state::VmState;

use super::{Command, Done, stop};
use crate::app::{App, Domain};
use crate::error::{Error, Hint};
use crate::spec::{Link, Spec};
use crate::virsh::Act;

/// How long `--wait` waits without `--timeout`.
const PATIENCE: TimeSpan = TimeSpan::seconds(90);

/// Ask a VM to reboot, or reset it.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "reboot", help_triggers("--help", "-h"))]
pub(crate) struct Reboot {
    /// wait until the guest has restarted
    #[argh(switch)]
    wait: bool,
    /// how long to wait: 90, 90s, 2m or 1h (default 90s)
    #[argh(option, arg_name = "time")]
    timeout: Option<TimeSpan>,
    /// the VM
    #[argh(positional)]
    name: VmName,
    /// the word force: reset it at once, without asking the guest
    #[argh(positional, from_str_fn(stop::force))]
    force: Option<()>,
}

impl Command for Reboot {
    const SPEC: Spec = Spec {
        reaches: Some(|state| state == VmState::Running),
        links: &[Link::new("n_vm_reboot")],
        ..Spec::changing("reboot")
    };

    fn vm(&self) -> &str {
        self.name.as_str()
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        let domain = app.domain(&self.name, &Self::SPEC, Hint::None)?;
        let state = domain.info.state;
        if state != VmState::Running {
            let hint = "only a running domain can be rebooted";
            return Err(Error::WrongState { state, hint });
        }
        match (self.force, self.patience()) {
            // The reset has taken place when virsh exits 0: there is nothing to wait for.
            (Some(()), _) => request(app, &domain, Act::Reset, "was reset"),
            (None, None) => request(app, &domain, Act::Reboot, "reboot requested"),
            (None, Some(patience)) => restart(app, &domain, patience),
        }
    }
}

impl Reboot {
    /// How long to wait, where anything asks for it.
    fn patience(&self) -> Option<Duration> {
        let waits = self.wait || self.timeout.is_some();
        waits.then_some(self.timeout.unwrap_or(PATIENCE).get())
    }
}

/// Requests a restart without waiting for it.
fn request(app: &App, domain: &Domain, act: Act, message: &str) -> Result<Done, Error> {
    app.act(domain.uuid, act, &domain.locks)?;
    // With `<on_reboot>destroy</on_reboot>` a reset ends the domain.
    let (state, doing) = (app.state(domain.uuid)?, act.doing());
    if state == VmState::Running {
        Ok(Done::changed(message, state))
    } else {
        Err(Error::NotDone { doing, state })
    }
}

/// Requests a reboot while a listener runs, and waits for the event that proves it.
fn restart(app: &App, domain: &Domain, patience: Duration) -> Result<Done, Error> {
    let listener = app.virsh().listen_for_reboot(domain.uuid, patience);
    let mut wait = Wait::new(app, domain, patience);
    let mut failure = None;
    let heard = listener.run_while(&mut || match wait.step() {
        Ok(goes_on) => goes_on,
        Err(error) => {
            failure = Some(error);
            false
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    proof(heard, wait.requested.is_some(), patience)?;
    Ok(Done::changed("restarted", app.state(domain.uuid)?))
}

/// What happens while the listener runs.
struct Wait<'a> {
    app: &'a App,
    domain: &'a Domain,
    patience: Duration,
    /// Whether the look before the request was made.
    has_looked: bool,
    requested: Option<Instant>,
    looked: Instant,
}

impl<'a> Wait<'a> {
    fn new(app: &'a App, domain: &'a Domain, patience: Duration) -> Self {
        Self {
            app,
            domain,
            patience,
            has_looked: false,
            requested: None,
            looked: Instant::now(),
        }
    }

    /// The next step; `false`: the time is over.
    fn step(&mut self) -> Result<bool, Error> {
        let Some(requested) = self.requested else {
            return self.request().map(|()| true);
        };
        if self.app.signals.received().is_some() {
            let request = "the reboot request stays with the domain";
            return Err(Error::Interrupted(request));
        }
        if self.looked.elapsed() >= self.app.settings.poll_interval {
            let state = self.app.state(self.domain.uuid)?;
            if stop::is_off(state) {
                let hint = "it shut down instead of restarting; n_vm start starts it";
                return Err(Error::WrongState { state, hint });
            }
            self.looked = Instant::now();
        }
        Ok(requested.elapsed() < self.patience)
    }

    /// virsh does not show when it listens. The look starts after it and takes the same
    /// steps: the program, the connection, a call. Only then comes the request.
    fn request(&mut self) -> Result<(), Error> {
        if !self.has_looked {
            self.app.state(self.domain.uuid)?;
            self.has_looked = true;
            return Ok(());
        }
        let (uuid, locks) = (self.domain.uuid, &self.domain.locks);
        self.app.act(uuid, Act::Reboot, locks)?;
        self.requested = Some(Instant::now());
        self.looked = Instant::now();
        Ok(())
    }
}

/// Whether the listener received a restart event after the request.
fn proof(
    heard: Result<Output, ExecError>,
    is_requested: bool,
    patience: Duration,
) -> Result<(), Error> {
    let doing = if is_requested {
        "a reboot was requested, but libvirt's events were lost"
    } else {
        "no reboot was requested: listening for libvirt's events"
    };
    let source = match heard.and_then(Output::success) {
        // event 'reboot' for domain 'web'
        Ok(output) if !output.text().starts_with("event 'reboot' for domain ") => {
            output.nonsense("not a reboot event")
        }
        Ok(_) if is_requested => return Ok(()),
        Ok(_) => return Err(Error::RestartedBefore),
        Err(ExecError::Interrupted { .. } | ExecError::TimedOut { .. }) if is_requested => {
            return Err(Error::NotRestarted(patience));
        }
        Err(source) => source,
    };
    Err(Error::Act { doing, source })
}
