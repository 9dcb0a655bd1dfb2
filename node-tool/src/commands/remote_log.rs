//! `n_vm remote-log`, which is `n_remote_log`: a line for the IPS log.

use argh::FromArgs;

use super::{Command, Done};
use crate::app::App;
use crate::error::Error;
use crate::notify;
use crate::spec::{ExitRule, Link, Spec};

/// Send a line to the IPS log.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "remote-log", help_triggers("--help", "-h"))]
#[argh(
    error_code(1, "there is no gateway, or the command line is not valid"),
    error_code(2, "the IPS did not answer"),
    error_code(3, "the IPS answered with a status of 300 and above")
)]
pub(crate) struct RemoteLog {
    /// the line
    #[argh(positional)]
    message: String,
    /// the caller's function that it is about
    #[argh(positional, default = "String::new()")]
    function: String,
}

impl Command for RemoteLog {
    const SPEC: Spec = Spec {
        exit: ExitRule::Ips,
        links: &[Link::of_text("n_remote_log")],
        ..Spec::new("remote-log")
    };

    fn run(&self, app: &App) -> Result<Done, Error> {
        let (ips, within) = (app.ips()?, app.settings.fetch_timeout);
        let answer = notify::log_message(&ips, &self.message, &self.function, within)?;
        Ok(Done::shown(answer))
    }
}
