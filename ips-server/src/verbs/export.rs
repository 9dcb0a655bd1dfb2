//! `o_vm export`: all definitions, in the form that `o_vm import` reads.

use std::io::Write;

use argh::FromArgs;

use super::finish;
use crate::cli::{Env, Error, usage_error};
use crate::model::exit::Exit;

/// Print all definitions, for `o_vm import`.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "export", help_triggers("--help", "-h"))]
pub struct Export {}

impl Export {
    /// Prints them.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("export", export(env))
    }
}

fn export(env: &Env) -> Result<(), Error> {
    let vms = env.registry()?.vms()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut write = || {
        for vm in &vms {
            writeln!(out, "vm_id={}\n{}", vm.id, vm.config.to_text())?;
        }
        out.flush()
    };
    // An incomplete export must not look like a complete one.
    write().map_err(|error: std::io::Error| usage_error(format!("write: {error}")))
}
