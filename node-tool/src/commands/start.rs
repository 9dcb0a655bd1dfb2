//! `n_vm start`: starting what runs is no error; in a task, a create that was killed before it
//! defined the domain is finished.

use hps_core::names::VmName;
use hps_core::state::VmState;
use hps_core::verb::Verb;

use crate::app::{App, Outcome};
use crate::error::{Error, Hint};

/// Starts a domain that is off.
pub(crate) fn start(app: &App, name: &VmName) -> Result<Outcome, Error> {
    let (uuid, info, locks) = app.domain(name, Verb::Start, Hint::CreateAgain)?;
    let hint = match info.state {
        VmState::ShutOff | VmState::Crashed => {
            let done = app.virsh().start(uuid, &locks.files());
            let state = app.reached(uuid, runs, "starting the domain", done)?;
            return Ok(Outcome::new("started", state));
        }
        // By hand it may be anybody's, and transient on purpose.
        VmState::Running if !info.persistent && app.task.uuid.is_some() => {
            app.make_persistent(uuid, &locks)?;
            return Ok(Outcome::new(
                "runs already and was made persistent",
                VmState::Running,
            ));
        }
        VmState::Running => return Ok(Outcome::new("runs already", VmState::Running)),
        VmState::Paused => "n_vm unpause lets it run on",
        VmState::PmSuspended => "virsh dompmwakeup wakes it",
        VmState::Absent | VmState::Unknown => "virsh dominfo may tell more",
    };
    Err(Error::WrongState {
        state: info.state,
        hint,
    })
}

/// It runs, or has been paused since.
pub(crate) fn runs(state: VmState) -> bool {
    matches!(state, VmState::Running | VmState::Paused)
}
