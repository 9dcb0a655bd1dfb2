//! `o_vm sweep`: recovery. The timer runs it; an operator runs it when in doubt.

use argh::FromArgs;
use hps_core::names::NodeName;
use hps_core::state::VmState;

use super::{create, finish_with, operate};
use crate::cli::output::print;
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error};
use crate::model::claim::Precondition;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::Spec;
use crate::model::vm::{Desired, Vm};
use crate::operation::CommandRequest;
use crate::operation::execute::Executor;
use crate::operation::sweep::{Finding, Sweep as Sweeper};

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
    /// Sweeps; 0 also where something needs attention: it is printed.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish_with("sweep", self.sweep(env).map(|findings| show(&findings)))
    }

    fn sweep(&self, env: &Env) -> Result<Vec<Finding>, Error> {
        let stop = interruptible();
        let engine = env.engine(&stop)?;
        let mut executor = operate::executor(env, engine.as_ref(), &stop, Some("sweep"))?;
        let mut sweep = Sweeper {
            executor: &mut executor,
            dry_run: self.dry_run,
            unfinished: Vec::new(),
        };
        let mut findings = sweep.run()?;
        for (vm, node, spec) in sweep.unfinished {
            let reason = "sweep: finish";
            findings.push(again(&mut executor, spec, &vm, &node, "finished", reason));
        }
        for (vm, node) in executor.registry.vms()?.iter().filter_map(lost) {
            findings.push(self.restart(env, &mut executor, vm, node));
        }
        Ok(findings)
    }

    /// A VM that should run and that its node has lost, as after a reboot: created again
    /// where the settings ask for it, reported otherwise.
    fn restart(&self, env: &Env, executor: &mut Executor<'_>, vm: &Vm, node: &NodeName) -> Finding {
        if self.dry_run || !env.settings.restart {
            let outcome = format!(
                "should run, and {node} has lost it; `o_vm start {}` creates it again",
                vm.id
            );
            return Finding {
                subject: format!("VM {}", vm.id),
                outcome,
                needs_attention: true,
            };
        }
        let reason = "sweep: restart";
        again(executor, &create::SPEC, vm, node, "created again", reason)
    }
}

/// Runs a verb on the node where the VM was before.
fn again(
    executor: &mut Executor<'_>,
    spec: &'static Spec,
    vm: &Vm,
    node: &NodeName,
    done: &str,
    reason: &str,
) -> Finding {
    let request = CommandRequest {
        vm: vm.id.clone(),
        spec,
        node: node.clone(),
        options: Options::default(),
        precondition: Some(Precondition::ShouldRun),
    };
    executor.author.reason = Some(reason.to_owned());
    let result = executor.execute(&request, vm);
    Finding {
        subject: format!("VM {}", vm.id),
        outcome: format!(
            "{done} on {node}: {} ({})",
            result.message,
            result.code.code()
        ),
        // Refused: a command has changed the VM meanwhile.
        needs_attention: !matches!(result.code, Exit::Success | Exit::Refused),
    }
}

/// The node answered, and does not have the VM that should run there.
fn lost(vm: &Vm) -> Option<(&Vm, &NodeName)> {
    let is_lost = vm.desired == Desired::Running && vm.state == VmState::Absent;
    vm.owner.as_ref().filter(|_| is_lost).map(|node| (vm, node))
}

fn show(findings: &[Finding]) -> Exit {
    for Finding {
        subject,
        outcome,
        needs_attention,
    } in findings
    {
        let mark = if *needs_attention { "attention: " } else { "" };
        print(&format!("{mark}{subject}: {outcome}"));
    }
    if findings.is_empty() {
        print("nothing to do");
    }
    Exit::Success
}
