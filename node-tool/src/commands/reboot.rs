//! `n_vm reboot`: virsh's `reboot` only asks the guest, `reset` restarts it at once. The
//! state of a domain is `running` before and after a restart: only libvirt's `reboot` event,
//! which comes with the reset of the virtual hardware, proves that a guest did restart.

use std::sync::atomic::{AtomicBool, Ordering};
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

/// How long `--wait` waits unless `--timeout` says otherwise.
const PATIENCE: TimeSpan = TimeSpan::seconds(90);
/// Longest pause between two looks at the listener.
const TICK: Duration = Duration::from_millis(20);

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

/// Requests a reboot and waits for the event that proves it.
fn restart(app: &App, domain: &Domain, patience: Duration) -> Result<Done, Error> {
    loop {
        let enough = AtomicBool::new(false);
        let listener = app.virsh().listen_for_reboot(domain.uuid, patience);
        let (is_requested, heard) = std::thread::scope(|scope| {
            let listener = scope.spawn(|| listener.interrupted_by(&enough).run());
            let is_requested = wait(app, domain, patience, &|| listener.is_finished());
            enough.store(true, Ordering::Relaxed);
            let heard = listener.join();
            let heard = heard.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            is_requested.map(|is_requested| (is_requested, heard))
        })?;
        let is_proved = proof(heard, is_requested, patience)?;
        // A restart before the request is not its result.
        if is_proved && is_requested {
            return Ok(Done::changed("restarted", app.state(domain.uuid)?));
        }
    }
}

/// Requests the reboot while the listener runs, and waits until it has heard of a restart or
/// the time is over. `false`: the listener ended before anything was requested.
fn wait(
    app: &App,
    domain: &Domain,
    patience: Duration,
    is_over: &dyn Fn() -> bool,
) -> Result<bool, Error> {
    // virsh does not show when it listens. This look starts after it, and takes the same
    // steps: the program, the connection, a call.
    app.state(domain.uuid)?;
    if is_over() {
        return Ok(false);
    }
    app.act(domain.uuid, Act::Reboot, &domain.locks)?;
    let (began, mut looked) = (Instant::now(), Instant::now());
    while !is_over() && began.elapsed() < patience {
        if app.signals.received().is_some() {
            let request = "the reboot request stays with the domain";
            return Err(Error::Interrupted(request));
        }
        if looked.elapsed() >= app.settings.poll_interval {
            let state = app.state(domain.uuid)?;
            if stop::is_off(state) {
                let hint = "it shut down instead of restarting; n_vm start starts it";
                return Err(Error::WrongState { state, hint });
            }
            looked = Instant::now();
        }
        std::thread::sleep(TICK.min(patience.saturating_sub(began.elapsed())));
    }
    Ok(true)
}

/// Whether the listener heard of a restart.
fn proof(
    heard: Result<Output, ExecError>,
    is_requested: bool,
    patience: Duration,
) -> Result<bool, Error> {
    let doing = if is_requested {
        "a reboot was requested, but libvirt's events were lost"
    } else {
        "no reboot was requested: listening for libvirt's events"
    };
    match heard.and_then(Output::success) {
        // event 'reboot' for domain 'web'
        Ok(output) if output.text().starts_with("event 'reboot' for domain ") => Ok(true),
        Ok(output) => {
            let source = output.nonsense("not a reboot event");
            Err(Error::Act { doing, source })
        }
        Err(ExecError::Interrupted { .. } | ExecError::TimedOut { .. }) if is_requested => {
            Err(Error::NotRestarted(patience))
        }
        Err(source) => Err(Error::Act { doing, source }),
    }
}
