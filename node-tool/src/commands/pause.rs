//! `n_vm pause`: the domain stays in memory, its CPUs stop.

use hps_core::names::VmName;
use hps_core::state::VmState;
use hps_core::verb::Verb;

use crate::app::{App, Outcome};
use crate::error::{Error, Hint};

/// Pauses a domain that runs.
pub(crate) fn pause(app: &App, name: &VmName) -> Result<Outcome, Error> {
    let (uuid, info, locks) = app.domain(name, Verb::Pause, Hint::None)?;
    match info.state {
        VmState::Running => {
            let done = app.virsh().suspend(uuid, &locks.files());
            let is_paused = |state| state == VmState::Paused;
            let state = app.reached(uuid, is_paused, "pausing the domain", done)?;
            Ok(Outcome::new("paused", state))
        }
        VmState::Paused => Ok(Outcome::new("is paused already", VmState::Paused)),
        state @ (VmState::ShutOff
        | VmState::Crashed
        | VmState::PmSuspended
        | VmState::Absent
        | VmState::Unknown) => {
            let hint = "only what runs can be paused";
            Err(Error::WrongState { state, hint })
        }
    }
}
