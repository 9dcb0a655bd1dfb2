//! Injects a fault at each system call of `o_vm`, `n_vm` and the server: the disk is full,
//! broken, read-only or slow, files and memory run out, or the program is killed. There is no
//! false success, no acknowledged change is lost, the registry stays sound, and the same
//! command succeeds afterwards.

use crate::harness::Done;
use crate::inject::{Fault, Program, Trace, run};
use crate::rows::Row;
use crate::sample::Sample;
use crate::world::{Engine, World};

/// The calls that matter, and the faults that are possible at each.
const CALLS: [(&str, &[&str]); 11] = [
    (
        "openat",
        &[
            "KILL", "EMFILE", "ENOSPC", "EACCES", "EIO", "EROFS", "ENOMEM",
        ],
    ),
    ("write,pwrite64", &["KILL", "ENOSPC", "EIO", "EROFS"]),
    ("read,pread64", &["KILL", "EIO"]),
    ("fsync,fdatasync", &["KILL", "EIO", "ENOSPC"]),
    ("ftruncate", &["KILL", "ENOSPC", "EIO"]),
    (
        "rename,renameat,renameat2,link,linkat",
        &["KILL", "ENOSPC", "EIO", "EROFS"],
    ),
    ("unlink,unlinkat,mkdir", &["KILL", "EIO", "EROFS"]),
    ("connect", &["KILL", "ECONNREFUSED", "ENOMEM", "EMFILE"]),
    (
        "accept4,sendto,recvfrom",
        &["KILL", "ECONNRESET", "EMFILE", "ENOMEM"],
    ),
    ("clone,clone3,vfork", &["KILL", "EAGAIN", "ENOMEM"]),
    ("flock", &["KILL", "EINTR", "ENOLCK"]),
];

/// All of them, for strace.
const ALL_CALLS: &str = "openat,write,pwrite64,read,pread64,fsync,fdatasync,ftruncate,rename,\
    renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,connect,accept4,sendto,recvfrom,clone,\
    clone3,vfork,flock";

/// No fault: the calls are only counted.
pub(crate) fn count() -> Fault {
    Fault {
        calls: ALL_CALLS,
        how: "none",
        when: String::new(),
        path: None,
    }
}

/// Every possible fault in a run that made these calls.
fn all(trace: &Trace) -> Vec<Fault> {
    let each = CALLS.iter().flat_map(|(calls, faults)| {
        let numbers = 1..=trace.count(calls);
        faults.iter().flat_map(move |how| {
            numbers.clone().flat_map(move |number| {
                // Once, and from then on; a process can be killed only once.
                let whens = if *how == "KILL" {
                    &[""][..]
                } else {
                    &["", "+"]
                };
                whens.iter().map(move |more| Fault {
                    calls,
                    how,
                    when: format!("{number}{more}"),
                    path: None,
                })
            })
        })
    });
    each.collect()
}

/// Tries one of `every` of the faults that are possible in a fault-free run.
pub(crate) fn try_all(name: &str, every: u64, trace: &Trace, mut case: impl FnMut(&Fault) -> bool) {
    let faults = all(trace);
    let there = faults.len();
    let faults = Sample::one_of(every, name).of(faults);
    let tried = faults.len();
    // How often a thread makes a call depends on the time: a fault that is not met is tried
    // at an earlier call.
    let met = faults
        .iter()
        .filter(|fault| fault.earlier().any(|fault| case(&fault)))
        .count();
    println!("{name}: {tried} of {there} cases, {met} met their fault");
    assert!(met > 0 && (tried < 10 || met * 4 >= tried * 3), "{name}");
}

/// One verb with a fault at each call of one of the programs.
fn verb(engine: Engine, program: Program, row: &Row, every: u64) {
    // A client of a server that does not answer has a short time-out.
    let more = [("N_VM_FETCH_TIMEOUT", "3"), ("N_VM_REPORT_TIMEOUT", "2")];
    let mut world = World::with(engine, &more);
    let name = format!("{engine:?} {program:?} {:?}", row.args(&world));
    row.prepare(&world, &name);
    let args = row.args(&world);
    let (first, trace) = run(&mut world, program, &count(), &args);
    assert_eq!(first.code, 0, "{name}: without a fault: {first:?}");
    try_all(&name, every, &trace, |fault| {
        let case = format!("{name}: {fault}");
        row.prepare(&world, &case);
        let (first, trace) = run(&mut world, program, fault, &args);
        is_sound(&world, &case);
        is_reported(&first, fault, &case);
        row.ends_right(&world, &first, &case);
        trace.is_met()
    });
}

fn is_sound(world: &World, case: &str) {
    let check = world
        .ips
        .shell("sqlite3 registry.db 'pragma integrity_check'");
    assert_eq!(check.out, "ok\n", "{case}: {check:?}");
}

/// A program that was not killed prints why it failed; stderr itself may be what fails.
pub(crate) fn is_reported(done: &Done, fault: &Fault, case: &str) {
    let may_be_mute = fault.how == "KILL" || fault.calls.starts_with("write");
    assert!(
        done.code == 0 || may_be_mute || !done.err.is_empty(),
        "{case}: {done:?}"
    );
}

/// A slow disk is not a failure.
fn slow(engine: Engine, row: &Row) {
    let mut world = World::new(engine);
    let args = row.args(&world);
    let programs = [Program::OVm, Program::NVm, Program::Server];
    let all = programs.map(|program| {
        ["fsync,fdatasync", "pwrite64", "read,pread64"].map(|calls| (program, calls))
    });
    let name = format!("{args:?}");
    Sample::one_of(3, &name).run(&name, all.concat(), |&(program, calls)| {
        let fault = Fault {
            calls,
            how: "slow",
            when: "1+".to_owned(),
            path: None,
        };
        let case = format!("{engine:?} {program:?} {args:?}: {fault}");
        row.prepare(&world, &case);
        let (first, trace) = run(&mut world, program, &fault, &args);
        assert_eq!(first.code, 0, "{case}: {first:?}");
        row.ends_right(&world, &first, &case);
        trace.is_met()
    });
}

/// A program that cannot be started, or dies before it begins.
fn no_program(engine: Engine, row: &Row) {
    let mut world = World::new(engine);
    let args = row.args(&world);
    let programs = [
        (Program::OVm, "n_vm"),
        (Program::NVm, "virsh"),
        (Program::NVm, "virt-install"),
        (Program::NVm, "qemu-img"),
    ];
    // A program that is missing or not executable would be searched for further along PATH.
    let all = programs.map(|(program, other)| {
        ["KILL", "ENOMEM", "E2BIG", "EIO"].map(|how| (program, other, how))
    });
    let name = format!("{args:?}");
    Sample::one_of(4, &name).run(&name, all.concat(), |&(program, other, how)| {
        let fault = Fault {
            calls: "execve",
            how,
            when: "1+".to_owned(),
            path: Some(world.ips.dir.join("bin").join(other).display().to_string()),
        };
        let case = format!("{engine:?} {args:?}: {fault} of {other}");
        row.prepare(&world, &case);
        let (first, trace) = run(&mut world, program, &fault, &args);
        is_sound(&world, &case);
        is_reported(&first, &fault, &case);
        row.ends_right(&world, &first, &case);
        trace.is_met()
    });
}

mod without_a_program {
    use super::*;
    crate::rows::test_each_row!(|row| no_program(Engine::Local, row));
}

mod o_vm {
    use super::*;
    crate::rows::test_each_row!(|row| verb(Engine::Local, Program::OVm, row, 60));
}

mod n_vm {
    use super::*;
    crate::rows::test_each_row!(|row| verb(Engine::Local, Program::NVm, row, 60));
}

mod server {
    use super::*;
    crate::rows::test_each_row!(|row| verb(Engine::Local, Program::Server, row, 20));
}

mod on_a_slow_disk {
    use super::*;
    crate::rows::test_each_row!(|row| slow(Engine::Local, row));
}
