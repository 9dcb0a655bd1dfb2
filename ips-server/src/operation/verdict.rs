//! From how a verb ended to what it means: exit code, claim, state. Pure, and the only
//! place that decides it. Doubt is 11, and never ends a claim.

use hps_core::state::VmState;
use hps_core::verb::Verb;

use crate::engine::Ended;
use crate::model::exit::Exit;
use crate::registry::operations::Reported;
use crate::registry::vms::Desired;

use super::options::Options;

/// All that is known.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The verb.
    pub verb: Verb,
    /// What it was told.
    pub options: &'a Options,
    /// How the wait for it ended.
    pub ended: &'a Ended,
    /// What the node said of it.
    pub reported: Option<&'a Reported>,
    /// The claim was made by this operation, and this was its first attempt: before it,
    /// the domain was known to be nowhere.
    pub fresh_claim: bool,
}

/// What it means.
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
            Found::Code(0) => self.success(),
            Found::Code(code) if self.is_failure(code) => self.failure(code),
            Found::Code(code) => self.unknown(&self.said(code)),
            Found::Doubt(why) => self.unknown(&why),
            Found::NotStarted(why) => self.not_started(why),
            Found::StoppedWaiting => self.stopped_waiting(),
        }
    }

    /// The recorded exit code counts; where there is none, the node's own report, which also
    /// says that the verb was started.
    fn result(&self) -> Found {
        match (self.ended, self.reported) {
            (Ended::Exited(code, _), _) => Found::Code(*code),
            (Ended::StoppedWaiting, _) => Found::StoppedWaiting,
            (Ended::NotStarted(_) | Ended::Unknown(_), Some(reported)) => {
                Found::Code(i32::from(reported.exit_code))
            }
            (Ended::NotStarted(why), None) => Found::NotStarted(why.clone()),
            (Ended::Unknown(why), None) => Found::Doubt(why.clone()),
        }
    }

    /// Whether the node said that it failed; else it said that it does not know.
    fn is_failure(&self, code: i32) -> bool {
        let doubt = self
            .reported
            .is_some_and(|reported| reported.state == VmState::Unknown);
        match (self.verb, code) {
            (Verb::Create, 1..=5 | 7) => true,
            (Verb::Create, _) => false,
            (_, 1) => !doubt,
            (_, _) => false,
        }
    }

    fn success(&self) -> Verdict {
        let desired = match self.verb {
            Verb::Create | Verb::Start | Verb::Unpause => Some(Desired::Running),
            Verb::Stop | Verb::Destroy => Some(Desired::Off),
            Verb::Pause | Verb::Status => None,
        };
        Verdict {
            code: Exit::Success,
            reason: self
                .words()
                .unwrap_or_else(|| format!("{} done", self.verb)),
            ends_claim: self.verb == Verb::Destroy,
            state: self.reported_state().or_else(|| self.implied_state()),
            desired,
        }
    }

    fn failure(&self, code: i32) -> Verdict {
        Verdict {
            code: Exit::ExecutionFailed,
            reason: self.said(code),
            ends_claim: self.verb == Verb::Create && self.is_proved_absent(code),
            state: self.reported_state(),
            desired: None,
        }
    }

    /// `n_vm create` looked for the domain (5), or never came to run virt-install.
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
        let reason = format!("stopped waiting; {} goes on", self.verb);
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

    fn implied_state(&self) -> Option<VmState> {
        match self.verb {
            Verb::Create | Verb::Start | Verb::Unpause => Some(VmState::Running),
            Verb::Pause => Some(VmState::Paused),
            Verb::Destroy => Some(VmState::Absent),
            Verb::Stop if self.options.force || self.options.wait.is_some() => {
                Some(VmState::ShutOff)
            }
            Verb::Stop | Verb::Status => None,
        }
    }

    /// The node's own words, from its report or else from its stderr.
    fn words(&self) -> Option<String> {
        let reported = self.reported.map(|reported| reported.message.clone());
        let from_stderr = match self.ended {
            Ended::Exited(_, words) => words.clone(),
            Ended::NotStarted(_) | Ended::Unknown(_) | Ended::StoppedWaiting => None,
        };
        reported.or(from_stderr).filter(|words| !words.is_empty())
    }

    fn said(&self, code: i32) -> String {
        match self.words() {
            Some(words) => words,
            None => format!(
                "n_vm {} exited {code}, and the node reported no reason; look into its log",
                self.verb
            ),
        }
    }
}

enum Found {
    Code(i32),
    Doubt(String),
    NotStarted(String),
    StoppedWaiting,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> Ended {
        Ended::Exited(code, None)
    }

    fn reported(exit_code: u8, state: VmState) -> Reported {
        Reported {
            exit_code,
            state,
            message: "because".to_owned(),
        }
    }

    fn judge(
        verb: Verb,
        ended: &Ended,
        reported: Option<&Reported>,
        fresh_claim: bool,
    ) -> (Exit, bool) {
        let options = Options::default();
        let verdict = Facts {
            verb,
            options: &options,
            ended,
            reported,
            fresh_claim,
        }
        .verdict();
        (verdict.code, verdict.ends_claim)
    }

    #[test]
    fn every_exit_code_of_create_has_its_meaning_for_the_claim() {
        use Exit::{ExecutionFailed, Success, Unknown};
        for (code, want, fresh, old) in [
            (0, Success, false, false),
            (1, ExecutionFailed, true, false),
            (2, ExecutionFailed, true, false),
            (3, ExecutionFailed, true, false),
            (4, ExecutionFailed, true, false),
            (5, ExecutionFailed, true, true),
            (6, Unknown, false, false),
            (7, ExecutionFailed, true, false),
            (127, Unknown, false, false),
            (130, Unknown, false, false),
            (143, Unknown, false, false),
            (-1, Unknown, false, false),
        ] {
            assert_eq!(
                judge(Verb::Create, &exited(code), None, true),
                (want, fresh),
                "{code}, fresh claim"
            );
            assert_eq!(
                judge(Verb::Create, &exited(code), None, false),
                (want, old),
                "{code}, old claim"
            );
        }
    }

    #[test]
    fn a_failed_create_that_saw_the_domain_keeps_the_claim() {
        let seen = reported(2, VmState::Running);
        assert_eq!(
            judge(Verb::Create, &exited(2), Some(&seen), true),
            (Exit::ExecutionFailed, false)
        );
    }

    #[test]
    fn only_a_destroy_that_succeeded_ends_a_claim_among_the_other_verbs() {
        for verb in [
            Verb::Start,
            Verb::Stop,
            Verb::Pause,
            Verb::Unpause,
            Verb::Destroy,
            Verb::Status,
        ] {
            assert_eq!(
                judge(verb, &exited(0), None, false),
                (Exit::Success, verb == Verb::Destroy)
            );
            assert_eq!(
                judge(verb, &exited(1), None, false),
                (Exit::ExecutionFailed, false)
            );
        }
    }

    #[test]
    fn a_verb_that_failed_because_libvirt_did_not_answer_is_unknown() {
        let doubt = reported(1, VmState::Unknown);
        assert_eq!(
            judge(Verb::Stop, &exited(1), Some(&doubt), false),
            (Exit::Unknown, false)
        );
    }

    #[test]
    fn a_report_counts_where_no_exit_code_was_recorded() {
        let lost = Ended::Unknown("gone".to_owned());
        let done = reported(0, VmState::Running);
        assert_eq!(
            judge(Verb::Create, &lost, Some(&done), true),
            (Exit::Success, false)
        );
        assert_eq!(
            judge(Verb::Create, &lost, None, true),
            (Exit::Unknown, false)
        );
    }

    #[test]
    fn what_the_node_reported_was_started_whatever_om_says() {
        let none = Ended::NotStarted("om ran nothing".to_owned());
        let done = reported(0, VmState::Running);
        assert_eq!(
            judge(Verb::Create, &none, Some(&done), true),
            (Exit::Success, false)
        );
        assert_eq!(
            judge(Verb::Create, &none, None, true),
            (Exit::ServiceNotCreated, true)
        );
    }

    #[test]
    fn a_plain_stop_only_asked_so_the_state_is_not_implied() {
        let (asked, forced) = (
            Options::default(),
            Options {
                force: true,
                ..Options::default()
            },
        );
        let facts = |options| {
            Facts {
                verb: Verb::Stop,
                options,
                ended: &Ended::Exited(0, None),
                reported: None,
                fresh_claim: false,
            }
            .verdict()
        };
        assert_eq!(
            (facts(&asked).state, facts(&forced).state),
            (None, Some(VmState::ShutOff))
        );
    }
}
