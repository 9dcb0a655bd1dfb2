//! Failures of a verb. The variant decides the exit code of `create` in one exhaustive match;
//! the rule of each verb (`ExitRule`) maps that code to its own.

use std::time::Duration;

use hps_core::config::ConfigError;
use hps_core::duration::seconds_text;
use hps_core::exec::ExecError;
use hps_core::names::NameError;
use hps_core::state::VmState;
use uuid::Uuid;

use crate::ips::IpsError;
use crate::lock::LockError;
use crate::settings::SettingsError;
use crate::spec::ExitRule;
use crate::task::TaskError;
use crate::virt_install::CannotCarry;

/// A verb that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The text for the terminal is complete already.
    #[error("{0}")]
    Usage(String),
    /// A word of the command line breaks the rule of its type.
    #[error("command line")]
    Name(#[from] NameError),
    /// File or environment; nothing was done.
    #[error("cannot begin")]
    Settings(#[from] SettingsError),
    /// The environment of a task; nothing was done.
    #[error("cannot begin")]
    Task(#[from] TaskError),
    #[error("signals could not be caught")]
    Signals(#[source] std::io::Error),
    /// Another verb is at work on the VM, or its lock file cannot be used.
    #[error("cannot begin")]
    Lock(#[from] LockError),
    /// No usable answer to `get_config`.
    #[error("the VM config could not be fetched")]
    Fetch(#[source] IpsError),
    /// No usable answer to any other command.
    #[error("asking the IPS")]
    Ips(#[from] IpsError),
    /// The text of the config is not valid, or is the refusal of the IPS.
    #[error("VM config")]
    Config(#[source] ConfigError),
    /// A valid value that virt-install would change.
    #[error("VM config")]
    CannotCarry(#[from] CannotCarry),
    /// `seen` begins with the mistakes that were found, if any.
    #[error("{seen}the VM was not created")]
    NotCreated { seen: String, source: ExecError },
    /// A question without an answer: it proves nothing, not even that the domain is absent.
    #[error("{doing}: the state of the domain is unknown")]
    NoAnswer {
        doing: &'static str,
        source: ExecError,
    },
    /// XML that cannot be parsed, although virsh exited 0.
    #[error("{doing}: unexpected output from virsh: {what}")]
    Nonsense { doing: &'static str, what: String },
    /// An act that virsh refused, or whose outcome is unknown.
    #[error("{doing}")]
    Act {
        doing: &'static str,
        source: ExecError,
    },
    /// The act succeeded, and the state of the domain disproves it.
    #[error("{doing}: virsh reported success, but the domain is {state}")]
    NotDone { doing: &'static str, state: VmState },
    /// Refused: it would act on a domain that is another VM.
    #[error("{0}")]
    Conflict(Conflict),
    /// The listing proves it.
    #[error("no such domain{}", hint(*.0))]
    NoSuchDomain(Hint),
    /// Refused: the verb does not lead from this state to its own.
    #[error("the domain is {state}: {hint}")]
    WrongState { state: VmState, hint: &'static str },
    /// `stop --wait` ran out of time.
    #[error("the domain is still running after {} s; --force-after would force it off", seconds_text(*.0))]
    StillRunning(Duration),
    /// `reboot --wait` ran out of time. The guest may still follow the request.
    #[error("a reboot was requested, but no restart was seen within {} s", seconds_text(*.0))]
    NotRestarted(Duration),
    /// Its event must not be taken for the result of a request that was not sent yet.
    #[error("the guest restarted by itself before the reboot was requested; repeat the command")]
    RestartedBefore,
    /// A signal came; the text says what remains of the verb.
    #[error("interrupted while waiting; {0}")]
    Interrupted(&'static str),
    #[error("the name of this node is unknown: set N_VM_NODE")]
    NoNodeName,
    /// A file of `state_dir` or `/proc`.
    #[error("{path}")]
    File {
        path: String,
        source: std::io::Error,
    },
}

/// A domain in the place of the VM.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Conflict {
    #[error("a domain of this name is another VM: it has UUID {found}, this VM has {wanted}")]
    NameTaken { found: Uuid, wanted: Uuid },
    #[error("this VM exists already under another name: {name}")]
    Renamed { name: String },
    #[error("the VM config has UUID {found}, this operation is for {wanted}")]
    Reconfigured { found: Uuid, wanted: Uuid },
}

/// What the operator can do about an absent domain.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hint {
    None,
    CreateAgain,
}

fn hint(hint: Hint) -> &'static str {
    match hint {
        Hint::None => "",
        Hint::CreateAgain => ": after a reboot of a diskless node a VM is created again",
    }
}

impl Error {
    /// The exit code by the rule of a verb. `signal` is the one that was received.
    pub(crate) fn exit_code(&self, rule: ExitRule, signal: Option<u8>) -> u8 {
        match (rule, self) {
            (ExitRule::Kinds, _) => self.create_code(signal),
            (ExitRule::One, _) => match self.create_code(signal) {
                by_signal @ 128.. => by_signal,
                _ => 1,
            },
            (ExitRule::Ips, Self::Ips(error)) => error.exit_code(),
            (ExitRule::Ips, _) => 1,
        }
    }

    /// The exit code of `create` (design: contract 3).
    fn create_code(&self, signal: Option<u8>) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Name(_)
            | Self::Settings(_)
            | Self::Task(_)
            | Self::Signals(_)
            | Self::NoNodeName
            | Self::Lock(LockError::Unusable { .. })
            | Self::File { .. } => 1,
            #[cfg(feature = "tls")]
            Self::Fetch(IpsError::Tls { .. }) => 1,
            Self::Fetch(
                IpsError::NoGateway | IpsError::NoAnswer { .. } | IpsError::Status { .. },
            )
            | Self::Ips(_)
            | Self::Config(ConfigError::Refused(_)) => 2,
            // TooLong: more than a VM config may have.
            Self::Fetch(IpsError::TooLong { .. })
            | Self::Config(
                ConfigError::Kv(_)
                | ConfigError::Value { .. }
                | ConfigError::SecondPathAlone { .. }
                | ConfigError::Missing(_),
            )
            | Self::CannotCarry(_) => 3,
            Self::Config(ConfigError::Method { .. }) => 4,
            Self::NotCreated { source, .. } | Self::Act { source, .. } => of_act(source),
            Self::NoSuchDomain(_) | Self::WrongState { .. } | Self::NotDone { .. } => 5,
            Self::NoAnswer { source, .. } => of_question(source, signal),
            Self::Lock(LockError::Held { .. })
            | Self::StillRunning(_)
            | Self::NotRestarted(_)
            | Self::RestartedBefore
            | Self::Nonsense { .. } => 6,
            Self::Conflict(_) => 7,
            Self::Fetch(IpsError::Interrupted)
            | Self::Lock(LockError::Interrupted { .. })
            | Self::Interrupted(_) => of_signal(signal),
        }
    }

    /// What this failure proves about the domain.
    pub(crate) fn state(&self) -> VmState {
        match self {
            // It was looked for afterwards.
            Self::NotCreated { source, .. } if of_act(source) == 5 => VmState::Absent,
            Self::NoSuchDomain(_) => VmState::Absent,
            Self::WrongState { state, .. } | Self::NotDone { state, .. } => *state,
            Self::StillRunning(_) | Self::NotRestarted(_) | Self::RestartedBefore => {
                VmState::Running
            }
            Self::NotCreated { .. }
            | Self::Usage(_)
            | Self::Name(_)
            | Self::Settings(_)
            | Self::Task(_)
            | Self::Signals(_)
            | Self::NoNodeName
            | Self::Lock(_)
            | Self::Fetch(_)
            | Self::Ips(_)
            | Self::Config(_)
            | Self::CannotCarry(_)
            | Self::NoAnswer { .. }
            | Self::Nonsense { .. }
            | Self::Act { .. }
            | Self::Conflict(_)
            | Self::Interrupted(_)
            | Self::File { .. } => VmState::Unknown,
        }
    }

    /// The whole chain, once, on one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

/// 128 + n. A waiting loop ends early only after a signal.
fn of_signal(signal: Option<u8>) -> u8 {
    128 + signal.unwrap_or(15)
}

/// 5 where an act failed, 6 where its outcome is unknown.
fn of_act(source: &ExecError) -> u8 {
    match source {
        ExecError::NotStarted { .. } | ExecError::Exited { .. } => 5,
        ExecError::Killed { .. }
        | ExecError::TimedOut { .. }
        | ExecError::Interrupted { .. }
        | ExecError::LeftAlone { .. }
        | ExecError::Nonsense { .. }
        | ExecError::Lost { .. } => 6,
    }
}

/// 6, unless the question was interrupted.
fn of_question(source: &ExecError, signal: Option<u8>) -> u8 {
    match source {
        ExecError::Interrupted { .. } => of_signal(signal),
        ExecError::NotStarted { .. }
        | ExecError::Exited { .. }
        | ExecError::Killed { .. }
        | ExecError::TimedOut { .. }
        | ExecError::LeftAlone { .. }
        | ExecError::Nonsense { .. }
        | ExecError::Lost { .. } => 6,
    }
}
