//! The requests to the IPS, byte for byte.

use std::time::Duration;

use crate::{LEAST, OTHER, UUID, world};

#[test]
fn a_config_is_requested_as_installed_nodes_do() {
    let world = world();
    world.run(&["config", "vm-1"]).code(0).stdout(LEAST);
    let asked = &world.ips.requests()[0];
    assert_eq!(
        asked.line,
        "POST /cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=vm-1"
    );
    assert_eq!(
        (asked.authorization.as_deref(), asked.body.as_str()),
        (None, "")
    );
}

#[test]
fn the_specifications_config_is_read() {
    let golden = include_str!("../fixtures/wire/spec.config");
    let world = world().vm("vm-1", golden);
    world
        .run(&["config", "vm-1"])
        .code(0)
        .stdout(golden)
        .stderr("");
}

#[test]
fn within_an_operation_the_result_is_reported_and_logged() {
    let world = world()
        .env("N_VM_TOKEN", "sesame")
        .env("N_VM_OPERATION", OTHER)
        .env("N_VM_ID", "VM-1")
        .env("N_VM_UUID", UUID);
    world.run(&["create", "vm-1"]).code(0);
    let requests = world.ips.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=vm-1",
            "POST /cgi-bin/boot_manager.sh?cmd=vm&report=report",
            "POST /cgi-bin/boot_manager.sh?cmd=log_message&message=create%20vm-1%3A%20web%20was%20created%2C%20running&function=n_vm_create",
        ]
    );
    assert!(
        requests
            .iter()
            .all(|request| request.authorization.as_deref() == Some("Bearer sesame"))
    );
    assert_eq!(
        requests[1].body,
        format!(
            "operation={OTHER}\nvm_id=vm-1\nverb=create\nnode=tch-001\nexit_code=0\nstate=running\nmessage=web was created, running\n"
        )
    );
}

#[test]
fn opensvcs_session_is_an_operation_too() {
    let world = world()
        .env("N_VM_TOKEN", "sesame")
        .env("OPENSVC_SID", OTHER)
        .env("N_VM_ID", "vm-1");
    world.domain(UUID, "web", "paused", &[]);
    world.run(&["status", "web"]).code(0);
    assert!(
        world.ips.reports()[0].contains("verb=status\nnode=tch-001\nexit_code=0\nstate=paused\n")
    );
    world.run(&["status", "nope"]).code(1);
    assert!(world.ips.reports()[1].contains("exit_code=1\nstate=absent\nmessage=no such domain\n"));
}

#[test]
fn absent_is_reported_only_where_the_node_looked() {
    let world = world()
        .env("N_VM_TOKEN", "sesame")
        .env("N_VM_OPERATION", OTHER)
        .env("N_VM_ID", "vm-1");
    world.answer("virt-install", 1, "", "ERROR    no\n");
    world.run(&["create", "vm-1"]).code(5);
    assert!(world.ips.reports()[0].contains("exit_code=5\nstate=absent\n"));
    world.run(&["create", "vm-9"]).code(2);
    assert!(world.ips.reports()[1].contains("exit_code=2\nstate=unknown\n"));
    world.answer("virsh-list", 1, "", "error: no\n");
    world.run(&["create", "vm-1"]).code(6);
    assert!(world.ips.reports()[2].contains("exit_code=6\nstate=unknown\n"));
}

#[test]
fn without_a_token_nothing_is_reported() {
    let world = world().env("N_VM_OPERATION", OTHER).env("N_VM_ID", "vm-1");
    world.run(&["create", "vm-1"]).code(0);
    assert_eq!(world.ips.reports(), [] as [&str; 0]);
}

#[test]
fn a_report_is_tried_three_times_and_changes_no_exit_code() {
    let world = world()
        .env("N_VM_TOKEN", "sesame")
        .env("N_VM_OPERATION", OTHER)
        .env("N_VM_ID", "vm-1")
        .env("N_VM_REPORT_TIMEOUT", "0.5");
    world.ips.answer("report=report", 500, "", "");
    world
        .run(&["create", "vm-1"])
        .code(0)
        .says("warning: the result was not reported to the IPS");
    assert_eq!(world.ips.reports().len(), 3);
}

#[test]
fn an_ips_that_hangs_costs_its_time_out_only() {
    let world = world()
        .env("N_VM_TOKEN", "sesame")
        .env("N_VM_OPERATION", OTHER)
        .env("N_VM_ID", "vm-1")
        .env("N_VM_REPORT_TIMEOUT", "0.3");
    world.domain(UUID, "web", "running", &[]);
    world.ips.hold("");
    let done = world.run(&["pause", "web"]);
    done.code(0);
    assert!(done.took < Duration::from_secs(4), "{:?}", done.took);
}

#[test]
fn the_inventory_is_the_node_and_a_block_a_domain() {
    let world = world().env("N_VM_TOKEN", "sesame");
    world
        .domain(UUID, "web", "running", &[])
        .domain(OTHER, "my own", "shut off", &[]);
    world
        .run(&["list", "--report"])
        .code(0)
        .stdout("2 domains reported to the IPS\n");
    let request = &world.ips.requests()[0];
    assert_eq!(
        request.line,
        "POST /cgi-bin/boot_manager.sh?cmd=vm&report=inventory"
    );
    let blocks: Vec<_> = request.body.split("\n\n").collect();
    assert!(
        blocks[0].starts_with("node=tch-001\nboot_id="),
        "{}",
        blocks[0]
    );
    assert_eq!(
        blocks[1],
        format!("name=my own\nuuid={OTHER}\nstate=shut-off\nvcpus=2\nmemory_mb=64\nvnc=")
    );
    assert_eq!(
        blocks[2],
        format!(
            "name=web\nuuid={UUID}\nstate=running\nvcpus=2\nmemory_mb=64\nvnc=127.0.0.1:5900\n"
        )
    );
}

#[test]
fn an_inventory_that_is_refused_is_1() {
    let world = world().env("N_VM_REPORT_TIMEOUT", "0.3");
    world
        .ips
        .answer("report=inventory", 403, "error=no token\n", "");
    world
        .run(&["list", "--report"])
        .code(1)
        .says("answered 403: no token");
}

#[test]
fn definitions_name_the_vm_id_of_their_create() {
    let world = world();
    world.domain(OTHER, "my own", "shut off", &[]);
    world.run(&["create", "vm-1"]).code(0);
    let done = world.run(&["list", "--definitions"]);
    done.code(0);
    let inventory = hps_core::report::Inventory::parse(done.stdout.as_bytes()).unwrap();
    let reported: Vec<_> = inventory
        .domains
        .iter()
        .map(|domain| {
            let definition = domain.definition.as_ref().unwrap();
            assert!(definition.xml.starts_with("<domain"), "{definition:?}");
            (
                definition.vm_id.as_ref().map(ToString::to_string),
                domain.name.clone(),
            )
        })
        .collect();
    assert_eq!(
        reported,
        [
            (None, "my own".to_owned()),
            (Some("vm-1".to_owned()), "web".to_owned())
        ]
    );
    assert!(
        world
            .ips
            .requests()
            .iter()
            .all(|request| !request.line.contains("inventory"))
    );

    world.run(&["list", "--report", "--definitions"]).code(0);
    let requests = world.ips.requests();
    assert_eq!(requests.last().unwrap().body, inventory.to_text());
}
