//! Observation: the state of the domain decides a step whose result is lost.

use hps_core::state::VmState;

use crate::operation::observe::completion;
use crate::verbs::{create, destroy, pause, reboot, start, stop, unpause};

#[test]
fn a_reached_state_is_success_any_other_is_unknown() {
    for (spec, seen, code, ends_claim) in [
        (&create::SPEC, VmState::Running, 0, false),
        (&create::SPEC, VmState::ShutOff, 11, false),
        (&create::SPEC, VmState::Absent, 11, true),
        (&start::SPEC, VmState::Running, 0, false),
        (&start::SPEC, VmState::Absent, 11, false),
        (&stop::SPEC, VmState::ShutOff, 0, false),
        (&stop::SPEC, VmState::Absent, 0, false),
        (&stop::SPEC, VmState::Running, 11, false),
        (&pause::SPEC, VmState::Paused, 0, false),
        (&unpause::SPEC, VmState::Running, 0, false),
        (&unpause::SPEC, VmState::Paused, 11, false),
        (&destroy::SPEC, VmState::Absent, 0, true),
        (&destroy::SPEC, VmState::Running, 11, false),
        (&reboot::SPEC, VmState::Running, 11, false),
        (&reboot::SPEC, VmState::ShutOff, 11, false),
    ] {
        let end = completion(spec, seen);
        assert_eq!(
            (end.exit_code, end.ends_claim),
            (code, ends_claim),
            "{} {seen}",
            spec.name
        );
    }
}

#[test]
fn only_a_reached_state_changes_what_should_be() {
    assert!(
        completion(&create::SPEC, VmState::Running)
            .desired
            .is_some()
    );
    assert!(completion(&create::SPEC, VmState::Absent).desired.is_none());
    assert!(completion(&pause::SPEC, VmState::Paused).desired.is_none());
}
