//! The verbs of `o_vm`, a file each: its command line and what it does. A new verb is a
//! module here and a row in [`verbs!`] below; there is no other list of them.

pub mod adopt;
pub mod backup;
pub mod complete;
pub mod config;
pub mod console;
pub mod create;
pub mod define;
pub mod destroy;
pub mod export;
mod force;
pub mod healthy_nodes;
pub mod import;
pub mod list;
pub mod log;
pub mod nodes;
pub mod operate;
pub mod operations;
pub mod pause;
pub mod reboot;
pub mod release;
pub mod set;
pub mod show;
pub mod start;
pub mod status;
pub mod stop;
pub mod sweep;
pub mod task;
#[cfg(test)]
mod tests;
pub mod undefine;
pub mod unpause;
pub mod validate_node;

use std::process::ExitCode;

use argh::{FromArgs, SubCommand};

use crate::cli::help::Group;
use crate::cli::output::print_error;
use crate::cli::{Env, Error};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::model::verb::Catalog;

/// Makes the enum of all verbs, the groups in which help lists them, and the catalog of the
/// verbs that run on nodes: those that name their row in brackets.
macro_rules! verbs {
    ($($about:literal: $($module:ident :: $name:ident $(($spec:ident))?),+;)+) => {
        /// A verb with its arguments.
        #[derive(FromArgs, Debug)]
        #[argh(subcommand)]
        pub enum Verb {
            $($(
                #[doc = concat!("`", stringify!($module), "`")]
                $name($module::$name),
            )+)+
        }

        impl Verb {
            /// Runs it.
            #[must_use]
            pub fn run(&self, env: &Env) -> ExitCode {
                match self {
                    $($(Self::$name(verb) => verb.run(env).into(),)+)+
                }
            }
        }

        /// The verbs in groups, as help lists them.
        pub const GROUPS: &[Group] = &[
            $(Group {
                about: $about,
                verbs: &[$(<$module::$name as SubCommand>::COMMAND.name),+],
            }),+
        ];

        /// The rows of the verbs that run on nodes.
        pub const CATALOG: Catalog = Catalog(&[$($($(&$module::$spec,)?)+)+]);
    };
}

// Groups and verbs in the order of use.
verbs! {
    "VM":
        define::Define,
        create::Create(SPEC),
        start::Start(SPEC),
        stop::Stop(SPEC),
        reboot::Reboot(SPEC),
        pause::Pause(SPEC),
        unpause::Unpause(SPEC),
        destroy::Destroy(SPEC),
        undefine::Undefine,
        list::List,
        show::Show,
        status::Status,
        console::Console,
        set::Set,
        config::Config;
    "Node":
        nodes::Nodes,
        validate_node::ValidateNode,
        healthy_nodes::HealthyNodes,
        release::Release;
    "Operation":
        operations::Operations,
        sweep::Sweep;
    "Registry":
        export::Export,
        import::Import,
        backup::Backup,
        backup::Restore,
        adopt::Adopt;
    "Service":
        task::Task,
        log::Log;
}

/// The exit code of a verb that is no operation; an error is printed.
fn finish(verb: &str, result: Result<(), Error>) -> Exit {
    finish_with(verb, result.map(|()| Exit::Success))
}

/// As [`finish`], for a verb that has an exit code of its own.
fn finish_with(verb: &str, result: Result<Exit, Error>) -> Exit {
    result.unwrap_or_else(|error| {
        print_error(&format!("{verb}: {}", chain(&error)));
        error.exit()
    })
}
