//! A registry that was lost, rebuilt from the domains of the nodes: first proposed, then
//! registered only with `--take`.

use crate::harness::{Done, Ips};

const HEAD: &str = "node=tch-001\nboot_id=6ba7b810-9dad-11d1-80b4-00c04fd430c8\nversion=1\ncpus=4\nmemory_mb=1024\n";

/// The entry of a domain in `n_vm list --definitions`.
fn domain(id: &str, name: &str, state: &str) -> String {
    let uuid = hps_core::identity::uuid_of_id(&id.parse().unwrap());
    let disk = format!(
        "<disk type=\"block\"><source dev=\"/dev/mapper/{id}\"/><serial>{}</serial></disk>",
        hps_core::identity::serial(&format!("{id}/disk_1_a"))
    );
    format!(
        "\nname={name}\nuuid={uuid}\nstate={state}\nvcpus=2\nmemory_mb=64\nvnc=\nvm_id={id}\n\
         xml=<domain><os><boot dev=\"network\"/><boot dev=\"hd\"/></os><devices>{disk}</devices></domain>\n"
    )
}

fn two() -> String {
    format!(
        "{HEAD}{}{}",
        domain("vm-1", "web", "running"),
        domain("vm-2", "db", "shut-off")
    )
}

/// The stream as it is proposed.
fn proposal(ips: &Ips, node: &str) -> String {
    let done = ips.o_vm(&["adopt", node]);
    assert_eq!(done.code, 0, "{done:?}");
    done.out
}

fn take(ips: &Ips, stream: &str) -> Done {
    ips.with_input(
        &[
            "adopt",
            "tch-001",
            "--take",
            "-",
            "--reason",
            "registry lost",
        ],
        stream,
    )
}

fn states(ips: &Ips) -> Vec<[String; 3]> {
    let vms: serde_json::Value = serde_json::from_str(&ips.ok(&["list", "--json"])).unwrap();
    let text = |vm: &serde_json::Value, key: &str| vm[key].as_str().unwrap_or("-").to_owned();
    let row = |vm| [text(vm, "vm_id"), text(vm, "node"), text(vm, "state")];
    vms.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_lost_registry_is_rebuilt_from_a_node_of_the_cluster() {
    let ips = Ips::in_cluster();
    ips.fake("definitions", &two());
    let stream = proposal(&ips, "tch-001");
    assert!(
        stream.starts_with("# web (") && stream.contains("\nvm_id=vm-1\nname=web\n"),
        "{stream}"
    );
    assert!(states(&ips).is_empty(), "a proposal changes nothing");
    assert!(ips.services().is_empty());

    let done = take(&ips, &stream);
    assert_eq!(
        (
            done.code,
            done.out.starts_with("2 registered, 0 registered already")
        ),
        (0, true),
        "{done:?}"
    );
    let want = |id: &str, state: &str| [id, "tch-001", state].map(str::to_owned);
    assert_eq!(
        states(&ips),
        [want("vm-1", "running"), want("vm-2", "shut-off")]
    );
    assert_eq!(ips.vm("vm-1")["desired"], "running");
    assert_eq!(ips.vm("vm-2")["desired"], "off");

    let again = take(&ips, &stream);
    assert_eq!(
        (
            again.code,
            again.out.starts_with("0 registered, 2 registered already")
        ),
        (0, true),
        "{again:?}"
    );
    assert_eq!(proposal(&ips, "tch-001"), "", "nothing is left to take");
    let done = ips.o_vm(&["create", "vm-1", "tch-002"]);
    assert_eq!(done.code, 10, "{done:?}");
    assert_eq!(ips.o_vm(&["stop", "web"]).code, 0);
    assert_eq!(ips.o_vm(&["destroy", "vm-2"]).code, 0);
}

#[test]
fn engine_local_adopts_what_this_machine_has() {
    let mut ips = Ips::new();
    ips.set("IPS_NODE_NAME", "tch-001");
    ips.fake("definitions", &two());
    let stream = proposal(&ips, "tch-001");
    let done = take(&ips, &stream);
    assert_eq!(done.code, 0, "{done:?}");
    let audit: String = sql(&ips)
        .query_row("SELECT what || ' ' || detail || ': ' || reason FROM audit WHERE vm_id = 'vm-1' AND what = 'adopt'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(audit, "adopt node=tch-001 state=running: registry lost");
}

#[test]
fn definitions_must_match_the_node_all_or_none() {
    let ips = Ips::in_cluster();
    ips.fake("definitions", &two());
    let stream = proposal(&ips, "tch-001");
    ips.define("mine");
    ips.ok(&["set", "mine", "disk_1_a=/dev/mapper/vm-2"]);
    for (from, to, why) in [
        (
            "vm_id=vm-2",
            "vm_id=vm-3",
            "tch-001 has no domain with UUID",
        ),
        ("name=db", "name=other", "on tch-001 is \"db\""),
        ("cpu_count=2", "cpu_count=x", "CPU count"),
        (
            "",
            "",
            "disk_1_a: /dev/mapper/vm-2 is a disk of VM mine already",
        ),
    ] {
        let done = take(&ips, &stream.replace(from, to));
        assert_eq!(done.code, 1, "{done:?}");
        assert!(
            done.err.contains("/dev/stdin: line ") && done.err.contains(why),
            "{done:?}"
        );
        assert_eq!(states(&ips).len(), 1, "none is taken");
    }
    // It went away between the proposal and the registration.
    ips.fake(
        "definitions",
        &format!("{HEAD}{}", domain("vm-1", "web", "running")),
    );
    let done = take(&ips, &stream);
    assert_eq!((done.code, states(&ips).len()), (1, 1), "{done:?}");
}

#[test]
fn a_vm_of_another_node_is_not_registered() {
    let ips = Ips::in_cluster();
    ips.fake("definitions", &two());
    let stream = proposal(&ips, "tch-001");
    assert_eq!(take(&ips, &stream).code, 0);
    sql(&ips)
        .execute("UPDATE vm SET owner = 'tch-002' WHERE vm_id = 'vm-1'", [])
        .unwrap();
    let again = proposal(&ips, "tch-001");
    assert!(
        again.contains("# cannot be registered: it is VM vm-1, which tch-002 owns"),
        "{again}"
    );
    let done = take(&ips, &stream);
    assert_eq!(
        (
            done.code,
            done.err.contains("tch-002 owns vm-1, or may own it")
        ),
        (1, true),
        "{done:?}"
    );

    // Seen on another node, and owned by none.
    sql(&ips).execute_batch(
        "UPDATE vm SET owner = NULL, owner_since = NULL WHERE vm_id = 'vm-1'; \
         INSERT INTO conflict (vm_id, node, seen_at, state) VALUES ('vm-1', 'tch-002', '2026-01-01T00:00:00.000Z', 'running')",
    ).unwrap();
    let done = take(&ips, &stream);
    assert_eq!(
        (done.code, done.err.contains("tch-002 has a domain of vm-1")),
        (1, true),
        "{done:?}"
    );
}

#[test]
fn a_missing_answer_is_not_an_empty_node() {
    let ips = Ips::in_cluster();
    let done = ips.o_vm(&["adopt", "tch-001"]);
    assert_eq!((done.code, done.out.as_str()), (11, ""), "{done:?}");
    assert!(!done.err.contains("no domain to register"), "{done:?}");
    // An older n_vm reports no definitions of its domains.
    let old: String = two()
        .lines()
        .filter(|line| !line.starts_with("xml="))
        .map(|line| format!("{line}\n"))
        .collect();
    ips.fake("definitions", &old);
    let done = ips.o_vm(&["adopt", "tch-001"]);
    assert_eq!(
        (done.code, done.err.contains("its n_vm may be older")),
        (11, true),
        "{done:?}"
    );
    ips.fake("definitions", HEAD);
    let done = ips.o_vm(&["adopt", "tch-001"]);
    assert_eq!(
        (done.code, done.err.contains("no domain to register")),
        (0, true),
        "{done:?}"
    );
}

fn sql(ips: &Ips) -> rusqlite::Connection {
    rusqlite::Connection::open(ips.dir.join("registry.db")).unwrap()
}
