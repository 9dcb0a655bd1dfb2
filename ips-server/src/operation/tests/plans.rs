//! Plans of several steps: each step has its own session, result and settlement; a failure
//! undoes what was done, a killed process is continued from the journal.

use hps_core::state::VmState;
use hps_core::verb::VerbName;
use uuid::Uuid;

use super::world::{Does, World};
use crate::model::exit::Exit;
use crate::model::operation::Operation;
use crate::model::step::{NewStep, Recovery};
use crate::model::verb::{Address, Catalog, ClaimEffect, PlanRequest, Spec, Target, one_step};
use crate::operation::sweep::Sweep;

const fn task(name: &'static str, proof: &'static [VmState]) -> Spec {
    Spec {
        name: VerbName::of(name),
        target: Target::Given,
        claim: ClaimEffect::Keeps,
        address: Address::Name,
        proof,
        implied_state: |_| None,
        desired: None,
        plan: one_step,
        removes_storage: false,
        failures: &[1],
        recreate: None,
        link: "o_vm_test",
        node_command: None,
    }
}

static OPEN: Spec = task("open", &[]);
static COPY: Spec = task("copy", &[VmState::Running]);
static SHUT: Spec = task("shut", &[]);
/// Opens on n2, copies on n1, shuts on n2; a failed copy shuts n2 again.
static MOVE: Spec = Spec {
    claim: ClaimEffect::Takes,
    plan: three_steps,
    ..task("move", &[])
};
const CATALOG: Catalog = Catalog(&[&OPEN, &COPY, &SHUT, &MOVE]);

fn three_steps(request: &PlanRequest<'_>) -> Vec<NewStep> {
    let step = |session, spec: &Spec, node: &str, recovery, undo| NewStep {
        session,
        verb: spec.name,
        node: node.parse().unwrap(),
        options: request.options.clone(),
        recovery,
        undo,
    };
    vec![
        step(
            request.operation,
            &OPEN,
            "n2",
            Recovery::Repeat,
            Some(SHUT.name),
        ),
        step(Uuid::new_v4(), &COPY, "n1", Recovery::Observe, None),
        step(Uuid::new_v4(), &SHUT, "n2", Recovery::Repeat, None),
    ]
}

fn last(world: &World) -> Operation {
    let all = world.registry().operations(None, 1).unwrap();
    all.into_iter().next().unwrap()
}

fn codes(operation: &Operation) -> Vec<Option<u8>> {
    let codes = operation.plan.iter();
    codes
        .map(|step| step.end.as_ref().map(|end| end.exit_code))
        .collect()
}

#[test]
fn an_operation_ends_when_its_steps_have() {
    let world = World::new("all", CATALOG);
    assert_eq!(world.run(&MOVE, "n2").code, Exit::Success);
    assert_eq!(world.ran(), ["open on n2", "copy on n1", "shut on n2"]);
    let operation = last(&world);
    assert_eq!(codes(&operation), [Some(0); 3]);
    assert_eq!(operation.end.unwrap().exit_code, 0);
    let sessions: std::collections::BTreeSet<_> = operation
        .plan
        .iter()
        .map(|step| step.plan.session)
        .collect();
    assert_eq!(sessions.len(), 3, "each step has a session of its own");
}

#[test]
fn a_failed_step_undoes_those_before_it() {
    let world = World::new("undo", CATALOG);
    world.script("copy on n1", Does::Exits(1));
    let result = world.run(&MOVE, "n2");
    assert_eq!(
        (result.code, result.message.as_str()),
        (Exit::ExecutionFailed, "copy on n1 failed")
    );
    assert_eq!(world.ran(), ["open on n2", "copy on n1", "shut on n2"]);
    assert_eq!(codes(&last(&world)), [Some(0), Some(7), Some(0)]);
}

#[test]
fn a_failed_undo_is_part_of_the_reason() {
    let world = World::new("undo-fails", CATALOG);
    world.script("copy on n1", Does::Exits(1));
    world.script("shut on n2", Does::Exits(1));
    let result = world.run(&MOVE, "n2");
    assert_eq!(result.code, Exit::ExecutionFailed);
    assert_eq!(
        result.message,
        "copy on n1 failed; and shut on n2 could not be undone: shut on n2 failed"
    );
}

#[test]
fn a_first_step_that_is_not_sent_ends_the_operation() {
    let world = World::new("unsent", CATALOG);
    world.script("open on n2", Does::IsNotMade);
    assert_eq!(world.run(&MOVE, "n2").code, Exit::ServiceNotCreated);
    assert_eq!(world.ran(), [""; 0]);
    let vm = world.vm();
    assert_eq!(vm.owner, None, "the claim ended, too");
}

#[test]
fn the_same_command_goes_on_where_a_killed_one_was() {
    for (at, task) in ["open on n2", "copy on n1", "shut on n2"]
        .iter()
        .enumerate()
    {
        let world = World::new(&format!("resume-{at}"), CATALOG);
        world.script(task, Does::Dies { recorded: Some(0) });
        assert_eq!(world.run(&MOVE, "n2").code, Exit::Unknown, "{task}");
        assert_eq!(world.deaths(), 1);
        world.succeeds_again(task);
        let result = world.run(&MOVE, "n2");
        assert_eq!(result.code, Exit::Success, "{task}: {}", result.message);
        assert_eq!(codes(&last(&world))[..3], [Some(0); 3], "{task}");
        if at < 2 {
            assert_eq!(world.ran(), ["open on n2", "copy on n1", "shut on n2"]);
        }
    }
}

#[test]
fn sweep_goes_on_where_a_killed_command_was() {
    let world = World::new("sweep", CATALOG);
    world.script("open on n2", Does::Dies { recorded: Some(0) });
    world.run(&MOVE, "n2");
    world.succeeds_again("open on n2");
    let mut executor = world.executor();
    let mut sweep = Sweep {
        executor: &mut executor,
        dry_run: false,
        unfinished: Vec::new(),
    };
    let findings = sweep.run().unwrap();
    assert!(
        findings[0].outcome.starts_with("ended with 0"),
        "{findings:?}"
    );
    assert_eq!(world.ran(), ["open on n2", "copy on n1", "shut on n2"]);
    assert_eq!(codes(&last(&world)), [Some(0); 3]);
}

#[test]
fn a_lost_result_is_repeated_only_where_that_is_safe() {
    let world = World::new("repeat", CATALOG);
    world.script("open on n2", Does::Dies { recorded: None });
    world.run(&MOVE, "n2");
    let before = last(&world).plan[0].plan.session;
    world.succeeds_again("open on n2");
    assert_eq!(world.run(&MOVE, "n2").code, Exit::Success);
    assert_eq!(
        world.ran(),
        ["open on n2", "open on n2", "copy on n1", "shut on n2"]
    );
    assert_ne!(last(&world).plan[0].plan.session, before);
}

#[test]
fn a_lost_result_without_proof_undoes_what_was_done() {
    let world = World::new("observe", CATALOG);
    world.script("copy on n1", Does::Dies { recorded: None });
    world.run(&MOVE, "n2");
    world.succeeds_again("copy on n1");
    // n1 has no domain: the copy is proved not to have reached its goal.
    let result = world.run(&MOVE, "n2");
    assert_eq!(result.code, Exit::Unknown, "{}", result.message);
    assert_eq!(world.ran(), ["open on n2", "copy on n1", "shut on n2"]);
}

#[test]
fn a_lost_result_that_is_proved_goes_on() {
    let world = World::new("proof", CATALOG);
    world.script("copy on n1", Does::Dies { recorded: None });
    world.run(&MOVE, "n2");
    world.succeeds_again("copy on n1");
    let domain = (world.vm().uuid, VmState::Running);
    world
        .engine
        .domains
        .lock()
        .unwrap()
        .insert("n1".to_owned(), domain);
    assert_eq!(world.run(&MOVE, "n2").code, Exit::Success);
    assert_eq!(world.ran(), ["open on n2", "copy on n1", "shut on n2"]);
}

#[test]
fn an_open_plan_refuses_other_commands() {
    let world = World::new("other", CATALOG);
    world.script("open on n2", Does::Dies { recorded: Some(0) });
    world.run(&MOVE, "n2");
    let result = world.run(&OPEN, "n2");
    assert_eq!(result.code, Exit::Refused, "{}", result.message);
    assert!(
        result.message.contains("has open steps"),
        "{}",
        result.message
    );
}
