//! `o_vm sweep`: recovery. Run by the timer, and by hand when in doubt.

use std::sync::atomic::AtomicBool;

use argh::FromArgs;
use hps_core::names::NodeName;
use hps_core::state::VmState;
use hps_core::verb::Verb;

use super::Env;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::operation::options::Options;
use crate::operation::sweep::{Finding, Sweep as Sweeper};
use crate::operation::{Conclusion, Request};
use crate::registry::operations::Again;
use crate::registry::vms::{Desired, Vm};

/// End what dead processes left open, remove what is left over, refresh the inventory.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "sweep")]
pub struct Sweep {
    /// only say what would be done
    #[argh(switch, short = 'n')]
    dry_run: bool,
}

impl Sweep {
    /// Sweeps; 0 also where something needs care: it is told.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        match self.sweep(env) {
            Ok(findings) => show(&findings),
            Err(conclusion) => {
                super::complain(&format!("sweep: {}", conclusion.message));
                conclusion.code
            }
        }
    }

    fn sweep(&self, env: &Env) -> Result<Vec<Finding>, Conclusion> {
        let stop = super::operate::interruptible();
        let engine = env
            .engine(&stop)
            .map_err(|error| Conclusion::refused(Exit::Parameters, error))?;
        let mut registry = env.registry()?;
        let mut sweep = Sweeper {
            registry: &mut registry,
            engine: engine.as_ref(),
            lock_dir: &env.settings.lock_dir,
            dry_run: self.dry_run,
        };
        let mut findings = sweep
            .run()
            .map_err(|error| super::registry_failed(&error))?;
        let vms = registry
            .vms()
            .map_err(|error| super::registry_failed(&error))?;
        for (vm, node) in vms.iter().filter_map(lost) {
            findings.push(self.restart(env, engine.as_ref(), &stop, vm, node)?);
        }
        Ok(findings)
    }

    /// A VM that should run and that its node has lost, as after a reboot: made again
    /// where the settings ask for it, told otherwise.
    fn restart(
        &self,
        env: &Env,
        engine: &dyn Engine,
        stop: &AtomicBool,
        vm: &Vm,
        node: &NodeName,
    ) -> Result<Finding, Conclusion> {
        let subject = format!("VM {}", vm.id);
        if self.dry_run || !env.settings.restart {
            let told = format!(
                "should run, and {node} has lost it; `o_vm start {}` makes it again",
                vm.id
            );
            return Ok(Finding {
                subject,
                outcome: told,
                needs_care: true,
            });
        }
        let request = Request {
            vm: vm.id.clone(),
            verb: Verb::Create,
            node: node.clone(),
            options: Options::default(),
            again: Some(Again::ShouldRun),
        };
        let reason = Some("sweep: restart");
        let made = super::operate::performer(env, engine, stop, reason)?.perform(&request);
        let outcome = format!(
            "made again on {node}: {} ({})",
            made.message,
            made.code.code()
        );
        Ok(Finding {
            subject,
            outcome,
            // Refused: somebody has done something about it since it was looked for.
            needs_care: !matches!(made.code, Exit::Success | Exit::Refused),
        })
    }
}

/// The node answered, and does not have what should run there.
fn lost(vm: &Vm) -> Option<(&Vm, &NodeName)> {
    let is_lost = vm.desired == Desired::Running && vm.state == VmState::Absent;
    vm.owner.as_ref().filter(|_| is_lost).map(|node| (vm, node))
}

fn show(findings: &[Finding]) -> Exit {
    for Finding {
        subject,
        outcome,
        needs_care,
    } in findings
    {
        let mark = if *needs_care { "care: " } else { "" };
        super::say(&format!("{mark}{subject}: {outcome}"));
    }
    if findings.is_empty() {
        super::say("nothing to do");
    }
    Exit::Success
}
