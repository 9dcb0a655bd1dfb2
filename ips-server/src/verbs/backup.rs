//! `o_vm backup` and `o_vm restore`: the registry as one file, there and back.

use std::path::PathBuf;

use argh::FromArgs;

use super::{Env, registry_failed};
use crate::model::exit::Exit;
use crate::operation::Conclusion;
use crate::registry::backup;

/// Write a copy of the registry, as of one moment, while everything goes on.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "backup")]
pub struct Backup {
    /// the copy; one that stands there is replaced once the new one is whole
    #[argh(positional)]
    file: PathBuf,
}

impl Backup {
    /// Writes it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let made = env.registry().and_then(|registry| {
            registry
                .back_up(&self.file)
                .map_err(|error| registry_failed(&error))
        });
        super::done("backup", made)
    }
}

/// Put a backup in the registry's place; the old registry is kept beside it.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "restore")]
pub struct Restore {
    /// a copy that `o_vm backup` made
    #[argh(positional)]
    file: PathBuf,
}

impl Restore {
    /// Does it, and says what has to follow.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        super::done("restore", self.restore(env))
    }

    fn restore(&self, env: &Env) -> Result<(), Conclusion> {
        let registry = &env.settings.registry;
        let kept =
            backup::restore(&self.file, registry).map_err(|error| registry_failed(&error))?;
        let kept = kept.map_or_else(
            || "there was none before".to_owned(),
            |kept| format!("the one before is {}", kept.display()),
        );
        super::say(&format!(
            "{} is the registry now; {kept}\n\
             What was done since that backup is not in it. Before anything is created: `o_vm sweep`\n\
             with every node up, and mind what it says of domains that no node should have.",
            self.file.display()
        ));
        Ok(())
    }
}
