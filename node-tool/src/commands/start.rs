//! `n_vm start`: starting a running domain is not an error; in a task, a create that was
//! killed before it defined the domain is finished.

use argh::FromArgs;
use hps_core::names::VmName;
use hps_core::state::VmState;

use super::transition::Transition;
use super::{Command, Done};
use crate::app::App;
use crate::error::{Error, Hint};
use crate::spec::{Link, Spec};
use crate::virsh::Act;

/// Start a VM that is off.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "start", help_triggers("--help", "-h"))]
pub(crate) struct Start {
    /// the VM
    #[argh(positional)]
    name: VmName,
}

const TO_RUNNING: Transition = Transition {
    act: Act::Start,
    from: &[VmState::ShutOff, VmState::Crashed],
    already: VmState::Running,
    done: "started",
    not_needed: "is running already",
    hint: |state| match state {
        VmState::Paused => "n_vm unpause resumes it",
        VmState::PmSuspended => "virsh dompmwakeup wakes it",
        VmState::Running
        | VmState::ShutOff
        | VmState::Crashed
        | VmState::Absent
        | VmState::Unknown => "virsh dominfo may show more",
    },
};

impl Command for Start {
    const SPEC: Spec = Spec {
        // Paused: it ran, and was paused since.
        reaches: Some(|state| matches!(state, VmState::Running | VmState::Paused)),
        links: &[Link::new("n_vm_start")],
        ..Spec::changing("start")
    };

    fn vm(&self) -> &str {
        self.name.as_str()
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        let domain = app.domain(&self.name, &Self::SPEC, Hint::CreateAgain)?;
        let is_unfinished = domain.info.state == VmState::Running && !domain.info.persistent;
        // Outside a task the domain may belong to others, and be transient on purpose.
        if is_unfinished && app.task.uuid.is_some() {
            app.make_persistent(domain.uuid, &domain.locks)?;
            let message = "is running already and was made persistent";
            return Ok(Done::changed(message, VmState::Running));
        }
        TO_RUNNING.run(app, &Self::SPEC, &domain)
    }
}
