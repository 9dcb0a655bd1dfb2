//! `n_vm unpause`: lets a paused domain run on.

use hps_core::names::VmName;
use hps_core::state::VmState;
use hps_core::verb::Verb;

use crate::app::{App, Outcome};
use crate::error::{Error, Hint};

/// Resumes a domain that is paused.
pub(crate) fn unpause(app: &App, name: &VmName) -> Result<Outcome, Error> {
    let (uuid, info, locks) = app.domain(name, Verb::Unpause, Hint::None)?;
    match info.state {
        VmState::Paused => {
            let done = app.virsh().resume(uuid, &locks.files());
            let runs = |state| state == VmState::Running;
            let state = app.reached(uuid, runs, "resuming the domain", done)?;
            Ok(Outcome::new("runs on", state))
        }
        VmState::Running => Ok(Outcome::new("runs already", VmState::Running)),
        state @ (VmState::ShutOff
        | VmState::Crashed
        | VmState::PmSuspended
        | VmState::Absent
        | VmState::Unknown) => {
            let hint = "n_vm start starts what is off";
            Err(Error::WrongState { state, hint })
        }
    }
}
