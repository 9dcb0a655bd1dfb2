//! What the layers know of a verb that runs on a node: one row of properties. All code that
//! handles operations reads the row; only the verb's own file knows it by name. The rows are
//! in `verbs/`, a file per verb.

use hps_core::names::NodeName;
use hps_core::state::VmState;
use hps_core::verb::VerbName;
use uuid::Uuid;

use super::options::Options;
use super::step::{NewStep, Recovery};
use super::vm::Desired;

/// One verb.
#[derive(Debug)]
pub struct Spec {
    /// Its name, on every command line and in every record.
    pub name: VerbName,
    /// The node that it goes to.
    pub target: Target,
    /// What it does to the claim on its VM.
    pub claim: ClaimEffect,
    /// How `n_vm` addresses the VM.
    pub address: Address,
    /// States that prove, when the node is observed afterwards, that the verb reached its
    /// goal. Empty: no state proves it.
    pub proof: &'static [VmState],
    /// The state that a success implies where the node reported none.
    pub implied_state: fn(&Options) -> Option<VmState>,
    /// What the VM should be after a success; `None`: as before.
    pub desired: Option<Desired>,
    /// The steps of an operation of this verb.
    pub plan: fn(&PlanRequest<'_>) -> Vec<NewStep>,
    /// Whether it removes files of the VM, unless an option keeps them.
    pub removes_storage: bool,
    /// Exit codes of `n_vm` that state a failure; any other code but 0 is doubt.
    pub failures: &'static [u8],
    /// The verb that creates the VM again where this one failed because its node lost it.
    pub recreate: Option<&'static Spec>,
    /// The link on the IPS that is this verb, such as `o_vm_start`.
    pub link: &'static str,
    /// The specification's command for it on a node, such as `n_vm_start`; `None` where the
    /// specification has none.
    pub node_command: Option<&'static str>,
}

/// What a plan is made from.
#[derive(Debug)]
pub struct PlanRequest<'a> {
    /// The id of the operation; the session id of its first step.
    pub operation: Uuid,
    /// The verb's row.
    pub spec: &'static Spec,
    /// The node that the verb goes to.
    pub node: &'a NodeName,
    /// The verb's options.
    pub options: &'a Options,
}

/// The plan of one step: the verb itself on its node.
#[must_use]
pub fn one_step(request: &PlanRequest<'_>) -> Vec<NewStep> {
    vec![NewStep {
        session: request.operation,
        verb: request.spec.name,
        node: request.node.clone(),
        options: request.options.clone(),
        recovery: Recovery::Observe,
        undo: None,
    }]
}

/// Where a verb goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To the node that owns the VM.
    Owner,
    /// To the node that the operator names.
    Given,
}

/// What a verb does to the claim of a node on a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimEffect {
    /// Claims the VM for its node before anything runs; a proof that the domain is absent
    /// ends that claim.
    Takes,
    /// Needs the claim and leaves it as it is.
    Keeps,
    /// Ends the claim where the domain is proved to be absent.
    Ends,
}

/// How `n_vm VERB` names its VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// By vm_id: the node fetches the config.
    Id,
    /// By the name of its domain.
    Name,
}

impl Spec {
    /// The row of a verb that goes to the VM's owner, keeps the claim and proves nothing: a
    /// verb's file states what differs.
    #[must_use]
    pub const fn on_owner(name: &'static str, link: &'static str) -> Self {
        Self {
            name: VerbName::of(name),
            target: Target::Owner,
            claim: ClaimEffect::Keeps,
            address: Address::Name,
            proof: &[],
            implied_state: |_| None,
            desired: None,
            plan: one_step,
            removes_storage: false,
            failures: &[1],
            recreate: None,
            link,
            node_command: None,
        }
    }

    /// Whether this state, observed once nothing of the verb runs, proves that it reached its
    /// goal.
    #[must_use]
    pub fn is_proved_by(&self, seen: VmState) -> bool {
        self.proof.contains(&seen)
    }

    /// Whether this exit code of `n_vm` states that the verb failed.
    #[must_use]
    pub fn is_failure(&self, code: i32) -> bool {
        self.failures.iter().any(|&known| i32::from(known) == code)
    }
}

/// The rows of every verb that runs on a node.
#[derive(Debug, Clone, Copy)]
pub struct Catalog(pub &'static [&'static Spec]);

impl Catalog {
    /// The row of a verb; a journal may hold one that this program does not have.
    #[must_use]
    pub fn find(self, name: VerbName) -> Option<&'static Spec> {
        self.0.iter().copied().find(|spec| spec.name == name)
    }
}
