//! `o_vm` killed with -9: before, inside and after each external act, alone and together with
//! its child; then the same command again, or a sweep. One record, one claim, no operation left
//! open.

use crate::harness::{ATTENTION, Ips, kill, wait_for};

fn with_vm() -> Ips {
    let mut ips = Ips::new();
    ips.define("a");
    ips.serve();
    ips
}

fn listed(state: &str) -> String {
    let uuid = hps_core::identity::uuid_of_id(&"a".parse().unwrap());
    format!(
        "[{{\"name\":\"a\",\"uuid\":\"{uuid}\",\"state\":\"{state}\",\"vcpus\":1,\"memory_mb\":64,\"vnc\":null}}]"
    )
}

/// Starts a create, waits until its n_vm runs, kills o_vm and, if requested, n_vm too.
fn killed(ips: &Ips, with_child: bool) {
    ips.block();
    let mut create = ips.spawn(&["create", "a", "box"]);
    ips.wait_started();
    if with_child {
        let done = ips.shell(&format!("pkill -9 -P {}", create.id()));
        assert_eq!(done.code, 0, "{done:?}");
    }
    kill(create.id(), "KILL");
    create.wait().unwrap();
    if with_child {
        std::fs::remove_file(ips.dir.join("fake/block")).unwrap();
    }
}

fn all_ended(ips: &Ips) -> bool {
    ips.operations()
        .iter()
        .all(|operation| !operation["ended_at"].is_null())
}

#[test]
fn the_next_create_waits_for_an_orphaned_n_vm() {
    let ips = with_vm();
    killed(&ips, false);
    let other = ips.o_vm(&["destroy", "a"]);
    assert_eq!(other.code, 10, "another verb: {other:?}");
    assert!(
        other.err.contains("still runs, but its o_vm is gone"),
        "{}",
        other.err
    );
    let said = ips.dir.join("said");
    let mut again = ips
        .command("o_vm")
        .args(["create", "a", "box"])
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let says = || std::fs::read_to_string(&said).unwrap();
    wait_for("the second create to wait for the first one's n_vm", || {
        says().contains("step=waiting").then_some(())
    });
    ips.fake("list", &listed("running"));
    ips.unblock();
    assert_eq!(again.wait().unwrap().code(), Some(0), "{}", says());
    assert_eq!(
        ips.calls()
            .iter()
            .filter(|call| call.starts_with("create"))
            .count(),
        1,
        "attached, not run again"
    );
    assert!(all_ended(&ips));
}

#[test]
fn a_create_killed_with_its_child_runs_again() {
    let ips = with_vm();
    killed(&ips, true);
    ips.fake("list", "[]");
    assert_eq!(ips.o_vm(&["create", "a", "box"]).code, 0);
    assert!(all_ended(&ips));
    assert_eq!(ips.vm("a")["node"], "box");
}

#[test]
fn destroy_settles_a_create_killed_with_its_child() {
    let ips = with_vm();
    killed(&ips, true);
    ips.fake("list", &listed("running"));
    assert_eq!(ips.o_vm(&["destroy", "a"]).code, 0);
    assert!(all_ended(&ips));
    assert!(ips.vm("a")["node"].is_null());
}

#[test]
fn a_sweep_settles_dead_operations_by_the_state_of_the_node() {
    for (seen, code, node) in [
        (listed("running"), 0, Some("box")),
        ("[]".to_owned(), 11, None),
    ] {
        let ips = with_vm();
        killed(&ips, true);
        ips.fake("list", &seen);
        let dry = ips.ok(&["sweep", "--dry-run"]);
        assert!(
            dry.contains("(create a on box)") && !all_ended(&ips),
            "{dry}"
        );
        ips.ok(&["sweep"]);
        assert_eq!(ips.operations()[0]["exit_code"], code, "{seen}");
        assert_eq!(ips.vm("a")["node"].as_str(), node, "{seen}");
    }
}

#[test]
fn a_sweep_leaves_running_and_undecidable_operations() {
    let ips = with_vm();
    killed(&ips, false);
    assert!(ips.ok(&["sweep"]).contains("under way"));
    ips.unblock();
    wait_for("the orphan to end", || {
        (!ips.ok(&["sweep"]).contains("under way")).then_some(())
    });
    assert!(
        ips.ok(&["sweep"])
            .contains(&format!("{ATTENTION} operation")),
        "the node does not answer"
    );
    assert!(!all_ended(&ips));
    ips.fake("list", &listed("running"));
    ips.ok(&["sweep"]);
    assert!(all_ended(&ips));
}
