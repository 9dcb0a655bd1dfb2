//! The registry against real files: refusals, durability, damaged files.

mod model;

use std::path::PathBuf;

use hps_core::config::VmConfig;
use hps_core::names::{NodeName, VmId};
use hps_core::report::{DomainReport, Inventory, Report};
use hps_core::state::VmState;
use uuid::Uuid;

use super::tokens::ReportOutcome;
use super::*;
use crate::model::claim::Precondition;
use crate::model::operation::{BeginOutcome, Completion, FollowUp, NewOperation};
use crate::model::options::Options;
use crate::model::token::Token;
use crate::model::verb::{PlanRequest, Spec};
use crate::model::vm::Desired;
use crate::verbs::{create, destroy, start, stop};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hps-registry-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("registry.db")
    }

    fn open(&self) -> Registry {
        Registry::open(&self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn author() -> Author {
    Author {
        who: "tester (uid 0)".into(),
        source: "test".into(),
        reason: Some("because".into()),
    }
}

fn config(name: &str, more: &str) -> VmConfig {
    let text =
        format!("name={name}\ncpu_count=2\nram_mb=512\nprovision_method=virt-install\n{more}");
    VmConfig::parse(text.as_bytes()).unwrap().config
}

fn id(text: &str) -> VmId {
    text.parse().unwrap()
}

fn node(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn define(registry: &mut Registry, vm: &str, more: &str) -> Result<(), RegistryError> {
    registry.define(&author(), &[(id(vm), config(vm, more))])
}

fn begin(
    registry: &mut Registry,
    operation: u128,
    vm: &str,
    spec: &'static Spec,
    to: &str,
) -> BeginOutcome {
    begin_if(registry, operation, vm, spec, to, None)
}

fn begin_if(
    registry: &mut Registry,
    operation: u128,
    vm: &str,
    spec: &'static Spec,
    to: &str,
    precondition: Option<Precondition>,
) -> BeginOutcome {
    let (vm, to, options) = (id(vm), node(to), Options::default());
    let plan = (spec.plan)(&PlanRequest {
        operation: Uuid::from_u128(operation),
        spec,
        node: &to,
        options: &options,
    });
    let new = NewOperation {
        id: Uuid::from_u128(operation),
        vm: Some(&vm),
        spec,
        options: &options,
        plan: &plan,
        precondition,
    };
    registry.begin(&author(), &new).unwrap()
}

/// Ends the only step of an operation, and with it the operation.
fn finish(registry: &mut Registry, operation: u128, completion: &Completion) {
    let end = FollowUp::End(completion.exit_code, completion.reason.clone());
    registry
        .finish_step(Uuid::from_u128(operation), completion, &end)
        .unwrap();
}

/// Records an inventory as the answer to a question of now.
fn record(registry: &mut Registry, inventory: &Inventory) {
    let epoch = registry.grant_inventory(&inventory.node, [9; 32]).unwrap();
    registry.record_inventory(inventory, epoch).unwrap();
    registry.revoke([9; 32]).unwrap();
}

fn end(registry: &mut Registry, operation: u128, exit_code: u8, ends_claim: bool, state: VmState) {
    let wanted = if state == VmState::Absent {
        Desired::Off
    } else {
        Desired::Running
    };
    let desired = (exit_code == 0).then_some(wanted);
    let ending = Completion {
        exit_code,
        reason: "so".into(),
        ends_claim,
        state: Some(state),
        desired,
    };
    finish(registry, operation, &ending);
}

#[test]
fn a_definition_is_read_back_as_it_was_given() {
    let folder = Folder::new("define");
    let more = "disk_1_a=/dev/a\ndisk_1_b=/dev/b\ndisk_3_a=/dev/c\nvxlan_7=br7\nvxlan_5=br5\ntitle=A, \"b\"\n\
                uuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8\nos_variant=debian12\nfirmware=uefi\nboot=hd,network\ncpu_model=host-model\n";
    define(&mut folder.open(), "vm-1", more).unwrap();
    let vm = folder.open().find("VM-1").unwrap().unwrap();
    assert_eq!(vm.config, config("vm-1", more));
    assert_eq!(folder.open().vms().unwrap(), [vm]);
}

#[test]
fn names_ids_uuids_and_disk_paths_belong_to_one_vm() {
    let folder = Folder::new("unique");
    let mut registry = folder.open();
    define(&mut registry, "vm-1", "disk_1_a=/dev/a\ndisk_1_b=/dev/b\n").unwrap();
    let refusal = |registry: &mut Registry, vm: &str, name: &str, more: &str| {
        registry
            .define(&author(), &[(id(vm), config(name, more))])
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(&mut registry, "vm-1", "x", "").starts_with("vm_id vm-1 is defined already"));
    assert_eq!(
        refusal(&mut registry, "vm-2", "vm-1", ""),
        "name vm-1 is taken by VM vm-1"
    );
    let uuid = format!("uuid={}\n", hps_core::identity::uuid_of_id(&id("vm-1")));
    assert!(refusal(&mut registry, "vm-2", "x", &uuid).starts_with("uuid "));
    for path in ["disk_1_a=/dev/b\n", "disk_2_a=/dev/x\ndisk_2_b=/dev/a\n"] {
        let error = refusal(&mut registry, "vm-2", "x", path);
        assert!(error.contains("is a disk of VM vm-1 already"), "{error}");
    }
    assert_eq!(registry.vms().unwrap().len(), 1);
}

#[test]
fn many_definitions_are_all_or_none() {
    let folder = Folder::new("all");
    let mut registry = folder.open();
    let twice = [(id("a"), config("a", "")), (id("b"), config("a", ""))];
    assert!(registry.define(&author(), &twice).is_err());
    assert!(registry.vms().unwrap().is_empty());
}

#[test]
fn a_claim_lasts_until_the_domain_is_proved_absent() {
    let folder = Folder::new("claim");
    let mut registry = folder.open();
    define(&mut registry, "vm-1", "").unwrap();
    assert!(matches!(
        begin(&mut registry, 1, "vm-1", &start::SPEC, "n1"),
        BeginOutcome::Refused(_)
    ));
    assert_eq!(
        begin(&mut registry, 2, "vm-1", &create::SPEC, "n1"),
        BeginOutcome::Journaled
    );
    assert!(
        matches!(
            begin(&mut registry, 3, "vm-1", &create::SPEC, "n1"),
            BeginOutcome::Refused(_)
        ),
        "two at a time"
    );
    end(&mut registry, 2, 7, false, VmState::Unknown);
    assert_eq!(
        begin(&mut registry, 4, "vm-1", &create::SPEC, "n2"),
        BeginOutcome::Refused("n1 owns vm-1, or may own it".into())
    );
    assert!(registry.undefine(&author(), &id("vm-1")).is_err());
    assert_eq!(
        begin(&mut registry, 5, "vm-1", &destroy::SPEC, "n1"),
        BeginOutcome::Journaled
    );
    end(&mut registry, 5, 0, true, VmState::Absent);
    assert_eq!(
        begin(&mut registry, 6, "vm-1", &create::SPEC, "n2"),
        BeginOutcome::Journaled
    );
}

#[test]
fn only_the_claiming_operation_has_a_fresh_claim() {
    let folder = Folder::new("fresh");
    let mut registry = folder.open();
    define(&mut registry, "vm-1", "").unwrap();
    begin(&mut registry, 1, "vm-1", &create::SPEC, "n1");
    let fresh = |registry: &Registry, n| {
        registry
            .operation(Uuid::from_u128(n))
            .unwrap()
            .unwrap()
            .has_fresh_claim()
    };
    assert!(fresh(&registry, 1));
    registry
        .start_step(Uuid::from_u128(1), Uuid::from_u128(1), "x")
        .unwrap();
    assert!(fresh(&registry, 1));
    registry
        .start_step(Uuid::from_u128(1), Uuid::from_u128(1), "x")
        .unwrap();
    assert!(!fresh(&registry, 1), "a second attempt");
    end(&mut registry, 1, 11, false, VmState::Unknown);
    begin(&mut registry, 2, "vm-1", &create::SPEC, "n1");
    assert!(!fresh(&registry, 2), "the claim was there");
}

#[test]
fn an_end_is_recorded_once_and_closes_the_token() {
    let folder = Folder::new("end");
    let mut registry = folder.open();
    define(&mut registry, "vm-1", "").unwrap();
    begin(&mut registry, 1, "vm-1", &create::SPEC, "n1");
    let operation = registry.operation(Uuid::from_u128(1)).unwrap().unwrap();
    let token = Token::new().unwrap();
    registry
        .grant(
            &id("vm-1"),
            &operation.plan[0].plan,
            token.hash(),
            Some("10.0.0.1"),
        )
        .unwrap();
    assert_eq!(
        registry.token(token.hash()).unwrap().unwrap().vm,
        Some(id("vm-1"))
    );
    end(&mut registry, 1, 0, false, VmState::Running);
    end(&mut registry, 1, 7, true, VmState::Absent);
    assert_eq!(registry.token(token.hash()).unwrap(), None);
    let end = registry
        .operation(Uuid::from_u128(1))
        .unwrap()
        .unwrap()
        .end
        .unwrap();
    assert_eq!(end.exit_code, 0);
    let vm = registry.vm(&id("vm-1")).unwrap().unwrap();
    assert_eq!(
        (vm.owner, vm.state, vm.desired),
        (Some(node("n1")), VmState::Running, Desired::Running)
    );
}

#[test]
fn the_first_report_counts_and_its_repeat_is_fine() {
    let folder = Folder::new("report");
    let mut registry = folder.open();
    define(&mut registry, "vm-1", "").unwrap();
    begin(&mut registry, 1, "vm-1", &create::SPEC, "n1");
    let report = Report {
        operation: Uuid::from_u128(1),
        vm_id: id("vm-1"),
        verb: hps_core::verb::VerbName::of("create"),
        node: node("n1"),
        exit_code: 0,
        state: VmState::Running,
        message: "runs".into(),
    };
    assert_eq!(
        registry.record_report(&report).unwrap(),
        ReportOutcome::Recorded
    );
    assert_eq!(
        registry.record_report(&report).unwrap(),
        ReportOutcome::Recorded
    );
    let other = Report {
        exit_code: 5,
        ..report.clone()
    };
    assert_eq!(
        registry.record_report(&other).unwrap(),
        ReportOutcome::Contradicted
    );
    let stranger = Report {
        operation: Uuid::from_u128(9),
        ..report
    };
    assert_eq!(
        registry.record_report(&stranger).unwrap(),
        ReportOutcome::Closed
    );
    assert_eq!(
        registry.vm(&id("vm-1")).unwrap().unwrap().state,
        VmState::Running
    );
}

fn has(vm: &str, state: VmState) -> DomainReport {
    DomainReport {
        name: vm.into(),
        uuid: hps_core::identity::uuid_of_id(&id(vm)),
        state,
        vcpus: 1,
        memory_mb: 64,
        vnc: Some("127.0.0.1:5900".into()),
        definition: None,
    }
}

fn of(domains: Vec<DomainReport>) -> Inventory {
    Inventory {
        node: node("n1"),
        boot_id: Uuid::from_u128(7),
        version: "1".into(),
        cpus: 4,
        memory_mb: 1024,
        domains,
    }
}

/// The question to a node comes first, then an operation begins or ends, then the answer.
#[test]
fn a_late_answer_does_not_count_for_later_steps() {
    let folder = Folder::new("stale");
    let mut registry = folder.open();
    define(&mut registry, "made", "").unwrap();
    define(&mut registry, "still", "").unwrap();
    begin(&mut registry, 1, "still", &create::SPEC, "n1");
    end(&mut registry, 1, 0, false, VmState::Running);
    let epoch = registry.grant_inventory(&node("n1"), [1; 32]).unwrap();
    begin(&mut registry, 2, "made", &create::SPEC, "n1");
    end(&mut registry, 2, 0, false, VmState::Running);
    registry.record_inventory(&of(vec![]), epoch).unwrap();
    let state = |registry: &Registry, vm: &str| registry.vm(&id(vm)).unwrap().unwrap().state;
    assert_eq!(
        (state(&registry, "made"), state(&registry, "still")),
        (VmState::Running, VmState::Absent)
    );
    // Gone from there and made elsewhere: no stray.
    let epoch = registry.grant_inventory(&node("n1"), [2; 32]).unwrap();
    begin(&mut registry, 3, "made", &destroy::SPEC, "n1");
    end(&mut registry, 3, 0, true, VmState::Absent);
    begin(&mut registry, 4, "made", &create::SPEC, "n2");
    let old = of(vec![has("made", VmState::Running)]);
    registry.record_inventory(&old, epoch).unwrap();
    assert_eq!(registry.conflicts().unwrap(), []);
    record(&mut registry, &old);
    assert_eq!(registry.conflicts().unwrap().len(), 1, "now it is true");
}

/// A sweep finds the VM lost; before it creates it again, a command destroys or stops it.
#[test]
fn a_second_create_needs_its_precondition() {
    let folder = Folder::new("again");
    let mut registry = folder.open();
    define(&mut registry, "vm-1", "").unwrap();
    let again = |registry: &mut Registry, operation: u128, precondition: Precondition| {
        begin_if(
            registry,
            operation,
            "vm-1",
            &create::SPEC,
            "n1",
            Some(precondition),
        )
    };
    for kind in [Precondition::Owned, Precondition::ShouldRun] {
        let outcome = again(&mut registry, 1, kind);
        assert!(
            matches!(outcome, BeginOutcome::Refused(_)),
            "no node owns it: {outcome:?}"
        );
    }
    begin(&mut registry, 2, "vm-1", &create::SPEC, "n1");
    end(&mut registry, 2, 0, false, VmState::Running);
    assert_eq!(
        again(&mut registry, 3, Precondition::ShouldRun),
        BeginOutcome::Journaled
    );
    end(&mut registry, 3, 0, false, VmState::Running);
    begin(&mut registry, 4, "vm-1", &stop::SPEC, "n1");
    let off = Completion {
        exit_code: 0,
        reason: "so".into(),
        ends_claim: false,
        state: Some(VmState::ShutOff),
        desired: Some(Desired::Off),
    };
    finish(&mut registry, 4, &off);
    let outcome = again(&mut registry, 5, Precondition::ShouldRun);
    assert!(
        matches!(outcome, BeginOutcome::Refused(_)),
        "it is off: {outcome:?}"
    );
    assert_eq!(
        again(&mut registry, 6, Precondition::Owned),
        BeginOutcome::Journaled
    );
}

#[test]
fn an_inventory_refreshes_states_and_shows_conflicts() {
    let folder = Folder::new("inventory");
    let mut registry = folder.open();
    for vm in ["here", "gone", "elsewhere"] {
        define(&mut registry, vm, "").unwrap();
    }
    for (n, vm, to) in [(1, "here", "n1"), (2, "gone", "n1"), (3, "elsewhere", "n2")] {
        begin(&mut registry, n, vm, &create::SPEC, to);
        end(&mut registry, n, 0, false, VmState::Running);
    }
    let inventory = of(vec![
        has("here", VmState::Paused),
        has("elsewhere", VmState::Paused),
    ]);
    record(&mut registry, &inventory);
    let state = |vm: &str| registry.vm(&id(vm)).unwrap().unwrap().state;
    assert_eq!(
        (state("here"), state("gone"), state("elsewhere")),
        (VmState::Paused, VmState::Absent, VmState::Running)
    );
    let conflicts = registry.conflicts().unwrap();
    assert_eq!(
        (conflicts.len(), &conflicts[0].vm, &conflicts[0].owner),
        (1, &id("elsewhere"), &Some(node("n2")))
    );
    assert_eq!(
        registry.nodes().unwrap()[0].boot_id,
        Some(Uuid::from_u128(7))
    );
}

#[test]
fn every_change_leaves_its_audit_line() {
    let folder = Folder::new("audit");
    let mut registry = folder.open();
    define(&mut registry, "vm-1", "").unwrap();
    registry
        .redefine(
            &author(),
            &id("vm-1"),
            &config("vm-1", "title=T\n"),
            "title=T",
        )
        .unwrap();
    registry.undefine(&author(), &id("vm-1")).unwrap();
    let audit = registry.audit(&id("vm-1")).unwrap();
    let lines: Vec<_> = audit
        .iter()
        .map(|entry| (entry.what.as_str(), entry.reason.as_deref()))
        .collect();
    assert_eq!(
        lines,
        [
            ("define", Some("because")),
            ("set", Some("because")),
            ("undefine", Some("because"))
        ]
    );
}

#[test]
fn newer_foreign_and_damaged_files_have_their_errors() {
    let folder = Folder::new("bad");
    let error = |folder: &Folder| Registry::open(&folder.file()).unwrap_err();
    drop(folder.open());
    Connection::open(folder.file())
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        error(&folder),
        RegistryError::Newer { found: 99, .. }
    ));

    std::fs::write(
        folder.file(),
        "this is no database at all, it is a text file of some length",
    )
    .unwrap();
    assert!(matches!(error(&folder), RegistryError::NotOurs { .. }));

    std::fs::remove_file(folder.file()).unwrap();
    Connection::open(folder.file())
        .unwrap()
        .execute_batch("CREATE TABLE other (x)")
        .unwrap();
    assert!(matches!(error(&folder), RegistryError::NotOurs { .. }));
}

#[test]
fn a_symbolic_link_in_place_of_the_registry_is_refused() {
    let folder = Folder::new("link");
    let target = folder.0.join("target.db");
    std::fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, folder.file()).unwrap();
    assert!(Registry::open(&folder.file()).is_err());
    assert_eq!(std::fs::read(&target).unwrap(), b"");
}

#[test]
fn a_row_with_an_invalid_value_is_an_error() {
    let folder = Folder::new("tampered");
    define(&mut folder.open(), "vm-1", "disk_1_a=/dev/a\n").unwrap();
    for sql in [
        "UPDATE disk SET path = '../etc/passwd'",
        "UPDATE vm SET name = '-x; reboot'",
        "UPDATE vm SET owner = 'a b', owner_since = 'x'",
        "UPDATE vm SET state = 'fine'",
    ] {
        let connection = Connection::open(folder.file()).unwrap();
        connection
            .execute_batch(&format!("BEGIN; {sql}; COMMIT"))
            .unwrap();
        let read = folder.open().vm(&id("vm-1"));
        assert!(
            matches!(read, Err(RegistryError::BadRow { .. })),
            "{sql}: {read:?}"
        );
        connection.execute_batch("UPDATE vm SET owner = NULL, owner_since = NULL, state = 'absent', name = 'vm-1'; UPDATE disk SET path = '/dev/a'").unwrap();
    }
}

#[test]
fn a_registry_of_schema_1_is_migrated_with_all_it_has() {
    let path = std::env::temp_dir().join(format!("hps-schema-1-{}.db", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let old = include_str!("../../../../tests/fixtures/registry/schema_1.sql");
    Connection::open(&path).unwrap().execute_batch(old).unwrap();
    let registry = Registry::open(&path).unwrap();
    let vm = registry.vm(&"of-old".parse().unwrap()).unwrap().unwrap();
    assert_eq!(vm.config.disks.len(), 1);
    let conflicts = registry.conflicts().unwrap();
    assert_eq!(
        conflicts[0].state,
        VmState::Unknown,
        "schema 1 had no state"
    );
    drop(registry);
    Registry::open(&path).unwrap().check().unwrap();
    std::fs::remove_file(&path).unwrap();
}

/// An operation of schema 4 was one task on one node: it becomes a plan of one step that the
/// same token, session id and report belong to.
#[test]
fn an_open_operation_of_schema_4_becomes_a_plan() {
    let folder = Folder::new("schema-4");
    let old = include_str!("../../../../tests/fixtures/registry/schema_4.sql");
    Connection::open(folder.file())
        .unwrap()
        .execute_batch(old)
        .unwrap();
    let mut registry = folder.open();
    registry.check().unwrap();
    let all = registry.operations(None, 10).unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|operation| operation.vm.as_ref().unwrap().as_str())
        .collect();
    assert_eq!(names, ["open", "done"], "the newest first, as before");
    let (open, done) = (&all[0], &all[1]);
    assert_eq!((done.plan.len(), open.plan.len()), (1, 1));
    assert_eq!(done.plan[0].end, done.end);
    assert_eq!(done.end.as_ref().unwrap().exit_code, 7);
    let step = open.current().unwrap();
    assert_eq!(step.plan.session, open.id);
    assert_eq!(step.reported.as_ref().unwrap().message, "created");
    assert!(step.started_at.is_some() && open.has_fresh_claim() && open.log.len() == 3);
    // Its token is still admitted, until the step ends.
    let hash = |registry: &Registry| -> [u8; 32] {
        registry
            .connection
            .query_row("SELECT hash FROM token", [], |row| row.get(0))
            .unwrap()
    };
    let token = hash(&registry);
    assert_eq!(
        registry.token(token).unwrap().unwrap().session,
        Some(open.id)
    );
    end_session(&mut registry, open.id);
    assert_eq!(registry.token(token).unwrap(), None);
    let ended = registry.operation(open.id).unwrap().unwrap();
    assert_eq!(ended.end.unwrap().exit_code, 0);
}

fn end_session(registry: &mut Registry, session: Uuid) {
    let completion = Completion {
        exit_code: 0,
        reason: "settled".into(),
        ends_claim: false,
        state: Some(VmState::Running),
        desired: Some(Desired::Running),
    };
    finish(registry, session.as_u128(), &completion);
}

/// A verb of a node, such as draining it, concerns no VM: any number may be open at once.
#[test]
fn an_operation_may_concern_no_vm() {
    let folder = Folder::new("no-vm");
    let mut registry = folder.open();
    let (to, options) = (node("n1"), Options::default());
    for number in [1, 2] {
        let plan = (start::SPEC.plan)(&PlanRequest {
            operation: Uuid::from_u128(number),
            spec: &start::SPEC,
            node: &to,
            options: &options,
        });
        let new = NewOperation {
            id: Uuid::from_u128(number),
            vm: None,
            spec: &start::SPEC,
            options: &options,
            plan: &plan,
            precondition: None,
        };
        let begun = registry.begin(&author(), &new).unwrap();
        assert_eq!(begun, BeginOutcome::Journaled);
    }
    let open = registry.open_operations().unwrap();
    assert_eq!(open.len(), 2);
    assert_eq!((&open[0].vm, open[0].node()), (&None, Some(&to)));
    end_session(&mut registry, Uuid::from_u128(1));
    assert_eq!(registry.open_operations().unwrap().len(), 1);
}
