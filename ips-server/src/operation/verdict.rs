//! The verdict on a task: exit code, claim and state. Pure, and the only place that decides
//! it. Doubt is 11, and never ends a claim.

use hps_core::state::VmState;

use crate::engine::RunOutcome;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::step::NodeResult;
use crate::model::verb::{ClaimEffect, Spec};
use crate::model::vm::Desired;

/// The known facts about a task.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The verb's row.
    pub spec: &'static Spec,
    /// The verb's options.
    pub options: &'a Options,
    /// How the wait for the task ended.
    pub outcome: &'a RunOutcome,
    /// What the node reported of the task.
    pub reported: Option<&'a NodeResult>,
    /// This operation made the claim, and this was its first attempt: no node had the domain
    /// before it.
    pub fresh_claim: bool,
}

/// What the facts mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Success, `ExecutionFailed`, `Unknown` or `StoppedWaiting`; cleaning up may change it yet.
    pub code: Exit,
    /// One line for people.
    pub reason: String,
    /// Whether it is proved that the domain is not there.
    pub ends_claim: bool,
    /// The VM's state, where it is known now.
    pub state: Option<VmState>,
    /// What the VM should be from now on, where that changed.
    pub desired: Option<Desired>,
}

impl Facts<'_> {
    /// The verdict on these facts.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.result() {
            Evidence::Code(0) => self.success(),
            Evidence::Code(code) if self.is_failure(code) => self.failure(code),
            Evidence::Code(code) => self.unknown(&self.reason(code)),
            Evidence::Doubt(why) => self.unknown(&why),
            Evidence::NotStarted(why) => self.not_started(why),
            Evidence::StoppedWaiting => self.stopped_waiting(),
        }
    }

    /// The recorded exit code counts; where there is none, the node's own report, which also
    /// proves that the task was started.
    fn result(&self) -> Evidence {
        match (self.outcome, self.reported) {
            (RunOutcome::Exited(code, _), _) => Evidence::Code(*code),
            (RunOutcome::StoppedWaiting, _) => Evidence::StoppedWaiting,
            (RunOutcome::NotStarted(_) | RunOutcome::Unknown(_), Some(reported)) => {
                Evidence::Code(i32::from(reported.exit_code))
            }
            (RunOutcome::NotStarted(why), None) => Evidence::NotStarted(why.clone()),
            (RunOutcome::Unknown(why), None) => Evidence::Doubt(why.clone()),
        }
    }

    /// Whether the node stated that the verb failed; otherwise it stated doubt.
    fn is_failure(&self, code: i32) -> bool {
        let doubt = self
            .reported
            .is_some_and(|reported| reported.state == VmState::Unknown);
        // A verb that takes the claim has a code for each failure; the others have one code,
        // and the report's state says whether it is doubt.
        self.spec.is_failure(code) && (self.takes_claim() || !doubt)
    }

    fn takes_claim(&self) -> bool {
        self.spec.claim == ClaimEffect::Takes
    }

    fn success(&self) -> Verdict {
        Verdict {
            code: Exit::Success,
            reason: self
                .message()
                .unwrap_or_else(|| format!("{} done", self.spec.name)),
            ends_claim: self.spec.claim == ClaimEffect::Ends,
            state: self
                .reported_state()
                .or_else(|| (self.spec.implied_state)(self.options)),
            desired: self.spec.desired,
        }
    }

    fn failure(&self, code: i32) -> Verdict {
        Verdict {
            code: Exit::ExecutionFailed,
            reason: self.reason(code),
            ends_claim: self.takes_claim() && self.is_proved_absent(code),
            state: self.reported_state(),
            desired: None,
        }
    }

    /// `n_vm create` looked for the domain (5), or failed before it ran virt-install.
    fn is_proved_absent(&self, code: i32) -> bool {
        let state = self.reported.map(|reported| reported.state);
        let seen_there = code != 7 && state.is_some_and(VmState::is_there);
        state == Some(VmState::Absent) || (!seen_there && (code == 5 || self.fresh_claim))
    }

    fn not_started(&self, why: String) -> Verdict {
        Verdict {
            code: Exit::ServiceNotCreated,
            reason: why,
            ends_claim: self.fresh_claim,
            state: None,
            desired: None,
        }
    }

    fn unknown(&self, why: &str) -> Verdict {
        Verdict {
            code: Exit::Unknown,
            reason: why.to_owned(),
            ends_claim: false,
            state: Some(VmState::Unknown),
            desired: None,
        }
    }

    fn stopped_waiting(&self) -> Verdict {
        let reason = format!("stopped waiting; {} continues", self.spec.name);
        Verdict {
            code: Exit::StoppedWaiting,
            state: None,
            ..self.unknown(&reason)
        }
    }

    fn reported_state(&self) -> Option<VmState> {
        self.reported
            .map(|reported| reported.state)
            .filter(|state| *state != VmState::Unknown)
    }

    /// The node's own reason, from its report or else from its stderr.
    fn message(&self) -> Option<String> {
        let reported = self.reported.map(|reported| reported.message.clone());
        let from_stderr = match self.outcome {
            RunOutcome::Exited(_, words) => words.clone(),
            RunOutcome::NotStarted(_) | RunOutcome::Unknown(_) | RunOutcome::StoppedWaiting => None,
        };
        reported.or(from_stderr).filter(|words| !words.is_empty())
    }

    fn reason(&self, code: i32) -> String {
        match self.message() {
            Some(words) => words,
            None => format!(
                "n_vm {} exited {code}, and the node reported no reason; see its log",
                self.spec.name
            ),
        }
    }
}

enum Evidence {
    Code(i32),
    Doubt(String),
    NotStarted(String),
    StoppedWaiting,
}
