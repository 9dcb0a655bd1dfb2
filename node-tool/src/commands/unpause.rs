//! `n_vm unpause`: the CPUs of a paused domain run again.

use argh::FromArgs;
use hps_core::names::VmName;
use hps_core::state::VmState;

use super::transition::Transition;
use super::{Command, Done};
use crate::app::App;
use crate::error::{Error, Hint};
use crate::spec::{Link, Spec};
use crate::virsh::Act;

/// Resume a paused VM.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "unpause", help_triggers("--help", "-h"))]
pub(crate) struct Unpause {
    /// the VM
    #[argh(positional)]
    name: VmName,
}

const TO_RUNNING: Transition = Transition {
    act: Act::Resume,
    from: &[VmState::Paused],
    already: VmState::Running,
    done: "resumed",
    not_needed: "is running already",
    hint: |_| "n_vm start starts a domain that is off",
};

impl Command for Unpause {
    const SPEC: Spec = Spec {
        reaches: Some(|state| state == VmState::Running),
        links: &[Link::new("n_vm_unpause")],
        ..Spec::changing("unpause")
    };

    fn vm(&self) -> &str {
        self.name.as_str()
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        let domain = app.domain(&self.name, &Self::SPEC, Hint::None)?;
        TO_RUNNING.run(app, &Self::SPEC, &domain)
    }
}
