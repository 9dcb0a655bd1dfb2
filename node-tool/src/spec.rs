//! The properties of a verb, as a row. The common code (results, reports, exit codes, links)
//! reads the row and knows no verb by name.

use hps_core::state::VmState;
use hps_core::verb::VerbName;

/// A verb of `n_vm`.
#[derive(Debug)]
pub struct Spec {
    /// Its name on the command line and in reports.
    pub name: VerbName,
    /// How its VM is addressed.
    pub vm: Address,
    /// Its effect on the domain, which decides where its result goes.
    pub effect: Effect,
    /// The states that prove that it did what it should; `None`: it ends in any state.
    pub reaches: Option<fn(VmState) -> bool>,
    /// The exit codes of its failures.
    pub exit: ExitRule,
    /// The names of old functions for it.
    pub links: &'static [Link],
}

impl Spec {
    /// A verb without a VM, which changes nothing and fails with 1; each row changes what
    /// differs.
    pub(crate) const fn new(name: &str) -> Self {
        Self {
            name: VerbName::of(name),
            vm: Address::None,
            effect: Effect::None,
            reaches: None,
            exit: ExitRule::One,
            links: &[],
        }
    }

    /// A verb that changes the domain of a name.
    pub(crate) const fn changing(name: &str) -> Self {
        Self {
            vm: Address::Name,
            effect: Effect::Changes,
            ..Self::new(name)
        }
    }
}

/// How a command line names the VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// By the `vm_id` of the IPS: the domain need not exist.
    VmId,
    /// By the name of its domain.
    Name,
    /// The verb is not about one VM.
    None,
}

/// The effect of a verb on the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes it: the result goes to stderr, to the IPS as a report, and to the IPS log.
    Changes,
    /// Observes its state: the result goes to stdout, and to the IPS as a report.
    Observes,
    /// Neither: the result goes to stdout.
    None,
}

/// The exit codes of failures; 0 is success everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitRule {
    /// Each kind of failure has its own ([`crate::exit::CREATE`]).
    Kinds,
    /// 1; 128 + n after signal n.
    One,
    /// Those of the old functions that ask the IPS.
    Ips,
}

/// A name of `n_vm` (a symbolic link) for a verb.
#[derive(Debug)]
pub struct Link {
    /// The name of the old function.
    pub name: &'static str,
    /// Whether its words are free text, without options among them.
    pub free_text: bool,
}

impl Link {
    /// A link that takes the options of its verb.
    pub(crate) const fn new(name: &'static str) -> Self {
        let free_text = false;
        Self { name, free_text }
    }

    /// A link that takes free text.
    pub(crate) const fn of_text(name: &'static str) -> Self {
        let free_text = true;
        Self { name, free_text }
    }
}
