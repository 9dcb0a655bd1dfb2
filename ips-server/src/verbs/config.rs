//! `o_vm config`: the VM config as a node gets it; `--token` prints a token to fetch it by
//! hand.

use std::time::Duration;

use argh::FromArgs;

use super::finish;
use crate::cli::output::print;
use crate::cli::{Env, Error};
use crate::model::exit::Exit;
use crate::model::token::Token;

/// How long such a token is valid.
const LIFE: Duration = Duration::from_secs(600);

/// Print a VM's config, or a token to fetch it with.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "config", help_triggers("--help", "-h"))]
pub struct Config {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// print a token for get_config instead, valid for ten minutes
    #[argh(switch)]
    token: bool,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Config {
    /// Prints it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("config", self.config(env))
    }

    fn config(&self, env: &Env) -> Result<(), Error> {
        let vm = env.find(&self.vm)?;
        if !self.token {
            print(vm.config.to_text().trim_end_matches('\n'));
            return Ok(());
        }
        let token = Token::new().map_err(Error::Token)?;
        let author = env.author(self.reason.as_deref());
        let granted = env
            .registry()?
            .grant_config(&author, &vm.id, token.hash(), LIFE);
        granted?;
        print(token.expose());
        Ok(())
    }
}
