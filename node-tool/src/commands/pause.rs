//! `n_vm pause`: the domain stays in memory, its CPUs stop.

use argh::FromArgs;
use hps_core::names::VmName;
use hps_core::state::VmState;

use super::transition::Transition;
use super::{Command, Done};
use crate::app::App;
use crate::error::{Error, Hint};
use crate::spec::{Link, Spec};
use crate::virsh::Act;

/// Stop a VM's CPUs; it stays in memory.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "pause", help_triggers("--help", "-h"))]
pub(crate) struct Pause {
    /// the VM
    #[argh(positional)]
    name: VmName,
}

const TO_PAUSED: Transition = Transition {
    act: Act::Suspend,
    from: &[VmState::Running],
    already: VmState::Paused,
    done: "paused",
    not_needed: "is paused already",
    hint: |_| "only a running domain can be paused",
};

impl Command for Pause {
    const SPEC: Spec = Spec {
        reaches: Some(|state| state == VmState::Paused),
        links: &[Link::new("n_vm_pause")],
        ..Spec::changing("pause")
    };

    fn vm(&self) -> &str {
        self.name.as_str()
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        let domain = app.domain(&self.name, &Self::SPEC, Hint::None)?;
        TO_PAUSED.run(app, &Self::SPEC, &domain)
    }
}
