//! From whatever state the domain is in to a persistent, running one. virt-install
//! starts a domain before it defines it: killed in between it leaves a transient one.

use hps_core::state::VmState;

use super::{Vm, here};
use crate::app::{App, Locks, Outcome};
use crate::commands::start::runs;
use crate::error::{Error, Hint};
use crate::virsh::Info;

/// After a virt-install that says it made the domain.
pub(super) fn made(app: &App, vm: &Vm, locks: &Locks) -> Result<Outcome, Error> {
    let info = app
        .dominfo(vm.uuid)?
        .ok_or(Error::NoSuchDomain(Hint::None))?;
    reach(app, vm, &info, "was created", locks)
}

/// The domain was here before.
pub(super) fn found(app: &App, vm: &Vm, locks: &Locks) -> Result<Outcome, Error> {
    let info = app
        .dominfo(vm.uuid)?
        .ok_or(Error::NoSuchDomain(Hint::None))?;
    crate::pools::settle_crashed(app);
    reach(app, vm, &info, "was here already", locks)
}

/// virt-install failed, and the domain is here all the same: another virt-install of this
/// VM was quicker, or this one got far enough.
pub(super) fn after_failure(
    app: &App,
    vm: &Vm,
    info: &Info,
    locks: &Locks,
) -> Result<Outcome, Error> {
    reach(app, vm, info, "is here although virt-install failed", locks)
}

fn reach(app: &App, vm: &Vm, info: &Info, how: &str, locks: &Locks) -> Result<Outcome, Error> {
    if !info.persistent {
        app.make_persistent(vm.uuid, locks)?;
    }
    let state = match info.state {
        VmState::ShutOff | VmState::Crashed => start(app, vm, locks)?,
        state @ (VmState::Running
        | VmState::Paused
        | VmState::PmSuspended
        | VmState::Absent
        | VmState::Unknown) => state,
    };
    let how = match (info.persistent, info.state == state) {
        (true, true) => how.to_owned(),
        (true, false) => format!("{how} and was started"),
        (false, _) => format!("{how} and was made persistent"),
    };
    Ok(here(vm.config.name.as_str(), &how, state))
}

fn start(app: &App, vm: &Vm, locks: &Locks) -> Result<VmState, Error> {
    let done = app.virsh().start(vm.uuid, &locks.files());
    app.reached(vm.uuid, runs, "starting the domain that is defined", done)
}
