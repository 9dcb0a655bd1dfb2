//! System calls of `o_vm` that fail: the disk is full, broken, read-only, files and memory
//! run out. No false success, no acknowledged change lost, the registry stays readable.

use crate::harness::{Done, Ips};
use crate::sample::Sample;
use crate::world::{Engine, VM, World};

/// What is made to fail, and how it can.
const CALLS: [(&str, &[&str]); 8] = [
    ("openat", &["EMFILE", "ENOSPC", "EACCES", "EIO"]),
    ("pwrite64", &["ENOSPC", "EIO", "EROFS"]),
    ("pread64", &["EIO"]),
    ("fsync,fdatasync", &["EIO", "ENOSPC"]),
    ("ftruncate", &["ENOSPC", "EIO"]),
    ("write", &["ENOSPC", "EIO", "EPIPE"]),
    ("clone,clone3,vfork", &["EAGAIN", "ENOMEM"]),
    ("flock", &["EINTR", "ENOLCK"]),
];

/// Runs `o_vm` with its n-th call of that kind failing, or from the n-th on (`5+`).
fn with_failing(ips: &Ips, calls: &str, error: &str, when: &str, args: &[&str]) -> Done {
    let link = ips.dir.join("bin/sh");
    if !link.exists() {
        std::os::unix::fs::symlink("/bin/sh", link).unwrap();
    }
    let script = format!(
        "exec strace -qq -o fired -e trace={calls} -e inject={calls}:error={error}:when={when} o_vm {}",
        args.join(" ")
    );
    ips.run("sh", &["-c", &script])
}

/// Whether the fault was met at all.
fn fired(ips: &Ips) -> bool {
    let trace = std::fs::read_to_string(ips.dir.join("fired")).unwrap_or_default();
    trace.contains("(INJECTED)")
}

fn is_sound(ips: &Ips, case: &str) {
    let check = ips.shell("sqlite3 registry.db 'pragma integrity_check'");
    assert_eq!(check.out, "ok\n", "{case}: {check:?}");
    assert_eq!(ips.o_vm(&["list"]).code, 0, "{case}");
}

/// Each kind of call and error, at each number until there is no such call any more.
fn at_each(name: &str, every: u64, mut case: impl FnMut(&str, &str, &str) -> bool) {
    let mut tried = 0;
    for (calls, errors) in CALLS {
        for error in errors {
            let mut sample = Sample::one_of(every, &format!("{name}{calls}{error}"));
            for number in 1..600 {
                if !sample.takes() {
                    continue;
                }
                // Once, and from then on.
                let goes_on = case(calls, error, &number.to_string());
                tried += 2;
                case(calls, error, &format!("{number}+"));
                if !goes_on {
                    break;
                }
            }
        }
    }
    println!("{name}: {tried} cases");
    assert!(tried > 10, "{tried}");
}

#[test]
fn a_definition_is_made_whole_or_not_at_all() {
    let ips = Ips::new();
    ips.define("before");
    let mut count = 0;
    at_each("define", 6, |calls, error, when| {
        count += 1;
        let id = format!("v{count}");
        let args = [
            "define", "--id", &id, "--name", &id, "--cpus", "1", "--ram", "64",
        ];
        let done = with_failing(&ips, calls, error, when, &args);
        let case = format!("define: {calls} {error} {when}: {done:?}");
        is_sound(&ips, &case);
        let there = ips.o_vm(&["show", &id]).code == 0;
        assert!(done.code != 0 || there, "{case}: a false success");
        // stderr itself may be what fails; else the reason is told.
        let told = !done.err.is_empty() || calls == "write" || done.code == 0;
        assert!(told, "{case}: no reason");
        ips.o_vm(&["undefine", &id]);
        fired(&ips)
    });
    assert_eq!(ips.vm("before")["name"], "before");
}

#[test]
fn an_operation_ends_right_whatever_failed_in_it() {
    let world = World::new(Engine::Local);
    at_each("create", 12, |calls, error, when| {
        let case = format!("create: {calls} {error} {when}");
        world.make_disk();
        let done = with_failing(&world.ips, calls, error, when, &["create", VM, "box"]);
        let was_met = fired(&world.ips);
        is_sound(&world.ips, &case);
        world.holds(&case);
        assert!(
            done.code != 0 || world.domain("box").is_some(),
            "{case}: a false success: {done:?}"
        );
        world.until_done(&["create", VM, "box"], &case);
        world.ips.o_vm(&["sweep"]);
        world.is_tidy(&case);
        world.until_done(&["destroy", VM], &case);
        was_met
    });
}
