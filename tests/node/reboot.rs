//! reboot: the request, the reset, and the proof that the guest restarted.

use std::time::{Duration, Instant};

use crate::harness::run::{finish, until};
use crate::harness::world::World;
use crate::{OTHER, UUID, world};

fn running() -> World {
    let world = world();
    world.domain(UUID, "web", "running", &[]);
    world
}

/// The words of virsh's calls, without the URI and the domain.
fn acts(world: &World) -> Vec<String> {
    let calls = world.calls().into_iter();
    let words = calls.map(|call| call.split(' ').nth(3).unwrap_or_default().to_owned());
    words
        .filter(|word| !matches!(word.as_str(), "list" | "dominfo"))
        .collect()
}

#[test]
fn reboot_requests_and_does_not_wait() {
    let world = running();
    world
        .run(&["reboot", "web"])
        .code(0)
        .stdout("")
        .stderr("n_vm: reboot web: reboot requested\n");
    assert_eq!(acts(&world), ["reboot"]);
}

#[test]
fn reboot_force_resets_at_once() {
    for more in [&["web", "force"][..], &["--wait", "web", "force"]] {
        let world = running();
        let words = [&["reboot"], more].concat();
        world
            .run(&words)
            .code(0)
            .stderr("n_vm: reboot web: was reset\n");
        assert_eq!(acts(&world), ["reset"], "an exit code of 0 proves a reset");
    }
}

#[test]
fn reboot_wait_listens_before_it_requests() {
    let world = running();
    world
        .run(&["reboot", "--wait", "web"])
        .code(0)
        .stderr("n_vm: reboot web: restarted\n");
    assert_eq!(acts(&world), ["event", "reboot"]);
    // By itself it ends after the wait and virsh_timeout.
    let listener = format!("event --event reboot --domain {UUID} --timeout ");
    assert!(world.calls().iter().any(|call| call.contains(&listener)));
}

#[test]
fn the_link_is_the_verb_and_takes_its_options() {
    let world = running();
    world
        .run_link("n_vm_reboot", &["web", "--timeout", "1m"])
        .code(0)
        .says("restarted");
    world
        .run_link("n_vm_reboot", &["web", "force"])
        .code(0)
        .says("was reset");
}

#[test]
fn a_guest_that_ignores_the_request_is_1() {
    let world = running();
    world.file("fake/deaf", "1000\n");
    let done = world.run(&["reboot", "web", "--timeout", "0.2"]);
    done.code(1)
        .stderr("n_vm: reboot web: a reboot was requested, but no restart was seen within 0.2 s\n");
    assert_eq!(acts(&world), ["event", "reboot"], "requested once");
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
}

#[test]
fn a_guest_that_shuts_down_instead_is_1_at_once() {
    let world = running();
    world.file("fake/deaf", "1000\n");
    world.file("fake/reboots-to-off", "");
    let done = world.run(&["reboot", "web", "--wait"]);
    done.code(1)
        .says("the domain is shut-off: it shut down instead of restarting");
    assert!(done.took < Duration::from_secs(30), "{:?}", done.took);
}

#[test]
fn only_a_running_domain_is_rebooted() {
    for (state, word) in [("shut off", "shut-off"), ("paused", "paused")] {
        for more in [&["web"][..], &["web", "force"], &["web", "--wait"]] {
            let world = world();
            world.domain(UUID, "web", state, &[]);
            world.run(&[&["reboot"], more].concat()).code(1).stderr(&format!(
                "n_vm: reboot web: the domain is {word}: only a running domain can be rebooted\n"
            ));
            assert_eq!(acts(&world), [] as [&str; 0]);
        }
    }
}

#[test]
fn a_refused_request_is_1_and_ends_the_listener() {
    let world = running();
    world.answer("virsh-reboot", 1, "", "error: no agent and no ACPI\n");
    let done = world.run(&["reboot", "web", "--wait"]);
    done.code(1)
        .says("requesting a reboot: virsh exited 1: error: no agent and no ACPI");
    assert!(done.took < Duration::from_secs(30), "{:?}", done.took);
    world.answer("virsh-reset", 1, "", "error: no\n");
    world
        .run(&["reboot", "web", "force"])
        .code(1)
        .says("resetting the domain: virsh exited 1: error: no");
}

#[test]
fn a_reset_that_ends_the_domain_is_1() {
    let world = running();
    world.file("fake/reboots-to-off", "");
    world
        .run(&["reboot", "web"])
        .code(1)
        .says("requesting a reboot: virsh reported success, but the domain is shut-off");
}

#[test]
fn a_listener_that_fails_is_1() {
    for (code, output, text) in [
        (1, "", "virsh exited 1: error: no events"),
        (
            0,
            "Domain 'web' is well\n",
            "unexpected output from virsh: not a reboot event",
        ),
    ] {
        let world = running();
        world.answer("virsh-event", code, output, "error: no events\n");
        let done = world.run(&["reboot", "web", "--wait"]);
        done.code(1).says(text).says("n_vm: reboot web: ");
    }
}

#[test]
fn a_signal_interrupts_the_wait_for_the_restart() {
    let world = running();
    world.file("fake/deaf", "1000\n");
    let child = world.spawn(&["reboot", "web", "--wait"]);
    until("a request", || {
        acts(&world).iter().any(|act| act == "reboot")
    });
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let done = finish(child, Instant::now());
    done.code(143)
        .says("interrupted while waiting; the reboot request stays with the domain");
    assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
}

#[test]
fn a_reboot_is_reported_and_logged() {
    let world = running()
        .env("N_VM_TOKEN", "sesame")
        .env("N_VM_OPERATION", OTHER)
        .env("N_VM_ID", "vm-1");
    world.run(&["reboot", "web", "--wait"]).code(0);
    let report = world.ips.reports().remove(0);
    assert!(
        report.contains("verb=reboot\nnode=tch-001\nexit_code=0\nstate=running\n"),
        "{report}"
    );
    let log = world.ips.requests().pop().unwrap().line;
    assert!(log.ends_with("&function=n_vm_reboot"), "{log}");
}
