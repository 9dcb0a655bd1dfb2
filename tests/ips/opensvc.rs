//! Engine `opensvc` against the fake cluster: every exit code, every false answer of `om` that
//! an operation must survive, and the state afterwards.

use std::io::{BufRead, BufReader};

use crate::harness::{Ips, wait_for};

fn with_vm() -> Ips {
    let ips = Ips::in_cluster();
    ips.define("a");
    ips
}

/// The output of `n_vm list --report` on tch-001, with the VM in this state or without it.
fn inventory(state: Option<&str>) -> String {
    let uuid = hps_core::identity::uuid_of_id(&"a".parse().unwrap());
    let node = "node=tch-001\nboot_id=6ba7b810-9dad-11d1-80b4-00c04fd430c8\nversion=1\ncpus=4\nmemory_mb=1024\n";
    let domain = |state| {
        format!("\nname=a\nuuid={uuid}\nstate={state}\nvcpus=1\nmemory_mb=64\nvnc=127.0.0.1:5901\n")
    };
    format!("{node}{}", state.map(domain).unwrap_or_default())
}

fn ends(ips: &Ips) -> Vec<Option<i64>> {
    ips.operations()
        .iter()
        .map(|operation| operation["exit_code"].as_i64())
        .collect()
}

#[test]
fn a_create_runs_on_its_node_alone_and_leaves_no_service() {
    let ips = with_vm();
    let done = ips.o_vm(&["create", "a", "tch-001"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(ips.calls(), ["create a"]);
    assert!(ips.services().is_empty());
    assert_eq!(
        ips.given("OPENSVC_SID"),
        ips.given("N_VM_OPERATION"),
        "session id = operation id"
    );
    assert_eq!(ips.given("N_VM_NODE").as_deref(), Some("tch-001"));
    for verb in ["pause", "unpause", "stop", "start", "destroy"] {
        let done = ips.o_vm(&[verb, "a"]);
        assert_eq!(done.code, 0, "{done:?}");
    }
    assert_eq!(
        ips.calls(),
        [
            "create a",
            "pause a",
            "unpause a",
            "stop a",
            "start a",
            "destroy a"
        ]
    );
    assert!(ips.services().is_empty());
}

#[test]
fn the_token_is_in_no_command_line() {
    let ips = with_vm();
    ips.ok(&["create", "a", "tch-001"]);
    let token = ips.given("N_VM_TOKEN").unwrap();
    let calls = std::fs::read_to_string(ips.dir.join("cluster/calls")).unwrap();
    for call in calls.lines() {
        let call: serde_json::Value = serde_json::from_str(call).unwrap();
        assert!(!call["argv"].to_string().contains(&token), "{call}");
    }
    assert!(!ips.server_log().contains(&token));
}

/// Produces every code of contract 3.
#[test]
fn every_exit_code_can_happen() {
    let run = |prepare: &dyn Fn(&Ips), args: &[&str]| {
        let ips = with_vm();
        prepare(&ips);
        let done = ips.o_vm(args);
        (done.code, done.err)
    };
    let create: &[&str] = &["create", "a", "tch-001"];
    let nothing = |_: &Ips| {};
    let fails = |ips: &Ips| {
        ips.fake("exit", "5").fake(
            "report",
            "state=absent\nmessage=virt-install exited 1: no bridge br7\n",
        );
    };
    type Case<'a> = (i32, &'a dyn Fn(&Ips), &'a [&'a str], &'a str);
    let table: [Case<'_>; 12] = [
        (0, &nothing, create, "create a: create done"),
        (
            1,
            &nothing,
            &["create", "nosuch", "tch-001"],
            "VM nosuch is not defined",
        ),
        (
            2,
            &nothing,
            &["create", "a", "tch-00"],
            "node tch-00 is not in the cluster",
        ),
        (
            3,
            &|ips| ips.cluster(&["stop", "tch-001"]),
            create,
            "node tch-001 is not reachable: its daemon is in state maintenance",
        ),
        (
            4,
            &|ips| ips.cluster(&["freeze", "tch-001"]),
            create,
            "node tch-001 is frozen: frozen_at: 2",
        ),
        (
            5,
            &|ips| ips.cluster(&["fault", "answer.create", "exit 1"]),
            create,
            "the task service could not be created",
        ),
        (
            6,
            &|ips| ips.cluster(&["fault", "answer.instance-ls", "exit 3"]),
            create,
            "no instance of vm-ops-create-a on tch-001",
        ),
        (
            7,
            &fails,
            create,
            "create a: virt-install exited 1: no bridge br7\n",
        ),
        (
            8,
            &|ips| ips.cluster(&["fault", "delete-ignored"]),
            create,
            "`om vm-ops-create-a purge`",
        ),
        (
            9,
            &|ips| {
                fails(ips);
                ips.cluster(&["fault", "delete-ignored"]);
            },
            create,
            "`om vm-ops-create-a purge`",
        ),
        (
            10,
            &|ips| {
                ips.ok(&["create", "a", "tch-002"]);
            },
            create,
            "tch-002 owns a, or may own it",
        ),
        (
            11,
            &|ips| {
                ips.fake("exit", "6");
            },
            create,
            "stays open",
        ),
    ];
    let documented: Vec<String> = crate::readme::codes_of_o_vm();
    let tried: Vec<String> = table.iter().map(|(code, ..)| code.to_string()).collect();
    // 130 needs a signal: operations.rs has it.
    assert_eq!(
        documented[..12],
        tried,
        "one case for each code of docs/contracts.md"
    );
    for (code, prepare, args, says) in table {
        let (got, err) = run(prepare, args);
        assert_eq!(got, code, "want {code}: {err}");
        assert!(err.contains(says), "{code}: want {says:?} in {err}");
    }
}

#[test]
fn a_false_answer_of_om_does_not_settle_an_operation() {
    for (fault, code, calls) in [
        (&["fault", "delete-lies"][..], 0, 1),
        (&["fault", "delete-409*1"], 0, 1),
        (&["fault", "run-empty"], 5, 0),
        (&["fault", "session-replaced"], 11, 1),
        (&["fault", "create-lost"], 6, 0),
        (&["fault", "answer.run", "truncated"], 0, 1),
        // The answer is as if nothing ran; but it did.
        (&["fault", "answer.run", "empty"], 0, 1),
        (&["fault", "answer.daemon-status", "german"], 3, 0),
        (&["fault", "answer.daemon-status", "truncated"], 3, 0),
        (&["fault", "answer.node-ls", "garbage"], 3, 0),
    ] {
        let ips = with_vm();
        ips.cluster(fault);
        let done = ips.o_vm(&["create", "a", "tch-001"]);
        assert_eq!(done.code, code, "{fault:?}: {done:?}");
        assert_eq!(ips.calls().len(), calls, "{fault:?}");
        let owner = ips.vm("a")["node"].clone();
        assert_eq!(
            owner.is_string(),
            matches!(code, 0 | 11),
            "{fault:?}: the claim is kept exactly where a domain may be"
        );
    }
}

#[test]
fn an_unknown_outcome_keeps_the_vm_from_other_nodes() {
    let ips = with_vm();
    ips.fake("exit", "6");
    assert_eq!(ips.o_vm(&["create", "a", "tch-001"]).code, 11);
    assert_eq!(ips.o_vm(&["create", "a", "tch-002"]).code, 10);
    ips.fake("exit", "0");
    ips.fake("inventory", &inventory(Some("running")));
    let done = ips.o_vm(&["create", "a", "tch-001"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        ends(&ips),
        [Some(0), Some(0)],
        "the first is known to have succeeded now"
    );
    assert!(ips.services().is_empty());
}

#[test]
fn a_report_counts_where_opensvc_lost_the_result() {
    let ips = with_vm();
    ips.cluster(&["fault", "result-lost"]);
    ips.fake("report", "state=running\nmessage=it runs\n")
        .fake("inventory", &inventory(None));
    ips.block();
    let create = ips.spawn(&["create", "a", "tch-001"]);
    ips.wait_started();
    ips.kill_with_child(create);
    ips.unblock();
    wait_for("the sweep to settle by the report", || {
        ips.ok(&["sweep"]);
        (ends(&ips) == [Some(0)]).then_some(())
    });
    assert_eq!(ips.operations()[0]["reason"], "it runs");
}

#[test]
fn the_next_o_vm_records_the_result_of_a_running_task() {
    let ips = with_vm();
    ips.block();
    let create = ips.spawn(&["create", "a", "tch-001"]);
    ips.wait_started();
    ips.kill_with_child(create);
    let other = ips.o_vm(&["destroy", "a"]);
    assert!(
        other.code == 10 && other.err.contains("still runs"),
        "{other:?}"
    );
    let elsewhere = ips.o_vm(&["create", "a", "tch-002"]);
    assert_eq!(elsewhere.code, 10, "{elsewhere:?}");
    let mut again = ips.spawn(&["create", "a", "tch-001"]);
    let mut said = BufReader::new(again.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("step=attached")));
    ips.unblock();
    let rest: Vec<_> = said.map(Result::unwrap).collect();
    assert_eq!(again.wait().unwrap().code(), Some(0), "{rest:?}");
    assert_eq!(ips.calls(), ["create a"], "attached, not run again");
    assert_eq!(ends(&ips), [Some(0)]);
    assert!(ips.services().is_empty());
}

#[test]
fn a_sweep_records_a_dead_o_vms_task_and_deletes_its_service() {
    let ips = with_vm();
    ips.fake("exit", "5").fake("inventory", &inventory(None));
    ips.block();
    let create = ips.spawn(&["create", "a", "tch-001"]);
    ips.wait_started();
    ips.kill_with_child(create);
    ips.unblock();
    wait_for("the sweep to find the result", || {
        ips.ok(&["sweep"]);
        (ends(&ips) == [Some(7)]).then_some(())
    });
    assert!(ips.services().is_empty());
    assert!(
        ips.vm("a")["node"].is_null(),
        "the node reported that it is absent"
    );
}

#[test]
fn a_sweep_deletes_a_service_that_a_node_brought_back() {
    let ips = with_vm();
    ips.fake("inventory", &inventory(Some("running")));
    ips.cluster(&["fault", "comes-back", "1*1"]);
    assert_eq!(ips.o_vm(&["create", "a", "tch-001"]).code, 0);
    wait_for("the service to come back", || {
        (!ips.services().is_empty()).then_some(())
    });
    let said = ips.ok(&["sweep"]);
    assert!(said.contains("service vm-ops-create-a: removed"), "{said}");
    assert!(ips.services().is_empty());
}

#[test]
fn a_stopped_local_daemon_is_reported_at_once() {
    let ips = with_vm();
    ips.cluster(&["stop", "ips"]);
    let done = ips.o_vm(&["create", "a", "tch-001"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(ips.operations().is_empty() && ips.calls().is_empty());
}

#[test]
fn status_asks_the_owner_and_names_unknown_states() {
    let ips = with_vm();
    ips.ok(&["create", "a", "tch-001"]);
    ips.fake("inventory", &inventory(Some("paused")));
    assert!(ips.ok(&["status", "a"]).contains(" paused "));
    assert!(
        ips.ok(&["console", "a"])
            .contains("ssh -N -L 5901:127.0.0.1:5901 root@tch-001")
    );
    assert!(ips.services().is_empty());
    ips.cluster(&["stop", "tch-001"]);
    let done = ips.o_vm(&["status", "--all"]);
    assert_eq!(done.code, 11, "{done:?}");
    assert!(
        done.out.contains(" unknown ") && done.err.contains("tch-001: its daemon is in state"),
        "{done:?}"
    );
}

#[test]
fn a_burnt_node_is_released_and_its_return_is_a_conflict() {
    let ips = with_vm();
    ips.ok(&["create", "a", "tch-001"]);
    ips.cluster(&["cut", "tch-001"]);
    wait_for("the node to be gone", || {
        (ips.o_vm(&["validate-node", "-q", "tch-001"]).code == 3).then_some(())
    });
    assert_eq!(ips.o_vm(&["create", "a", "tch-002"]).code, 10);
    ips.ok(&[
        "release",
        "a",
        "--node-is-off",
        "tch-001",
        "--reason",
        "burnt",
    ]);
    ips.cluster(&["heal", "tch-001"]);
    wait_for("the node to be back", || {
        (ips.o_vm(&["validate-node", "-q", "tch-001"]).code == 0).then_some(())
    });
    ips.fake("inventory", &inventory(Some("running")));
    ips.ok(&["sweep"]);
    let destroy = ips.o_vm(&["destroy", "a"]);
    assert_eq!(destroy.code, 10, "{destroy:?}");
    assert!(
        destroy.err.contains("tch-001 has a domain of it"),
        "{}",
        destroy.err
    );
    let elsewhere = ips.o_vm(&["create", "a", "tch-002"]);
    assert!(
        elsewhere.code == 10
            && elsewhere
                .err
                .contains("tch-001 has a domain of a (running)"),
        "never two of one VM: {elsewhere:?}"
    );
    // The node fails again, for good: only an operator can confirm that.
    ips.cluster(&["cut", "tch-001"]);
    wait_for("the node to be gone", || {
        (ips.o_vm(&["validate-node", "-q", "tch-001"]).code == 3).then_some(())
    });
    ips.ok(&[
        "release",
        "a",
        "--node-is-off",
        "tch-001",
        "--reason",
        "again",
    ]);
    assert_eq!(ips.o_vm(&["create", "a", "tch-002"]).code, 0);
    ips.cluster(&["heal", "tch-001"]);
    wait_for("the node to be back", || {
        (ips.o_vm(&["validate-node", "-q", "tch-001"]).code == 0).then_some(())
    });
    let said = ips.ok(&["sweep"]);
    assert!(
        said.contains("attention: VM a: node tch-001 has a domain of it")
            && said.contains("while tch-002 owns it"),
        "{said}"
    );
}

#[test]
fn the_old_task_functions_return_the_true_result() {
    let ips = Ips::in_cluster();
    let task = |args: &[&str]| ips.o_vm(&[&["task"], args].concat());
    assert_eq!(
        task(&["create", "s1", "t", "sh -c 'exit 0'", "ips tch-001"]).code,
        0
    );
    assert_eq!(
        task(&["create", "s1", "t", "true", "ips tch-001"]).code,
        1,
        "exists"
    );
    assert_eq!(
        task(&["create", "s2", "t", "true", "nosuch"]).code,
        1,
        "om would put it on this node"
    );
    wait_for("the instance", || {
        (task(&["run", "s1", "t", "tch-001"]).code == 0).then_some(())
    });
    assert_eq!(task(&["list"]).out, "s1\n");
    assert_eq!(task(&["delete", "s1"]).code, 0);
    assert_eq!(task(&["list"]).out, "");
    assert_eq!(task(&["run", "s1", "t", "tch-001"]).code, 1);
    ips.fake("exit", "3");
    assert_eq!(
        task(&["create", "s3", "t", "n_vm_pause x", "ips tch-001"]).code,
        0
    );
    wait_for("the instance", || {
        task(&["run", "s3", "t", "tch-001"])
            .err
            .contains("the task exited 3")
            .then_some(())
    });
    assert_eq!(task(&["run", "--exit-code", "s3", "t", "tch-001"]).code, 3);
}

#[test]
fn the_checks_of_the_specification_pass() {
    let ips = Ips::in_cluster();
    ips.cluster(&["stop", "tch-002"]);
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/spec/test_o_vm_create"
    );
    std::os::unix::fs::symlink(script, ips.dir.join("bin/test_o_vm_create")).unwrap();
    let done = ips.run("test_o_vm_create", &["tch-001", "tch-002"]);
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(
        done.out.ends_with("Tests run: 19, failed: 0\n"),
        "{}",
        done.out
    );
}

#[test]
fn a_sweep_creates_a_vm_that_a_reboot_lost() {
    let mut ips = with_vm();
    ips.ok(&["create", "a", "tch-001"]);
    ips.fake("inventory", &inventory(None));
    let printed = ips.ok(&["sweep"]);
    assert!(
        printed.contains("attention: VM a: should run, and tch-001 has lost it"),
        "{printed}"
    );
    assert_eq!(ips.vm("a")["state"], "absent");
    assert_eq!(ips.vm("a")["node"], "tch-001", "the claim is kept");
    ips.set("IPS_NODES_RESTART", "on");
    let made = ips.ok(&["sweep"]);
    assert!(
        made.contains("VM a: created again on tch-001: create done (0)"),
        "{made}"
    );
    assert_eq!(ips.vm("a")["state"], "running");
}

/// Right after a boot its disks may not be available yet.
#[test]
fn a_sweep_retries_a_lost_vm_on_its_own_node() {
    let mut ips = with_vm();
    ips.set("IPS_NODES_RESTART", "on");
    ips.ok(&["create", "a", "tch-001"]);
    ips.fake("inventory", &inventory(None)).fake("exit", "5");
    for _ in 0..2 {
        let tried = ips.ok(&["sweep"]);
        assert!(
            tried.contains("attention: VM a: created again on tch-001: ") && tried.contains("(7)"),
            "{tried}"
        );
        assert_eq!(ips.vm("a")["node"], "tch-001", "the claim is kept");
    }
    ips.fake("exit", "0");
    assert!(ips.ok(&["sweep"]).contains("create done (0)"));
    ips.ok(&["destroy", "a"]);
    assert_eq!(ips.vm("a")["node"].as_str(), None, "a destroy ends it");
}

#[test]
fn an_om_that_is_too_old_is_named_and_nothing_runs() {
    let ips = with_vm();
    ips.cluster(&["fault", "old-om"]);
    let done = ips.o_vm(&["create", "a", "tch-001"]);
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.err.contains("rc18 or newer is needed"), "{}", done.err);
    assert!(ips.calls().is_empty() && ips.services().is_empty());
}

/// Each call of `om` fails once, in each of its ways; then the same create again.
#[test]
fn the_same_create_recovers_from_a_failure_of_any_om_call() {
    let calls = [
        "node-ls",
        "daemon-status",
        "svc-ls",
        "instance-ls",
        "instance-status",
        "daemon-ps",
        "create",
        "delete",
    ];
    for call in calls {
        for answer in ["truncated", "empty", "exit 1"] {
            let ips = with_vm();
            ips.fake("inventory", &inventory(Some("running")));
            ips.cluster(&["fault", &format!("answer.{call}"), &format!("{answer}*1")]);
            let first = ips.o_vm(&["create", "a", "tch-001"]);
            ips.cluster(&["unfault", &format!("answer.{call}")]);
            let again = ips.o_vm(&["create", "a", "tch-001"]);
            assert_eq!(
                again.code, 0,
                "{call} {answer}: first {first:?}, again {again:?}"
            );
            assert!(ips.services().is_empty(), "{call} {answer}: {first:?}");
            assert!(ends(&ips).iter().all(Option::is_some), "{call} {answer}");
        }
    }
}

/// The node goes away while its task runs, in each possible way; then it returns.
#[test]
fn a_returning_node_reports_the_true_result_of_its_task() {
    for (away, back) in [("stop", "start"), ("cut", "heal"), ("kill", "start")] {
        let ips = with_vm();
        ips.block();
        let create = ips.spawn(&["create", "a", "tch-001"]);
        ips.wait_started();
        ips.cluster(&[away, "tch-001"]);
        ips.kill_with_child(create);
        wait_for("the node to be gone", || {
            (ips.o_vm(&["validate-node", "-q", "tch-001"]).code == 3).then_some(())
        });
        let elsewhere = ips.o_vm(&["create", "a", "tch-002"]);
        assert_eq!(elsewhere.code, 10, "{away}: {elsewhere:?}");
        ips.unblock();
        ips.cluster(&[back, "tch-001"]);
        ips.fake("inventory", &inventory(Some("running")));
        wait_for("the sweep to know", || {
            ips.o_vm(&["sweep"]);
            (ends(&ips) == [Some(0)]).then_some(())
        });
        wait_for("the service to stay gone", || {
            ips.o_vm(&["sweep"]);
            ips.services().is_empty().then_some(())
        });
        assert_eq!(ips.vm("a")["node"], "tch-001", "{away}");
    }
}

#[test]
fn nodes_are_found_by_label_alone_and_by_key_and_value() {
    let ips = Ips::in_cluster();
    ips.cluster(&["labels", "tch-001", "ssd=yes", "zone=1"]);
    ips.cluster(&["labels", "tch-002", "ssd=no"]);
    let names = |tag: &str| ips.ok(&["nodes", "--names", "--tag", tag]);
    assert_eq!(names("ssd"), "tch-001 tch-002\n");
    assert_eq!(names("ssd=yes"), "tch-001\n");
    assert_eq!(names("zone=2"), "\n");
    assert_eq!(names("ss"), "\n", "a whole word only");
    let json: serde_json::Value = serde_json::from_str(&ips.ok(&["nodes", "--json"])).unwrap();
    let node = json
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["node"] == "tch-001")
        .unwrap();
    assert_eq!(node["labels"]["zone"], "1", "{node}");
}
