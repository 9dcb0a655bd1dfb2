//! `n_vm ips-command`, which is `n_ips_command`: any command of the IPS, its answer on
//! stdout. Exit codes are those of the old function.

use argh::FromArgs;

use super::{Command, Done};
use crate::app::App;
use crate::error::Error;
use crate::spec::{ExitRule, Link, Spec};

/// Send any command to the IPS and print its answer.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "ips-command", help_triggers("--help", "-h"))]
#[argh(
    error_code(1, "there is no gateway, or the command line is not valid"),
    error_code(2, "the IPS did not answer"),
    error_code(3, "the IPS answered with a status of 300 and above")
)]
pub(crate) struct IpsCommand {
    /// the command
    #[argh(positional)]
    command: String,
    /// parameters, each name=value or a bare name, which is sent as name=name
    #[argh(positional)]
    params: Vec<String>,
}

impl Command for IpsCommand {
    const SPEC: Spec = Spec {
        exit: ExitRule::Ips,
        links: &[Link::of_text("n_ips_command")],
        ..Spec::new("ips-command")
    };

    fn run(&self, app: &App) -> Result<Done, Error> {
        let mut query = vec![("cmd", self.command.as_str())];
        query.extend(self.params.iter().map(|param| match param.split_once('=') {
            Some(pair) => pair,
            None => (param.as_str(), param.as_str()),
        }));
        let ips = app.ips()?;
        let answer = ips.post(&query, b"", app.settings.fetch_timeout)?;
        Ok(Done::shown(ips.accepted(answer)?))
    }
}
