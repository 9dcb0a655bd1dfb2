//! `o_vm log`: the old `o_log`: one line to syslog, facility local0.

use argh::FromArgs;

use super::Env;
use crate::model::exit::Exit;
use crate::syslog::{self, Level};

/// Write a line to syslog (facility local0).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "log")]
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
        if syslog::log(&syslog::caller(), self.level, &self.message) {
            return Exit::Success;
        }
        super::print_error("log: no syslog listens at /dev/log; start one");
        Exit::Parameters
    }
}
