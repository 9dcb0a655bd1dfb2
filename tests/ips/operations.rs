//! Operations on engine `local`: journal, claim, tokens, reports, refusals.

use crate::harness::{Done, Ips, kill};

const ABSENT: &str = "[]";

fn listed(state: &str) -> String {
    // uuid5(NAMESPACE_URL, "hps:vm:a")
    let uuid = hps_core::identity::uuid_of_id(&"a".parse().unwrap());
    format!(
        "[{{\"name\":\"a\",\"uuid\":\"{uuid}\",\"state\":\"{state}\",\"vcpus\":1,\"memory_mb\":64,\"vnc\":null}}]"
    )
}

fn with_vm() -> Ips {
    let ips = Ips::new();
    ips.define("a");
    ips
}

#[test]
fn a_create_is_journaled_claimed_and_completed() {
    let ips = with_vm();
    let done = ips.o_vm(&["create", "a", "box", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let operation: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (operation["verb"].as_str(), operation["exit_code"].as_i64()),
        (Some("create"), Some(0))
    );
    let steps: Vec<_> = operation["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(steps, ["journaled", "claimed", "started"]);
    assert_eq!(ips.calls(), ["create a"]);
    let vm = ips.vm("a");
    assert_eq!(
        (
            vm["node"].as_str(),
            vm["state"].as_str(),
            vm["desired"].as_str()
        ),
        (Some("box"), Some("running"), Some("running"))
    );
}

#[test]
fn the_operation_reaches_the_node_in_its_environment_alone() {
    let ips = with_vm();
    ips.ok(&[
        "define",
        "--id",
        "b",
        "--name",
        "b",
        "--cpus",
        "1",
        "--ram",
        "64",
        "--disk",
        "/images/b 1.img",
        "--disk",
        "/dev/sda",
    ]);
    ips.ok(&["create", "a", "box"]);
    let operation = ips.operations()[0]["operation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(ips.given("N_VM_OPERATION"), Some(operation));
    assert_eq!(ips.given("N_VM_ID").as_deref(), Some("a"));
    assert_eq!(ips.given("N_VM_NODE").as_deref(), Some("box"));
    assert_eq!(ips.given("N_VM_IPS").as_deref(), Some("http://127.0.0.1:1"));
    assert_eq!(ips.given("N_VM_KEEP").as_deref(), Some("/images/b%201.img"));
    assert_eq!(
        ips.given("N_VM_UUID"),
        Some(hps_core::identity::uuid_of_id(&"a".parse().unwrap()).to_string())
    );
    assert_eq!(ips.given("N_VM_TOKEN").unwrap().len(), 64);
}

#[test]
fn verbs_go_to_the_owner_with_their_options() {
    let ips = with_vm();
    ips.ok(&["create", "a", "box"]);
    for args in [
        &["pause", "a"][..],
        &["unpause", "a"],
        &["stop", "a", "force"],
        &["start", "a"],
        &["stop", "a", "--wait", "--timeout", "2m", "--force-after"],
        &["destroy", "a", "--keep-storage"],
    ] {
        ips.ok(args);
    }
    assert_eq!(
        ips.calls(),
        [
            "create a",
            "pause a",
            "unpause a",
            "stop a force",
            "start a",
            "stop a --wait --timeout 120 --force-after",
            "destroy a --keep-storage"
        ]
    );
    assert_eq!(
        (ips.vm("a")["node"].as_str(), ips.vm("a")["state"].as_str()),
        (None, Some("absent"))
    );
}

#[test]
fn each_link_runs_its_verb() {
    let ips = with_vm();
    assert_eq!(ips.run("o_vm_create", &["a", "box"]).code, 0);
    assert_eq!(ips.run("o_vm_create", &["a"]).code, 1);
    assert_eq!(ips.run("ips-server", &["vm", "list"]).code, 0);
    assert_eq!(
        ips.run("o_vm_validate_node", &["box"]).err,
        "o_vm: Node box validated successfully\n"
    );
    assert_eq!(ips.run("o_vm_validate_node", &["bo"]).code, 2);
    assert_eq!(ips.run("o_vm_validate_node", &[""]).code, 1);
    let healthy = ips.run("o_vm_get_healthy_nodes", &["nosuch box boxes"]);
    assert_eq!(
        (healthy.out.as_str(), healthy.err.as_str()),
        ("box\n", "o_vm: 1 of 3 nodes healthy\n")
    );
    assert_eq!(ips.run("o_vm_get_healthy_nodes", &[""]).code, 1);
}

#[test]
fn a_failed_create_shows_the_nodes_reason_and_ends_the_claim() {
    let ips = with_vm();
    ips.fake("exit", "5").fake(
        "say",
        "n_vm: INFO something\nn_vm: create a: virt-install exited 1: no such bridge\n",
    );
    let done = ips.o_vm(&["create", "a", "box"]);
    assert_eq!(done.code, 7);
    assert!(
        done.err
            .ends_with("o_vm: create a: virt-install exited 1: no such bridge\n"),
        "{}",
        done.err
    );
    assert_eq!(
        (
            ips.vm("a")["node"].as_str(),
            ips.operations()[0]["exit_code"].as_i64()
        ),
        (None, Some(7))
    );
}

#[test]
fn a_silent_libvirt_keeps_claim_and_operation() {
    let ips = with_vm();
    ips.fake("exit", "6");
    let done = ips.o_vm(&["create", "a", "box"]);
    assert_eq!(done.code, 11, "{done:?}");
    assert_eq!(ips.vm("a")["node"], "box");
    assert!(ips.operations()[0]["ended_at"].is_null());
    // The next command settles it: here the node reports that it has no such domain.
    ips.fake("exit", "0").fake("list", ABSENT);
    assert_eq!(ips.o_vm(&["create", "a", "box"]).code, 0);
    let ends: Vec<_> = ips
        .operations()
        .iter()
        .map(|operation| operation["exit_code"].as_i64())
        .collect();
    assert_eq!(ends, [Some(11), Some(0)]);
}

#[test]
fn an_undecidable_operation_refuses_every_other_verb() {
    let ips = with_vm();
    ips.fake("exit", "6");
    assert_eq!(ips.o_vm(&["create", "a", "box"]).code, 11);
    ips.fake("exit", "0");
    let destroy = ips.o_vm(&["destroy", "a"]);
    assert_eq!(destroy.code, 10, "{destroy:?}");
    assert!(
        destroy.err.contains("its state cannot be determined"),
        "{}",
        destroy.err
    );
}

#[test]
fn checks_follow_the_order_of_the_contract() {
    let ips = with_vm();
    assert_eq!(
        ips.o_vm(&["create", "nosuch", "elsewhere"]).code,
        2,
        "the node before the VM"
    );
    assert_eq!(ips.o_vm(&["create", "nosuch", "box"]).code, 1);
    assert_eq!(ips.o_vm(&["start", "a"]).code, 1, "no node has it");
    assert_eq!(ips.o_vm(&["destroy", "a"]).code, 0, "nothing to destroy");
    assert!(ips.calls().is_empty() && ips.operations().is_empty());
}

#[test]
fn a_program_that_cannot_be_started_is_5_and_leaves_no_claim() {
    let ips = with_vm();
    std::fs::remove_file(ips.dir.join("bin/n_vm")).unwrap();
    let done = ips.o_vm(&["create", "a", "box"]);
    assert_eq!(done.code, 5, "{done:?}");
    assert!(
        done.err.contains("n_vm could not be started"),
        "{}",
        done.err
    );
    assert!(ips.vm("a")["node"].is_null());
}

#[test]
fn a_second_operation_is_refused_and_names_the_first() {
    let ips = with_vm();
    ips.block();
    let first = ips.spawn(&["create", "a", "box"]);
    ips.wait_started();
    let second = ips.o_vm(&["create", "a", "box"]);
    assert_eq!(second.code, 10);
    assert!(
        second.err.contains("(create on box, process "),
        "{}",
        second.err
    );
    assert_eq!(ips.o_vm(&["list"]).code, 0, "reads do not wait");
    ips.unblock();
    assert_eq!(Done::of(first).code, 0);
    assert_eq!(ips.calls().len(), 1);
}

#[test]
fn ctrl_c_ends_the_wait_and_the_verb_continues() {
    let mut ips = with_vm();
    ips.serve();
    ips.block();
    let first = ips.spawn(&["create", "a", "box"]);
    ips.wait_started();
    kill(first.id(), "INT");
    let done = Done::of(first);
    assert_eq!(done.code, 130, "{done:?}");
    assert!(
        done.err.contains("o_vm operations --follow "),
        "{}",
        done.err
    );
    assert!(
        ips.operations()[0]["ended_at"].is_null(),
        "the operation stays open"
    );
    ips.unblock();
    ips.fake("list", &listed("running"));
    let again = ips.o_vm(&["create", "a", "box"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        ips.operations()
            .iter()
            .all(|operation| operation["exit_code"] == 0),
        "{:?}",
        ips.operations()
    );
}

#[test]
fn a_report_with_the_operations_token_counts_and_closes_with_it() {
    let mut ips = with_vm();
    ips.set("IPS_NODES_AUTH", "token").serve();
    ips.block();
    let create = ips.spawn(&["create", "a", "box"]);
    ips.wait_started();
    let token = format!("Authorization: Bearer {}", ips.given("N_VM_TOKEN").unwrap());
    let config = "/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=a";
    assert_eq!(ips.ask("POST", config, &[&token], "").status, 200);
    assert_eq!(
        ips.ask("POST", config, &[&token], "").status,
        200,
        "any number of times"
    );
    let operation = ips.given("N_VM_OPERATION").unwrap();
    let report = |verb: &str, node: &str, message: &str| {
        let body = format!(
            "operation={operation}\nvm_id=a\nverb={verb}\nnode={node}\nexit_code=0\nstate=running\nmessage={message}\n"
        );
        ips.ask(
            "POST",
            "/cgi-bin/boot_manager.sh?cmd=vm&report=report",
            &[&token],
            &body,
        )
        .status
    };
    assert_eq!(
        (
            report("destroy", "box", "x"),
            report("create", "elsewhere", "x")
        ),
        (403, 403)
    );
    assert_eq!(
        (
            report("create", "box", "done well"),
            report("create", "box", "done well")
        ),
        (204, 204)
    );
    assert_eq!(report("create", "box", "done badly"), 409);
    ips.unblock();
    let done = Done::of(create);
    assert!(
        done.code == 0 && done.err.ends_with("create a: done well\n"),
        "{done:?}"
    );
    assert_eq!(
        ips.ask("POST", config, &[&token], "").status,
        401,
        "closed with its operation"
    );
}

#[test]
fn start_creates_a_lost_domain_again() {
    let ips = with_vm();
    ips.ok(&["create", "a", "box"]);
    // The node was rebooted: it has no domain, so start fails and create succeeds.
    ips.fake("list", ABSENT).fake("exit", "1");
    let fails_once = "#!/bin/sh\n[ \"$1\" = start ] || echo 0 >\"$FAKE_DIR/exit\"\nexec \"${0%/*}/../real/n_vm\" \"$@\"\n";
    ips.shell("mkdir real; mv bin/n_vm real/");
    std::fs::write(ips.dir.join("bin/n_vm"), fails_once).unwrap();
    ips.shell("chmod +x bin/n_vm");
    let done = ips.o_vm(&["start", "a"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        ips.calls(),
        ["create a", "start a", "list --json", "create a"]
    );
    assert_eq!(ips.vm("a")["node"], "box");
}

#[test]
fn status_shows_unknown_when_the_node_does_not_answer() {
    let ips = with_vm();
    ips.ok(&["create", "a", "box"]);
    ips.fake("list", &listed("paused"));
    assert!(ips.ok(&["status", "a"]).contains(" paused "));
    let state = |args: &[&str]| {
        let done = ips.o_vm(args);
        let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        let vm = if json.is_array() {
            json[0].clone()
        } else {
            json
        };
        (done.code, vm["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        state(&["status", "--all", "--json"]),
        (0, "paused".to_owned())
    );
    std::fs::remove_file(ips.dir.join("fake/list")).unwrap();
    assert_eq!(
        state(&["status", "a", "--json"]),
        (11, "unknown".to_owned())
    );
    assert_eq!(
        state(&["status", "--all", "--json"]),
        (11, "unknown".to_owned())
    );
    assert_eq!(
        state(&["status", "a", "--cached", "--json"]),
        (0, "paused".to_owned())
    );
}

#[test]
fn release_is_refused_while_the_node_answers() {
    let ips = with_vm();
    ips.ok(&["create", "a", "box"]);
    let done = ips.o_vm(&["release", "a", "--node-is-off", "box", "--reason", "burnt"]);
    assert_eq!(done.code, 10);
    assert!(
        done.err.contains("box answers, so it is not off"),
        "{}",
        done.err
    );
    assert_eq!(
        ips.o_vm(&["release", "a", "--node-is-off", "box"]).code,
        1,
        "a reason is required"
    );
    let gone = ips.o_vm(&[
        "release",
        "a",
        "--node-is-off",
        "other",
        "--reason",
        "burnt",
    ]);
    assert!(
        gone.code == 10 && gone.err.contains("a is owned by box, not by other"),
        "{gone:?}"
    );
}

#[test]
fn operations_can_be_followed_to_their_end() {
    let ips = with_vm();
    ips.block();
    let create = ips.spawn(&["create", "a", "box"]);
    ips.wait_started();
    let operation = ips.operations()[0]["operation"]
        .as_str()
        .unwrap()
        .to_owned();
    let follow = ips.spawn(&["operations", "--follow", &operation]);
    ips.unblock();
    assert_eq!(Done::of(create).code, 0);
    let followed = Done::of(follow);
    assert_eq!(followed.code, 0, "{followed:?}");
    assert!(
        followed.err.contains(" started create on box\n"),
        "{}",
        followed.err
    );
}

#[test]
fn engine_local_requires_a_tcp_listen() {
    let mut ips = with_vm();
    ips.set("IPS_LISTEN", "unix:/run/ips.sock");
    let done = ips.o_vm(&["create", "a", "box"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.err.contains("engine local needs a TCP address"),
        "{}",
        done.err
    );
    assert!(ips.calls().is_empty() && ips.operations().is_empty());
}
