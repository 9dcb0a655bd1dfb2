//! start, stop, pause, unpause, status, list; reboot.rs has reboot.

use std::time::Duration;

use crate::harness::run::{finish, until};
use crate::{OTHER, UUID, world};

#[test]
fn every_verb_reaches_its_state_or_is_there_already() {
    for (from, args, says, after) in [
        (
            "shut off",
            &["start", "web"][..],
            "start web: started",
            "running yes",
        ),
        (
            "running",
            &["start", "web"],
            "start web: is running already",
            "running yes",
        ),
        (
            "running",
            &["stop", "web"],
            "stop web: shutdown requested",
            "shut off yes",
        ),
        (
            "shut off",
            &["stop", "web"],
            "stop web: is off already",
            "shut off yes",
        ),
        (
            "running",
            &["stop", "web", "force"],
            "stop web: was forced off",
            "shut off yes",
        ),
        (
            "paused",
            &["stop", "web", "force"],
            "stop web: was forced off",
            "shut off yes",
        ),
        (
            "shut off",
            &["stop", "web", "force"],
            "stop web: is off already",
            "shut off yes",
        ),
        (
            "running",
            &["pause", "web"],
            "pause web: paused",
            "paused yes",
        ),
        (
            "paused",
            &["pause", "web"],
            "pause web: is paused already",
            "paused yes",
        ),
        (
            "paused",
            &["unpause", "web"],
            "unpause web: resumed",
            "running yes",
        ),
        (
            "running",
            &["unpause", "web"],
            "unpause web: is running already",
            "running yes",
        ),
    ] {
        let world = world();
        world.domain(UUID, "web", from, &[]);
        world
            .run(args)
            .code(0)
            .stdout("")
            .stderr(&format!("n_vm: {says}\n"));
        assert_eq!(world.state_of(UUID).unwrap(), after, "{args:?} from {from}");
    }
}

#[test]
fn the_wrong_state_is_1_with_a_hint() {
    for (from, args, says) in [
        (
            "paused",
            &["start", "web"][..],
            "the domain is paused: n_vm unpause resumes it",
        ),
        (
            "paused",
            &["stop", "web"],
            "n_vm stop NAME force forces it off",
        ),
        (
            "shut off",
            &["pause", "web"],
            "the domain is shut-off: only a running domain can be paused",
        ),
        (
            "shut off",
            &["unpause", "web"],
            "the domain is shut-off: n_vm start starts a domain that is off",
        ),
    ] {
        let world = world();
        world.domain(UUID, "web", from, &[]);
        world.run(args).code(1).says(says);
        assert_eq!(world.state_of(UUID).unwrap(), format!("{from} yes"));
    }
}

#[test]
fn only_a_listing_proves_that_a_domain_is_absent() {
    let world = world().env("N_VM_VIRSH_TIMEOUT", "0.2");
    for verb in ["start", "stop", "reboot", "pause", "unpause", "status"] {
        world.run(&[verb, "web"]).code(1).says("no such domain");
    }
    world.answer(
        "virsh-list",
        1,
        "",
        "error: failed to connect to the hypervisor\n",
    );
    for verb in [
        "start", "stop", "reboot", "pause", "unpause", "status", "destroy",
    ] {
        let done = world.run(&[verb, "web"]);
        done.code(1).says("the state of the domain is unknown");
        assert!(!done.stderr.contains("no such domain"));
    }
}

#[test]
fn a_name_that_is_a_number_is_a_name() {
    let world = world();
    world.domain(OTHER, "7", "running", &[]);
    world.run(&["stop", "7", "force"]).code(0);
    assert_eq!(
        world.calls()[2],
        format!("virsh --connect qemu:///system destroy {OTHER}")
    );
    world.run(&["stop", "1"]).code(1).says("no such domain");
}

#[test]
fn part_of_a_name_is_not_the_name() {
    let world = world();
    world
        .domain(UUID, "web-1", "running", &[])
        .domain(OTHER, "my web", "running", &[]);
    world
        .run(&["stop", "web", "force"])
        .code(1)
        .says("no such domain");
}

#[test]
fn every_verb_refuses_a_domain_with_another_uuid() {
    let world = world().env("N_VM_UUID", UUID);
    world.domain(OTHER, "web", "running", &[]);
    for args in [
        &["start", "web"][..],
        &["stop", "web", "force"],
        &["reboot", "web"],
        &["pause", "web"],
        &["unpause", "web"],
        &["destroy", "web"],
        &["status", "web"],
    ] {
        world
            .run(args)
            .code(1)
            .says("a domain of this name is another VM");
    }
    assert_eq!(world.state_of(OTHER).unwrap(), "running yes");
}

#[test]
fn stop_wait_repeats_the_request_until_it_is_off() {
    let world = world();
    world
        .domain(UUID, "web", "running", &[])
        .file("fake/deaf", "3\n");
    world
        .run(&["stop", "--wait", "web"])
        .code(0)
        .stderr("n_vm: stop web: shut down\n");
    assert_eq!(
        world
            .calls()
            .iter()
            .filter(|call| call.contains(" shutdown "))
            .count(),
        4
    );
    assert_eq!(world.state_of(UUID).unwrap(), "shut off yes");
}

#[test]
fn stop_wait_times_out_with_1_and_forces_only_on_request() {
    let world = world();
    world
        .domain(UUID, "web", "running", &[])
        .file("fake/deaf", "1000\n");
    let done = world.run(&["stop", "web", "--wait", "--timeout", "0.1"]);
    done.code(1).says("the domain is still running after 0.1 s");
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    world
        .run(&["stop", "web", "--timeout", "0.1s", "--force-after"])
        .code(0)
        .says("did not shut down in time and was forced off");
    assert_eq!(world.state_of(UUID).unwrap(), "shut off yes");
}

#[test]
fn a_stopped_transient_domain_is_absent_and_that_is_success() {
    let world = world();
    world
        .domain(UUID, "web", "running", &[])
        .file(&format!("fake/domains/{UUID}/persistent"), "no\n");
    world
        .run(&["stop", "web", "--wait"])
        .code(0)
        .says("shut down");
    assert_eq!(world.names("fake/domains"), [] as [&str; 0]);
}

/// virt-install starts a domain before it defines it; a kill may come in between.
#[test]
fn start_in_a_task_finishes_an_interrupted_create() {
    for (is_task, says, after) in [
        (
            true,
            "is running already and was made persistent",
            "running yes",
        ),
        (false, "is running already", "running no"),
    ] {
        let mut world = world();
        world.domain(UUID, "web", "running", &[]);
        world.file(&format!("fake/domains/{UUID}/persistent"), "no\n");
        if is_task {
            world.set("N_VM_UUID", UUID);
        }
        let said = format!("n_vm: start web: {says}\n");
        world.run(&["start", "web"]).code(0).stderr(&said);
        assert_eq!(world.state_of(UUID).unwrap(), after);
    }
}

#[test]
fn an_exit_code_of_0_alone_is_not_success() {
    for (from, args, call, says) in [
        (
            "shut off",
            &["start", "web"][..],
            "start",
            "starting the domain: virsh reported success, but the domain is shut-off",
        ),
        (
            "running",
            &["pause", "web"],
            "suspend",
            "pausing the domain: virsh reported success, but the domain is running",
        ),
        (
            "paused",
            &["unpause", "web"],
            "resume",
            "resuming the domain: virsh reported success, but the domain is paused",
        ),
        (
            "running",
            &["stop", "web", "force"],
            "destroy",
            "forcing the domain off: virsh reported success, but the domain is running",
        ),
        (
            "running",
            &["destroy", "web"],
            "undefine",
            "it is still there after virsh undefine",
        ),
    ] {
        let world = world();
        world.domain(UUID, "web", from, &[]);
        world.answer(&format!("virsh-{call}"), 0, "Domain 'web' is well\n", "");
        world.run(args).code(1).says(says);
    }
}

/// Each listing of the real virsh ends with an empty line, an empty listing too.
#[test]
fn an_incomplete_listing_proves_nothing() {
    for listing in ["", &format!("{OTHER} other\n"), &format!("{UUID} web")] {
        let world = world();
        world.domain(UUID, "web", "running", &[]);
        world.answer("virsh-list", 0, listing, "");
        for args in [
            &["destroy", "web"][..],
            &["start", "web"],
            &["status", "web"],
        ] {
            world.run(args).code(1).says("an incomplete listing");
        }
        world
            .run(&["create", "vm-1"])
            .code(6)
            .says("an incomplete listing");
        assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    }
}

#[test]
fn a_signal_interrupts_the_wait() {
    let world = world();
    world
        .domain(UUID, "web", "running", &[])
        .file("fake/deaf", "1000\n");
    let child = world.spawn(&["stop", "web", "--wait"]);
    until("a request", || {
        world.calls().iter().any(|call| call.contains(" shutdown "))
    });
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let done = finish(child, std::time::Instant::now());
    done.code(143)
        .says("interrupted while waiting; the shutdown request stays with the domain");
    assert!(done.took < Duration::from_secs(5));
}

#[test]
fn an_error_of_virsh_is_1_with_its_text() {
    let world = world();
    world.domain(UUID, "web", "shut off", &[]);
    world.answer(
        "virsh-start",
        1,
        "",
        "error: Failed to start domain 'web'\nerror: internal error: no KVM\n",
    );
    world.run(&["start", "web"]).code(1).stderr(
        "n_vm: start web: starting the domain: virsh exited 1: error: Failed to start domain 'web' | error: internal error: no KVM\n",
    );
}

#[test]
fn status_is_one_row_or_one_object() {
    let world = world();
    world.domain(UUID, "web", "shut off", &[]);
    world.run(&["status", "web"]).code(0).stdout(&format!(
        "NAME  UUID                                  STATE        VCPUS  MEMORY_MB  VNC\n\
         web   {UUID}  shut-off         2         64  -\n"
    ));
    world.run(&["status", "web", "--json"]).code(0).stdout(&format!(
        "{{\"name\":\"web\",\"uuid\":\"{UUID}\",\"state\":\"shut-off\",\"vcpus\":2,\"memory_mb\":64,\"vnc\":null}}\n"
    ));
}

#[test]
fn list_runs_two_children_for_any_number_of_domains() {
    let world = world();
    world
        .domain(UUID, "web", "running", &[])
        .domain(OTHER, "my \"own\"", "shut off", &[]);
    world.run(&["list", "--json"]).code(0).stderr("").stdout(&format!(
        "[{{\"name\":\"my \\\"own\\\"\",\"uuid\":\"{OTHER}\",\"state\":\"shut-off\",\"vcpus\":2,\"memory_mb\":64,\"vnc\":null}},\n \
         {{\"name\":\"web\",\"uuid\":\"{UUID}\",\"state\":\"running\",\"vcpus\":2,\"memory_mb\":64,\"vnc\":\"127.0.0.1:5900\"}}]\n"
    ));
    assert_eq!(world.calls().len(), 2);
}

#[test]
fn no_domains_is_an_empty_list_and_no_libvirt_is_1() {
    let world = world();
    world.run(&["list", "--json"]).code(0).stdout("[]\n");
    world.answer(
        "virsh-list",
        1,
        "",
        "error: failed to connect to the hypervisor\n",
    );
    world
        .run(&["list", "--json"])
        .code(1)
        .stdout("")
        .says("n_vm: list: listing domains: the state of the domain is unknown");
}

#[test]
fn a_renamed_domain_is_not_absent() {
    let world = world().env("N_VM_UUID", UUID);
    world.domain(UUID, "renamed", "running", &[]);
    for verb in [
        "start", "stop", "reboot", "pause", "unpause", "destroy", "status",
    ] {
        let done = world.run(&[verb, "web"]);
        done.code(1)
            .says("this VM exists already under another name: renamed");
    }
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
}
