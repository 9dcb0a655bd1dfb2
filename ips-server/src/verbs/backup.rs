//! `o_vm backup` and `o_vm restore`: the registry as one file.

use std::path::PathBuf;

use argh::FromArgs;

use super::finish;
use crate::cli::output::print;
use crate::cli::{Env, Error};
use crate::model::exit::Exit;
use crate::registry::backup;

/// Write a consistent copy of the registry; the server and operations go on meanwhile.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "backup", help_triggers("--help", "-h"))]
pub struct Backup {
    /// the copy; an existing file is replaced once the new copy is complete
    #[argh(positional)]
    file: PathBuf,
}

impl Backup {
    /// Writes it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("backup", self.back_up(env))
    }

    fn back_up(&self, env: &Env) -> Result<(), Error> {
        Ok(env.registry()?.back_up(&self.file)?)
    }
}

/// Replace the registry with a backup; the old registry is kept beside it.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "restore", help_triggers("--help", "-h"))]
pub struct Restore {
    /// a file that `o_vm backup` wrote
    #[argh(positional)]
    file: PathBuf,
}

impl Restore {
    /// Replaces it, and prints what has to follow.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("restore", self.restore(env))
    }

    fn restore(&self, env: &Env) -> Result<(), Error> {
        let registry = &env.settings.registry;
        let kept = backup::restore(&self.file, registry)?;
        let kept = kept.map_or_else(
            || "there was no registry before".to_owned(),
            |kept| format!("the old registry is {}", kept.display()),
        );
        print(&format!(
            "Restored {}; {kept}\n\
             The backup does not contain later changes. Before any create, run `o_vm sweep` with\n\
             every node up and resolve the conflicts that it reports.",
            self.file.display()
        ));
        Ok(())
    }
}
