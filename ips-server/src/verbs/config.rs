//! `o_vm config`: the VM config as a node gets it; `--token` prints a token for trying
//! that by hand.

use std::time::Duration;

use argh::FromArgs;

use super::{Env, done, registry_failed, say};
use crate::model::exit::Exit;
use crate::model::token::Token;
use crate::operation::Conclusion;

/// How long a token made by hand works.
const LIFE: Duration = Duration::from_secs(600);

/// Print a VM's config, or a token to fetch it with.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "config")]
pub struct Config {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// print a token for get_config instead, good for ten minutes
    #[argh(switch)]
    token: bool,
    /// why, for the audit
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Config {
    /// Prints it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        done("config", self.config(env))
    }

    fn config(&self, env: &Env) -> Result<(), Conclusion> {
        let vm = env.find(&self.vm)?;
        if !self.token {
            say(vm.config.to_text().trim_end_matches('\n'));
            return Ok(());
        }
        let token = Token::new().map_err(|error| super::wrong(crate::error::chain(&error)))?;
        let author = env.author(self.reason.as_deref());
        let granted = env
            .registry()?
            .grant_config(&author, &vm.id, token.hash(), LIFE);
        granted.map_err(|error| registry_failed(&error))?;
        say(token.expose());
        Ok(())
    }
}
