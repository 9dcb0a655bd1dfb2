//! reboot with real qemu processes. The guest is firmware without a system: it ignores an
//! ACPI request, and a reset restarts it with the same event as a guest's own reboot.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::harness::run::{command, finish};
use crate::system::{System, URI, virsh};

/// Resets the domain now and then until the child ends: it does not show when it listens.
fn reset_until_it_ends(vm: &System, child: &mut Child) {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never heard");
        virsh(&["reset", &vm.name]).code(0);
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_restart_is_proved_by_libvirts_event() {
    let vm = System::new("reboot");
    vm.config("").create().code(0);
    vm.verb("reboot", &[]).code(0).says("reboot requested");
    vm.verb("reboot", &["--timeout", "1.5"])
        .code(1)
        .says("a reboot was requested, but no restart was seen within 1.5 s");
    assert_eq!(vm.state().unwrap(), "running");
    let began = Instant::now();
    let mut child = vm.world.spawn(&["reboot", &vm.name, "--timeout", "90"]);
    reset_until_it_ends(&vm, &mut child);
    finish(child, began).code(0).says("restarted");
    assert_eq!(vm.state().unwrap(), "running");
}

#[test]
fn reboot_force_restarts_the_same_process() {
    let vm = System::new("reset");
    vm.config("").create().code(0);
    let id = virsh(&["domid", &vm.name]).stdout;
    let began = Instant::now();
    let mut listener = command("virsh")
        .args(["--connect", URI, "event", "--event", "reboot"])
        .args(["--domain", &vm.name])
        .spawn()
        .unwrap();
    while listener.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "no event");
        vm.verb("reboot", &["force"]).code(0).says("was reset");
    }
    let heard = finish(listener, began);
    assert!(heard.stdout.starts_with("event 'reboot' for domain "));
    assert_eq!(virsh(&["domid", &vm.name]).stdout, id);
    vm.verb("reboot", &["--wait", "force"]).code(0);
}

#[test]
fn a_domain_that_does_not_run_is_not_rebooted() {
    let vm = System::new("noreboot");
    vm.config("").create().code(0);
    vm.verb("pause", &[]).code(0);
    vm.verb("reboot", &["force"])
        .code(1)
        .says("the domain is paused: only a running domain can be rebooted");
    vm.verb("stop", &["force"]).code(0);
    vm.verb("reboot", &[])
        .code(1)
        .says("the domain is shut-off: only a running domain can be rebooted");
    assert_eq!(vm.state().unwrap(), "shut off");
}
