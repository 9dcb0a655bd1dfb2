//! The command line, in argh's terms. Text that was given is parsed into types here.

use std::time::Duration;

use argh::FromArgs;
use hps_core::names::{NameError, Text, VmId, VmName};

use crate::commands::create::Request;
use crate::commands::stop::How;
use crate::error::Error;
use crate::settings::seconds;

/// Makes, runs and removes the VMs of this node, with virt-install and virsh.
#[derive(Debug, FromArgs)]
#[argh(help_triggers("--help", "-h"))]
#[argh(note = "Settings: /etc/hps/node.conf, N_VM_<KEY> in the environment.")]
#[argh(
    error_code(
        1,
        "the command line, the settings, or any failure of a verb other than create"
    ),
    error_code(2, "create: the VM config could not be fetched"),
    error_code(3, "create: the VM config is not valid"),
    error_code(4, "create: its provision_method is not supported"),
    error_code(5, "create: virt-install failed, and the domain is not there"),
    error_code(6, "create: libvirt did not answer in time"),
    error_code(7, "create: a domain of that name is another VM")
)]
pub(crate) struct Cli {
    /// print the version
    #[argh(switch)]
    pub version: bool,
    /// log each child process
    #[argh(switch, short = 'v')]
    pub verbose: bool,
    /// settings file instead of /etc/hps/node.conf
    #[argh(option, arg_name = "file")]
    pub config: Option<std::path::PathBuf>,
    #[argh(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub(crate) enum Verb {
    Create(Create),
    Start(Start),
    Stop(Stop),
    Pause(Pause),
    Unpause(Unpause),
    Destroy(Destroy),
    Status(Status),
    List(List),
    Config(Config),
    IpsCommand(IpsCommand),
    RemoteLog(RemoteLog),
}

/// Fetch a VM's config from the IPS and make it; nothing is done twice.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "create",
    help_triggers("--help", "-h"),
    usage = "[--dry-run] [--] <vm_id> [<title> [<description>]]"
)]
pub(crate) struct Create {
    /// print the virt-install command that would run, and run nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// the VM
    #[argh(positional)]
    vm_id: String,
    /// title and description, instead of the config's
    #[argh(positional, arg_name = "title [description]")]
    texts: Vec<String>,
}

impl Create {
    pub(crate) fn request(&self) -> Result<Request, Error> {
        if let Some(surplus) = self.texts.get(2) {
            return Err(Error::Usage(format!("one word too many: {surplus:?}")));
        }
        Ok(Request {
            id: self.vm_id.parse::<VmId>()?,
            title: text(self.texts.first())?,
            description: text(self.texts.get(1))?,
        })
    }

    /// The VM as it was given, for messages.
    pub(crate) fn given(&self) -> &str {
        &self.vm_id
    }
}

/// A script may pass an empty word for no text.
fn text(given: Option<&String>) -> Result<Option<Text>, NameError> {
    given
        .filter(|text| !text.is_empty())
        .map(|text| text.parse())
        .transpose()
}

macro_rules! by_name {
    ($(#[$doc:meta])* $type:ident, $word:tt) => {
        $(#[$doc])*
        #[derive(Debug, FromArgs)]
        #[argh(subcommand, name = $word, help_triggers("--help", "-h"))]
        pub(crate) struct $type {
            /// the VM
            #[argh(positional)]
            pub name: VmName,
        }
    };
}

by_name!(
    /// Start a VM that is off.
    Start, "start"
);
by_name!(
    /// Stop a VM's CPUs; it stays in memory.
    Pause, "pause"
);
by_name!(
    /// Let a paused VM run on.
    Unpause, "unpause"
);

/// Ask a VM to shut down, or pull its plug.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "stop", help_triggers("--help", "-h"))]
pub(crate) struct Stop {
    /// wait until it is off, asking again now and then
    #[argh(switch)]
    wait: bool,
    /// how long to wait: 90, 90s or 2m (default 90s)
    #[argh(option, arg_name = "time", from_str_fn(duration))]
    timeout: Option<Duration>,
    /// pull the plug when that time is over
    #[argh(switch)]
    force_after: bool,
    /// the VM
    #[argh(positional)]
    pub name: VmName,
    /// the word force: pull the plug at once
    #[argh(positional, from_str_fn(force))]
    force: Option<()>,
}

impl Stop {
    pub(crate) fn how(&self) -> How {
        let waits = self.wait || self.force_after || self.timeout.is_some();
        let patience = self.timeout.unwrap_or(Duration::from_secs(90));
        How {
            force: self.force.is_some(),
            wait: waits.then_some(patience),
            force_after: self.force_after,
        }
    }
}

fn force(word: &str) -> Result<(), String> {
    (word == "force")
        .then_some(())
        .ok_or_else(|| format!("want the word force, not {word:?}"))
}

/// Plain seconds, or with s or m behind.
fn duration(word: &str) -> Result<Duration, String> {
    let (number, unit) = match word.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (word.strip_suffix('s').unwrap_or(word), 1),
    };
    seconds(number).map(|time| time * unit)
}

/// Remove a VM, and the files that are proved to be its own.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "destroy", help_triggers("--help", "-h"))]
pub(crate) struct Destroy {
    /// remove no file
    #[argh(switch)]
    pub keep_storage: bool,
    /// say what would be removed and what kept, and do nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// the VM
    #[argh(positional)]
    pub name: VmName,
}

/// Show one VM.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "status", help_triggers("--help", "-h"))]
pub(crate) struct Status {
    /// one JSON object
    #[argh(switch)]
    pub json: bool,
    /// the VM
    #[argh(positional)]
    pub name: VmName,
}

/// Show every domain of this node.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "list", help_triggers("--help", "-h"))]
pub(crate) struct List {
    /// one JSON array
    #[argh(switch)]
    pub json: bool,
    /// send them to the IPS instead
    #[argh(switch)]
    pub report: bool,
    /// with the XML of each, in the form that is sent
    #[argh(switch)]
    pub definitions: bool,
}

/// Fetch a VM's config and print it; change nothing.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "config", help_triggers("--help", "-h"))]
pub(crate) struct Config {
    /// the VM
    #[argh(positional)]
    pub vm_id: VmId,
}

/// Send any command to the IPS and print its answer.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "ips-command", help_triggers("--help", "-h"))]
#[argh(
    error_code(1, "there is no gateway, or the command line is wrong"),
    error_code(2, "the IPS did not answer"),
    error_code(3, "the IPS answered with a status of 300 and above")
)]
pub(crate) struct IpsCommand {
    /// the command
    #[argh(positional)]
    pub command: String,
    /// parameters, each name=value or a bare name
    #[argh(positional)]
    pub params: Vec<String>,
}

/// Send a line to the IPS log.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "remote-log", help_triggers("--help", "-h"))]
#[argh(
    error_code(1, "there is no gateway, or the command line is wrong"),
    error_code(2, "the IPS did not answer"),
    error_code(3, "the IPS answered with a status of 300 and above")
)]
pub(crate) struct RemoteLog {
    /// the line
    #[argh(positional)]
    pub message: String,
    /// which function it is about
    #[argh(positional, default = "String::new()")]
    pub function: String,
}
