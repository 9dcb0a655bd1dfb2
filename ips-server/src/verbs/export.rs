//! `o_vm export`: all definitions as the stream that `o_vm import` reads.

use std::io::Write;

use argh::FromArgs;

use super::{Env, done, registry_failed, wrong};
use crate::model::exit::Exit;
use crate::operation::Conclusion;

/// Print all definitions, for `o_vm import`.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "export")]
pub struct Export {}

impl Export {
    /// Prints them.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        done("export", export(env))
    }
}

fn export(env: &Env) -> Result<(), Conclusion> {
    let vms = env
        .registry()?
        .vms()
        .map_err(|error| registry_failed(&error))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut write = || {
        for vm in &vms {
            writeln!(out, "vm_id={}\n{}", vm.id, vm.config.to_text())?;
        }
        out.flush()
    };
    // A half-written export must not look like a whole one.
    write().map_err(|error: std::io::Error| wrong(format!("write: {error}")))
}
