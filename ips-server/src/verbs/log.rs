//! `o_vm log`, also `o_log`: one line to syslog, facility local0.

use argh::FromArgs;

use super::finish;
use crate::cli::{Env, Error, usage_error};
use crate::model::exit::Exit;
use crate::syslog::{self, Level};

/// Write a line to syslog (facility local0).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "log", help_triggers("--help", "-h"))]
pub struct Log {
    /// the message
    #[argh(positional)]
    message: String,
    /// debug, info, notice, warning, err, crit (default info)
    #[argh(positional, default = "Level::Info")]
    level: Level,
}

impl Log {
    /// Writes it; 1 where there is no syslog.
    #[must_use]
    pub fn run(&self, _: &Env) -> Exit {
        finish("log", self.log())
    }

    fn log(&self) -> Result<(), Error> {
        if syslog::log(&syslog::caller(), self.level, &self.message) {
            return Ok(());
        }
        Err(usage_error("no syslog listens at /dev/log; start one"))
    }
}
