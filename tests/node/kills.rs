//! The kill matrix: `n_vm create` and `n_vm destroy` killed (-9) before and after each external
//! act, alone or together with the child, then run again. The fakes stop an act at a fifo;
//! strace stops n_vm at its own changes of files.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::harness::run::{Done, finish, until};
use crate::harness::world::World;
use crate::{LEAST, OTHER, UUID, world};

/// System calls by which n_vm changes something outside itself.
const ACTS: [&str; 5] = ["/^rename", "/^unlink", "/^mkdir", "fsync", "flock"];

fn with_file() -> World {
    let world = world();
    let disk = world.file("disks/own.img", "data");
    let text = format!("{LEAST}disk_1_a={}\n", disk.display());
    let world = world.vm("vm-1", &text);
    mkfifo(&world.dir.join("fake/fifo"), Mode::S_IRWXU).unwrap();
    world
}

/// A world with the VM, and another VM whose disk is in its own folder.
fn with_vm() -> World {
    let world = with_file();
    world.run(&["create", "vm-1"]).code(0);
    let other = world.file("others/other.img", "x");
    world.domain(OTHER, "other", "running", &[&other.to_string_lossy()]);
    for left in ["acts", "calls"] {
        let _ = fs::remove_file(world.dir.join("fake").join(left));
    }
    world
}

/// One VM, persistent and running; after a destroy, nothing of it.
fn created(world: &World, again: &Done) {
    again.code(0);
    assert_eq!(world.names("fake/domains"), [UUID]);
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    assert_eq!(world.names("fake/pools").len(), 1);
    world.run(&["destroy", "web", "--keep-storage"]).code(0);
    nothing_is_left(world, &[]);
    assert_eq!(world.names("disks"), ["own.img"]);
}

/// The VM is gone with its disk and its pool, the other one is unchanged.
fn destroyed(world: &World, again: &Done) {
    again.code(0);
    nothing_is_left(world, &[OTHER]);
    assert_eq!(world.names("disks"), [] as [&str; 0]);
    assert_eq!(world.names("others"), ["other.img"]);
}

fn nothing_is_left(world: &World, domains: &[&str]) {
    assert_eq!(world.names("fake/domains"), domains);
    assert_eq!(world.names("fake/pools"), [] as [&str; 0]);
    assert_eq!(world.names("state/pools"), [] as [&str; 0]);
    assert_eq!(world.names("state/removals"), [] as [&str; 0]);
}

/// Kills at each act until the program ends before the kill; returns the number of acts.
fn at_each_act(
    when: &str,
    with_child: bool,
    prepare: fn() -> World,
    args: &[&str],
    check: fn(&World, &Done),
) -> u32 {
    for act in 1.. {
        let world = prepare();
        world.file("fake/hold", &format!("{when} {act}\n"));
        let Some(held) = killed_when_held(&world, world.spawn(args)) else {
            return act - 1;
        };
        if with_child {
            killpg(held, Signal::SIGKILL).unwrap();
        }
        fs::remove_file(world.dir.join("fake/hold")).unwrap();
        let (began, again) = (Instant::now(), world.spawn(args));
        if !with_child {
            std::thread::sleep(Duration::from_millis(30));
            release(&world);
        }
        eprintln!(
            "killed {when} act {act}, child killed: {with_child}: {:?}",
            world.calls().last()
        );
        check(&world, &finish(again, began));
    }
    0
}

/// Kills the process group of n_vm once a fake is held. `None`: it ended by itself.
fn killed_when_held(world: &World, mut child: Child) -> Option<Pid> {
    let held = world.dir.join("fake/held");
    until("a held act or the end", || {
        held.exists() || child.try_wait().unwrap().is_some()
    });
    if !held.exists() {
        return None;
    }
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    child.wait().unwrap();
    let group = fs::read_to_string(held).unwrap();
    Some(Pid::from_raw(group.trim().parse().unwrap()))
}

fn release(world: &World) {
    let mut fifo = fs::OpenOptions::new()
        .write(true)
        .open(world.dir.join("fake/fifo"))
        .unwrap();
    fifo.write_all(b"go\n").unwrap();
}

#[test]
fn create_killed_before_each_act_converges() {
    let acts = at_each_act("before", false, with_file, &["create", "vm-1"], created);
    assert!(acts >= 7, "{acts}");
}

#[test]
fn create_killed_after_each_act_converges() {
    at_each_act("after", false, with_file, &["create", "vm-1"], created);
}

#[test]
fn create_killed_with_its_child_before_each_act_converges() {
    at_each_act("before", true, with_file, &["create", "vm-1"], created);
}

#[test]
fn create_killed_with_its_child_after_each_act_converges() {
    at_each_act("after", true, with_file, &["create", "vm-1"], created);
}

#[test]
fn destroy_killed_before_each_act_converges() {
    let acts = at_each_act("before", false, with_vm, &["destroy", "web"], destroyed);
    assert!(acts >= 10, "{acts}");
}

#[test]
fn destroy_killed_after_each_act_converges() {
    at_each_act("after", false, with_vm, &["destroy", "web"], destroyed);
}

#[test]
fn destroy_killed_with_its_child_before_each_act_converges() {
    at_each_act("before", true, with_vm, &["destroy", "web"], destroyed);
}

#[test]
fn destroy_killed_with_its_child_after_each_act_converges() {
    at_each_act("after", true, with_vm, &["destroy", "web"], destroyed);
}

/// Kills n_vm at the Nth of its file-changing system calls, for each N.
fn at_each_file_act(prepare: fn() -> World, args: &[&str], check: fn(&World, &Done)) -> u32 {
    ACTS.iter()
        .map(|call| at_each_call(call, prepare, args, check))
        .sum()
}

fn at_each_call(
    call: &str,
    prepare: fn() -> World,
    args: &[&str],
    check: fn(&World, &Done),
) -> u32 {
    let program = env!("CARGO_BIN_EXE_n_vm");
    for act in 1.. {
        let world = prepare();
        let (trace, inject) = (
            format!("trace={call}"),
            format!("inject={call}:signal=KILL:when={act}"),
        );
        let quiet = [
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
            program,
        ];
        let words: Vec<_> = quiet.iter().chain(args).copied().collect();
        let done = finish(world.spawn_as(Path::new("strace"), &words), Instant::now());
        if done.code == 0 {
            return act - 1;
        }
        assert_eq!(done.code, 137, "{call} {act}: {}", done.stderr);
        check(&world, &world.run(args));
    }
    0
}

#[test]
fn create_killed_at_each_of_its_file_acts_converges() {
    let acts = at_each_file_act(with_file, &["create", "vm-1"], created);
    assert!(acts >= 8, "{acts}");
}

#[test]
fn destroy_killed_at_each_of_its_file_acts_converges() {
    let acts = at_each_file_act(with_vm, &["destroy", "web"], destroyed);
    assert!(acts >= 6, "{acts}");
}

#[test]
fn create_killed_at_each_request_converges() {
    for request in ["get_config=", "report=report", "cmd=log_message"] {
        let world = with_file()
            .env("N_VM_TOKEN", "sesame")
            .env("N_VM_OPERATION", OTHER)
            .env("N_VM_ID", "vm-1");
        world.ips.hold(request);
        let mut child = world.spawn(&["create", "vm-1"]);
        until(request, || world.ips.held() == 1);
        child.kill().unwrap();
        child.wait().unwrap();
        world.ips.release();
        created(&world, &world.run(&["create", "vm-1"]));
    }
}

#[test]
fn an_orphaned_virt_install_keeps_the_next_create_waiting() {
    let world = with_file().env("N_VM_LOCK_TIMEOUT", "0.2");
    // 1 list, 2 pool-list, 3 make_pool, 4 start
    world.file("fake/hold", "after 4\n");
    killed_when_held(&world, world.spawn(&["create", "vm-1"])).unwrap();
    fs::remove_file(world.dir.join("fake/hold")).unwrap();
    world
        .run(&["create", "vm-1"])
        .code(6)
        .says("another n_vm is at work on id-vm-1 (pid ");
    world
        .run(&["destroy", "web"])
        .code(1)
        .says("another n_vm is at work on name-web");
    assert_eq!(world.state_of(UUID).unwrap(), "running no");
    release(&world);
    until("the orphan's end", || {
        world.state_of(UUID).unwrap() == "running yes"
    });
    let world = world.env("N_VM_LOCK_TIMEOUT", "5");
    created(&world, &world.run(&["create", "vm-1"]));
}
