//! `o_vm sweep`: recovery. Run by the timer, and by hand when in doubt.

use std::sync::atomic::AtomicBool;

use argh::FromArgs;
use hps_core::names::{NodeName, VmId};
use hps_core::state::VmState;
use hps_core::verb::Verb;

use crate::cli::output::{print, print_error};
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error};
use crate::engine::Engine;
use crate::model::exit::Exit;
use crate::operation::options::Options;
use crate::operation::sweep::{Finding, Sweep as Sweeper};
use crate::operation::{Conclusion, Request};
use crate::registry::journal::Again;
use crate::registry::vms::{Desired, Vm};

/// Recover: settle interrupted operations, delete leftover task services, refresh the
/// inventory.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "sweep", help_triggers("--help", "-h"))]
pub struct Sweep {
    /// print what would be done; change nothing
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
                print_error(&format!("sweep: {}", conclusion.message));
                conclusion.code
            }
        }
    }

    fn sweep(&self, env: &Env) -> Result<Vec<Finding>, Conclusion> {
        let stop = interruptible();
        let engine = env.engine(&stop)?;
        let mut registry = env.registry()?;
        let mut sweep = Sweeper {
            registry: &mut registry,
            engine: engine.as_ref(),
            lock_dir: &env.settings.lock_dir,
            dry_run: self.dry_run,
            unfinished: Vec::new(),
        };
        let mut findings = sweep.run().map_err(Error::from)?;
        let remake = Remake {
            env,
            engine: engine.as_ref(),
            stop: &stop,
        };
        for (vm, node) in sweep.unfinished {
            findings.push(remake.create(vm, node, "finished", "sweep: finish")?);
        }
        let vms = registry.vms().map_err(Error::from)?;
        for (vm, node) in vms.iter().filter_map(lost) {
            findings.push(self.restart(&remake, vm, node)?);
        }
        Ok(findings)
    }

    /// A VM that should run and that its node has lost, as after a reboot: made again
    /// where the settings ask for it, told otherwise.
    fn restart(
        &self,
        remake: &Remake<'_>,
        vm: &Vm,
        node: &NodeName,
    ) -> Result<Finding, Conclusion> {
        if self.dry_run || !remake.env.settings.restart {
            let told = format!(
                "should run, and {node} has lost it; `o_vm start {}` makes it again",
                vm.id
            );
            return Ok(Finding {
                subject: format!("VM {}", vm.id),
                outcome: told,
                needs_care: true,
            });
        }
        remake.create(vm.id.clone(), node.clone(), "made again", "sweep: restart")
    }
}

/// Creates where VMs were before.
struct Remake<'a> {
    env: &'a Env,
    engine: &'a dyn Engine,
    stop: &'a AtomicBool,
}

impl Remake<'_> {
    fn create(
        &self,
        vm: VmId,
        node: NodeName,
        done: &str,
        reason: &str,
    ) -> Result<Finding, Conclusion> {
        let request = Request {
            vm,
            verb: Verb::Create,
            node,
            options: Options::default(),
            again: Some(Again::ShouldRun),
        };
        let mut performer =
            super::operate::performer(self.env, self.engine, self.stop, Some(reason))?;
        let made = performer.perform(&request);
        Ok(Finding {
            subject: format!("VM {}", request.vm),
            outcome: format!(
                "{done} on {}: {} ({})",
                request.node,
                made.message,
                made.code.code()
            ),
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
        print(&format!("{mark}{subject}: {outcome}"));
    }
    if findings.is_empty() {
        print("nothing to do");
    }
    Exit::Success
}
