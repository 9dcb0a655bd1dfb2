//! The verdict: every exit code, report and doubt has one meaning.

use hps_core::state::VmState;

use crate::engine::RunOutcome;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::step::NodeResult;
use crate::model::verb::Spec;
use crate::operation::verdict::Facts;
use crate::verbs::{create, destroy, pause, reboot, start, stop, unpause};

fn exited(code: i32) -> RunOutcome {
    RunOutcome::Exited(code, None)
}

fn reported(exit_code: u8, state: VmState) -> NodeResult {
    NodeResult {
        exit_code,
        state,
        message: "because".to_owned(),
    }
}

fn judge(
    spec: &'static Spec,
    outcome: &RunOutcome,
    reported: Option<&NodeResult>,
    fresh_claim: bool,
) -> (Exit, bool) {
    let options = Options::default();
    let verdict = Facts {
        spec,
        options: &options,
        outcome,
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
            judge(&create::SPEC, &exited(code), None, true),
            (want, fresh),
            "{code}, fresh claim"
        );
        assert_eq!(
            judge(&create::SPEC, &exited(code), None, false),
            (want, old),
            "{code}, old claim"
        );
    }
}

#[test]
fn a_failed_create_that_saw_the_domain_keeps_the_claim() {
    let seen = reported(2, VmState::Running);
    assert_eq!(
        judge(&create::SPEC, &exited(2), Some(&seen), true),
        (Exit::ExecutionFailed, false)
    );
}

#[test]
fn of_the_other_verbs_only_destroy_ends_a_claim() {
    for spec in [
        &start::SPEC,
        &stop::SPEC,
        &reboot::SPEC,
        &pause::SPEC,
        &unpause::SPEC,
        &destroy::SPEC,
    ] {
        assert_eq!(
            judge(spec, &exited(0), None, false),
            (Exit::Success, spec.name == destroy::SPEC.name)
        );
        assert_eq!(
            judge(spec, &exited(1), None, false),
            (Exit::ExecutionFailed, false)
        );
    }
}

#[test]
fn a_verb_that_failed_because_libvirt_did_not_answer_is_unknown() {
    let doubt = reported(1, VmState::Unknown);
    assert_eq!(
        judge(&stop::SPEC, &exited(1), Some(&doubt), false),
        (Exit::Unknown, false)
    );
}

#[test]
fn a_report_counts_where_no_exit_code_was_recorded() {
    let lost = RunOutcome::Unknown("gone".to_owned());
    let done = reported(0, VmState::Running);
    assert_eq!(
        judge(&create::SPEC, &lost, Some(&done), true),
        (Exit::Success, false)
    );
    assert_eq!(
        judge(&create::SPEC, &lost, None, true),
        (Exit::Unknown, false)
    );
}

#[test]
fn a_reported_task_was_started_even_if_om_denies_it() {
    let none = RunOutcome::NotStarted("om ran nothing".to_owned());
    let done = reported(0, VmState::Running);
    assert_eq!(
        judge(&create::SPEC, &none, Some(&done), true),
        (Exit::Success, false)
    );
    assert_eq!(
        judge(&create::SPEC, &none, None, true),
        (Exit::ServiceNotCreated, true)
    );
}

#[test]
fn a_plain_stop_only_asked_so_the_state_is_not_implied() {
    let (plain, forced) = (
        Options::default(),
        Options {
            force: true,
            ..Options::default()
        },
    );
    let facts = |options| {
        Facts {
            spec: &stop::SPEC,
            options,
            outcome: &RunOutcome::Exited(0, None),
            reported: None,
            fresh_claim: false,
        }
        .verdict()
    };
    assert_eq!(
        (facts(&plain).state, facts(&forced).state),
        (None, Some(VmState::ShutOff))
    );
}
