//! reboot with real qemu processes. The guest is firmware without an operating system: it
//! ignores an ACPI request, and a reset restarts it with the same event as a guest's own
//! reboot.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use crate::harness::run::{command, finish};
use crate::system::{System, URI, virsh};

/// Runs `reboot --timeout 90`, and restarts the guest after the request: returns the exit code
/// and the last line.
fn reboot_with_a_guest_that_follows(vm: &System) -> (i32, String) {
    let words = ["-v", "reboot", &vm.name, "--timeout", "90"];
    let mut child = vm.world.spawn(&words);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("child ended") || !line.contains(" reboot ") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "no request");
    }
    virsh(&["reset", &vm.name]).code(0);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let last = rest.lines().last().unwrap_or_default().to_owned();
    (child.wait().unwrap().code().unwrap(), last)
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
    let (code, last) = reboot_with_a_guest_that_follows(&vm);
    assert_eq!(
        (code, last),
        (0, format!("n_vm: reboot {}: restarted", vm.name))
    );
    assert!(
        began.elapsed() < Duration::from_secs(80),
        "it took the whole time"
    );
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
