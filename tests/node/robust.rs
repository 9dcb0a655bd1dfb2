//! Locks, signals, broken pipes, and what children may see.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::run::{finish, until};
use crate::{OTHER, UUID, world};

fn signal(child: &std::process::Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn many_creates_at_once_make_one_vm() {
    let world = world();
    let began = Instant::now();
    let all: Vec<_> = (0..8).map(|_| world.spawn(&["create", "vm-1"])).collect();
    for child in all {
        finish(child, began).code(0);
    }
    assert_eq!(
        world
            .calls()
            .iter()
            .filter(|call| call.starts_with("virt-install"))
            .count(),
        1
    );
    assert_eq!(world.names("fake/domains"), [UUID]);
}

#[test]
fn the_second_of_two_vms_with_one_name_is_refused() {
    let world = world().vm("vm-2", crate::LEAST);
    let began = Instant::now();
    let both = [
        world.spawn(&["create", "vm-1"]),
        world.spawn(&["create", "vm-2"]),
    ];
    let mut codes = both.map(|child| finish(child, began).code);
    codes.sort_unstable();
    assert_eq!(codes, [0, 7]);
    assert_eq!(world.names("fake/domains").len(), 1);
}

#[test]
fn the_state_folder_is_for_root_alone() {
    let world = world();
    world.run(&["create", "vm-1"]).code(0);
    assert_eq!(
        fs::metadata(world.dir.join("state")).unwrap().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_lock_is_never_created_through_a_symbolic_link() {
    let world = world();
    fs::create_dir_all(world.dir.join("state/locks")).unwrap();
    symlink(
        world.dir.join("victim"),
        world.dir.join("state/locks/id-vm-1"),
    )
    .unwrap();
    world
        .run(&["create", "vm-1"])
        .code(1)
        .says("id-vm-1 cannot be used");
    assert!(!world.dir.join("victim").exists());
}

#[test]
fn a_state_folder_that_cannot_be_created_is_named() {
    let world = world().env("N_VM_STATE_DIR", "/proc/nope");
    world
        .run(&["create", "vm-1"])
        .code(1)
        .says("cannot begin: /proc/nope/locks cannot be used");
    world.run(&["list"]).code(0);
}

#[test]
fn no_child_sees_the_token_or_the_session() {
    let world = world()
        .env("N_VM_TOKEN", "sesame")
        .env("OPENSVC_SID", OTHER)
        .env("N_VM_ID", "vm-1");
    world.run(&["create", "vm-1"]).code(0);
    world.run(&["destroy", "web"]).code(0);
    assert!(
        world
            .calls()
            .iter()
            .all(|call| !call.contains("TOKEN") && !call.contains("SID")),
        "{:?}",
        world.calls()
    );
}

#[test]
fn a_running_virt_install_is_not_interrupted() {
    for which in [Signal::SIGTERM, Signal::SIGINT] {
        let world = world();
        nix::unistd::mkfifo(&world.dir.join("fake/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        world.file("fake/hold", "after 2\n");
        let (began, child) = (Instant::now(), world.spawn(&["create", "vm-1"]));
        until("virt-install", || world.dir.join("fake/held").exists());
        signal(&child, which);
        std::thread::sleep(Duration::from_millis(50));
        fs::write(world.dir.join("fake/fifo"), "go\n").unwrap();
        finish(child, began)
            .code(0)
            .says("web was created, running");
        assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    }
}

#[test]
fn a_signal_interrupts_fetching_and_reading() {
    let world = world();
    world.ips.hold("get_config=");
    let (began, child) = (Instant::now(), world.spawn(&["create", "vm-1"]));
    until("the fetch", || world.ips.held() == 1);
    signal(&child, Signal::SIGINT);
    let done = finish(child, began);
    done.code(130).says("could not be fetched: interrupted");
    world.ips.release();
    world.file("fake/answers/virsh-list.hang", "");
    let (began, child) = (Instant::now(), world.spawn(&["create", "vm-1"]));
    until("the listing", || world.calls().len() == 1);
    signal(&child, Signal::SIGTERM);
    let done = finish(child, began);
    done.code(143).says("virsh was terminated: interrupted");
    assert!(done.took < Duration::from_secs(6), "{:?}", done.took);
}

#[test]
fn a_signal_interrupts_the_wait_for_a_lock() {
    let world = world();
    fs::create_dir_all(world.dir.join("state/locks")).unwrap();
    let lock = fs::File::create(world.dir.join("state/locks/name-web")).unwrap();
    lock.lock().unwrap();
    let (began, child) = (Instant::now(), world.spawn(&["start", "web"]));
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, Signal::SIGTERM);
    finish(child, began)
        .code(143)
        .says("interrupted while waiting for another n_vm at work on name-web");
}

#[test]
fn a_closed_stdout_or_stderr_stops_nothing() {
    let world = world().vm("vm-1", &format!("{}unknown=1\n", crate::LEAST));
    let mut child = world.spawn(&["create", "vm-1"]);
    drop(child.stdout.take());
    drop(child.stderr.take());
    finish(child, Instant::now()).code(0);
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    let mut child = world.spawn(&["list"]);
    drop(child.stdout.take());
    finish(child, Instant::now()).code(0);
}

#[test]
fn a_deadline_ends_the_whole_group_of_a_child() {
    let world = world().env("N_VM_VIRSH_TIMEOUT", "0.2");
    world.file("fake/answers/virsh-list.hang", "");
    let done = world.run(&["list"]);
    done.code(1).says("virsh did not answer within 0.2 s");
    assert!(done.took < Duration::from_secs(6), "{:?}", done.took);
}

#[test]
fn only_requested_output_goes_to_stdout() {
    let world = world();
    let mut child = world.spawn(&["create", "vm-1"]);
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    finish(child, Instant::now()).code(0);
    assert_eq!(text, "");
}
