//! An `om` gone wild: it hangs, ignores TERM and keeps its stdout open through a
//! grandchild, prints 50 MB, lies in another language, dies by a signal. Every verb is
//! back in time, with the right code, in bounded memory, and leaves no process.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::harness::{Done, Ips};

/// What `om` may take by its setting, in seconds, and what a verb may take besides.
const OM_TIMEOUT: u64 = 1;
const MARGIN: Duration = Duration::from_secs(5);
/// KiB.
const MEMORY: u64 = 64 * 1024;

/// Ways to misbehave, as shell; `$MARK` tells its grandchildren from anybody else's.
const WAYS: [(&str, &str); 9] = [
    ("hangs", "exec sleep $MARK"),
    (
        "ignores TERM and keeps stdout",
        "trap '' TERM; (trap '' TERM; sleep $MARK) & sleep $MARK",
    ),
    (
        "ends, and its grandchild keeps stdout",
        "setsid sleep $MARK & exit 0",
    ),
    ("prints 50 MB", "yes x | head -c 50000000"),
    (
        "prints 50 MB of errors",
        "yes x | head -c 50000000 >&2; exit 1",
    ),
    (
        "says an error and exits 0",
        "echo 'Error: no daemon'; exit 0",
    ),
    (
        "speaks German",
        "echo 'Der Dienst wurde ausgeführt: ja'; exit 0",
    ),
    (
        "stops in mid-JSON",
        "printf '{\"cluster\":{\"node\":{\"tch-001\":{\"sta'; exit 0",
    ),
    ("dies by a signal", "kill -SEGV $$"),
];

fn with_om(way: &str, mark: &str) -> Ips {
    let mut ips = Ips::in_cluster();
    ips.define("a");
    let timeout = OM_TIMEOUT.to_string();
    for key in [
        "IPS_OM_TIMEOUT",
        "IPS_INSTANCE_TIMEOUT",
        "IPS_DELETE_TIMEOUT",
    ] {
        ips.set(key, &timeout);
    }
    let path = ips.dir.join("bin/om");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\nMARK={mark}\n{way}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    ips
}

/// Runs `o_vm` and tells its peak memory, in KiB, as the last line of stdout.
fn measured(ips: &Ips, args: &[&str]) -> (Done, u64) {
    let _ = std::os::unix::fs::symlink("/usr/bin/python3", ips.dir.join("bin/python3"));
    let script = "import resource, subprocess, sys\n\
                  code = subprocess.run(sys.argv[1:]).returncode\n\
                  print('\\n%d' % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)\n\
                  sys.exit(code if code >= 0 else 128 - code)";
    let done = ips.run("python3", &[&["-c", script, "o_vm"], args].concat());
    let peak = done.out.lines().last().unwrap().parse().unwrap();
    (done, peak)
}

#[test]
fn every_verb_is_back_in_time_whatever_om_does() {
    let verbs: [(&[&str], &[i32]); 5] = [
        (&["validate-node", "tch-001"], &[3]),
        (&["nodes"], &[1, 3, 11]),
        (&["create", "a", "tch-001"], &[3]),
        (&["status", "--all"], &[1, 3, 11]),
        (&["sweep"], &[0, 1]),
    ];
    for (number, (way, script)) in (0..).zip(WAYS) {
        let mark = format!("47{:03}{:04}", number, std::process::id() % 10_000);
        let ips = with_om(script, &mark);
        for (args, codes) in verbs {
            let began = Instant::now();
            let (done, peak) = measured(&ips, args);
            let took = began.elapsed();
            let case = format!(
                "om {way}: o_vm {args:?}: {} after {took:?}, {peak} KiB",
                done.code
            );
            assert!(codes.contains(&done.code), "{case}: {done:?}");
            // Two questions one after the other at most.
            assert!(
                took < Duration::from_secs(2 * OM_TIMEOUT) + MARGIN,
                "{case}"
            );
            assert!(peak < MEMORY, "{case}");
            assert!(
                done.err.lines().all(|line| line.len() < 2000),
                "{case}: {}",
                done.err
            );
            let left = ips.shell(&format!("pgrep -xa sleep | grep ' {mark}'"));
            // What put itself into a session of its own is nobody's to end.
            assert!(
                left.out.is_empty() || script.contains("setsid"),
                "{case}: left {left:?}"
            );
        }
        assert!(ips.operations().is_empty(), "om {way}: nothing was begun");
        ips.shell(&format!(
            "pgrep -xa sleep | grep ' {mark}' | cut -d' ' -f1 | xargs -r kill -9"
        ));
    }
}
