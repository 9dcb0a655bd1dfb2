//! Brings the domain from any state to a persistent, running one. virt-install
//! starts a domain before it defines it: killed in between it leaves a transient one.

use hps_core::state::VmState;

use super::{Create, Vm, created};
use crate::app::{App, Locks};
use crate::commands::{Command, Done};
use crate::error::{Error, Hint};
use crate::virsh::{Act, Info};

/// After a virt-install that exited 0.
pub(super) fn made(app: &App, vm: &Vm, locks: &Locks) -> Result<Done, Error> {
    let info = app
        .dominfo(vm.uuid)?
        .ok_or(Error::NoSuchDomain(Hint::None))?;
    reach(app, vm, &info, "was created", locks)
}

/// The domain was here before.
pub(super) fn found(app: &App, vm: &Vm, locks: &Locks) -> Result<Done, Error> {
    let info = app
        .dominfo(vm.uuid)?
        .ok_or(Error::NoSuchDomain(Hint::None))?;
    crate::pools::settle_crashed(app);
    reach(app, vm, &info, "was here already", locks)
}

/// virt-install failed, but the domain exists: another virt-install of this VM was quicker, or
/// this one failed after it had started the domain.
pub(super) fn after_failure(app: &App, vm: &Vm, info: &Info, locks: &Locks) -> Result<Done, Error> {
    reach(app, vm, info, "is here although virt-install failed", locks)
}

/// Defines the domain where it is transient, starts it where it is off.
fn reach(app: &App, vm: &Vm, info: &Info, how: &str, locks: &Locks) -> Result<Done, Error> {
    if !info.persistent {
        app.make_persistent(vm.uuid, locks)?;
    }
    let state = match info.state {
        VmState::ShutOff | VmState::Crashed => {
            app.change(vm.uuid, Act::Start, &Create::SPEC, locks)?
        }
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
    Ok(created(vm.config.name.as_str(), &how, state))
}
