//! `o_vm sweep`: recovery. Run by the timer, and by hand when in doubt.

use argh::FromArgs;

use super::Env;
use crate::error::chain;
use crate::exit::Exit;
use crate::operation::Conclusion;
use crate::operation::sweep::{Finding, Sweep as Sweeper};

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
        sweep
            .run()
            .map_err(|error| Conclusion::refused(Exit::Parameters, chain(&error)))
    }
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
