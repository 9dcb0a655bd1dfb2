//! The verbs, a file each: its arguments, its row (`SPEC`) and `run`. A verb's words are ours
//! (`stop`); those of virsh (`shutdown`, `destroy`) are in `virsh.rs`, and the translation
//! is here and nowhere else. The list below is the only one: a new verb is a file, its `mod`
//! line and its row here.

pub(crate) mod config;
pub(crate) mod create;
mod destroy;
mod finish;
mod ips_command;
mod list;
mod pause;
mod reboot;
mod remote_log;
mod start;
mod status;
mod stop;
mod transition;
mod unpause;

use argh::FromArgs;
use hps_core::state::VmState;

use crate::app::App;
use crate::error::Error;
use crate::spec::Spec;

/// A parsed command line of one verb.
pub(crate) trait Command {
    /// Its row.
    const SPEC: Spec;

    /// The VM as it was given, for messages; empty where the verb is not about one.
    fn vm(&self) -> &str {
        ""
    }

    /// Whether it only shows what it would do: then the result goes to the caller alone.
    fn is_dry_run(&self) -> bool {
        false
    }

    /// Does it.
    fn run(&self, app: &App) -> Result<Done, Error>;
}

/// The result of a verb that succeeded.
#[derive(Debug)]
pub(crate) enum Done {
    /// What was done to the domain, for people, and the state it is in now.
    Changed { message: String, state: VmState },
    /// Bytes for stdout; where the verb observes one domain, its state.
    Shown { output: Vec<u8>, state: VmState },
}

impl Done {
    pub(crate) fn changed(message: impl Into<String>, state: VmState) -> Self {
        let message = message.into();
        Self::Changed { message, state }
    }

    pub(crate) fn shown(output: impl Into<Vec<u8>>) -> Self {
        let (output, state) = (output.into(), VmState::Unknown);
        Self::Shown { output, state }
    }
}

macro_rules! verbs {
    ($($file:ident :: $verb:ident),+ $(,)?) => {
        /// The verb among the words, with its arguments.
        #[derive(Debug, FromArgs)]
        #[argh(subcommand)]
        pub(crate) enum Verb { $($verb($file::$verb)),+ }

        /// The row of every verb, in the order of the help.
        pub(crate) static SPECS: &[Spec] = &[$(<$file::$verb as Command>::SPEC),+];

        impl Verb {
            /// Runs the verb and returns the exit code.
            pub(crate) fn run(&self, app: &App) -> u8 {
                match self { $(Self::$verb(args) => finish::run(app, args)),+ }
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(<$file::$verb as argh::SubCommand>::COMMAND.name),+];
    };
}

verbs![
    create::Create,
    start::Start,
    stop::Stop,
    reboot::Reboot,
    pause::Pause,
    unpause::Unpause,
    destroy::Destroy,
    status::Status,
    list::List,
    config::Config,
    ips_command::IpsCommand,
    remote_log::RemoteLog,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Address, Effect};

    #[test]
    fn each_row_has_the_name_of_its_command_line() {
        let names: Vec<_> = SPECS.iter().map(|spec| spec.name.to_string()).collect();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn each_usage_line_addresses_the_vm_as_its_row_says() {
        for spec in SPECS {
            let name = spec.name;
            let help = crate::Cli::from_args(&["n_vm"], &[name.as_str(), "--help"]);
            let help = help.unwrap_err();
            let usage = help.output.lines().next().unwrap();
            let (by_id, by_name) = (usage.contains("<vm_id>"), usage.contains("<name>"));
            let address = match (by_id, by_name) {
                (true, false) => Address::VmId,
                (false, true) => Address::Name,
                _ => Address::None,
            };
            assert_eq!(spec.vm, address, "{usage}");
            let about_a_vm = spec.effect != Effect::None;
            assert!(!about_a_vm || spec.vm != Address::None, "{name}");
        }
    }
}
