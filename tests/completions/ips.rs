//! Completions of `o_vm` and `ips-server`: the files are generated from the help of the
//! programs, and real shells complete with them, on a registry of the test's own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a test's result"
)]

mod bash;
mod fish;
#[path = "../man/help.rs"]
mod help;
mod model;
mod shell;
mod zsh;

use std::path::Path;
use std::time::{Duration, Instant};

use ips_server::links::links;

use model::Program;
use shell::Place;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ips-server");
const ASK: &str = "command o_vm __complete KIND PREFIX 2>/dev/null";

fn o_vm(place: &Place) -> Program {
    let mut program = Program::new(&place.link("o_vm", PROGRAM), "o_vm", ASK);
    let links = links().into_iter().filter(|link| link.name != "o_vm");
    program.links = links
        .map(|link| (link.name, link.words.join(" ")))
        .collect();
    program
}

fn ips_server() -> Program {
    let mut program = Program::new(Path::new(PROGRAM), "ips-server", ASK);
    program.other = Some(("vm", "o_vm"));
    program
}

/// A place with two VMs, one of them on tch-001, and an open operation.
fn place(test: &str) -> Place {
    let mut place = Place::new(test);
    let registry = place.path("registry.db").display().to_string();
    let locks = place.path("locks").display().to_string();
    for (key, value) in [
        ("IPS_REGISTRY", registry.as_str()),
        ("IPS_LOCK_DIR", &locks),
        ("IPS_ENGINE", "local"),
        ("IPS_NODE_NAME", "box"),
    ] {
        place.set(key, value);
    }
    place.link("ips-server", PROGRAM);
    for name in links().iter().map(|link| link.name) {
        place.link(name, PROGRAM);
    }
    for (id, name) in [("vm-1", "web"), ("vm-2", "Worker.2")] {
        place.run(
            "o_vm",
            &[
                "define", "--id", id, "--name", name, "--cpus", "1", "--ram", "64",
            ],
        );
    }
    let registry = rusqlite::Connection::open(place.path("registry.db")).unwrap();
    registry
        .execute_batch(
            "UPDATE vm SET owner = 'tch-001', owner_since = 'x' WHERE vm_id = 'vm-1';
             INSERT INTO node (name) VALUES ('tch-001'), ('tch-002');
             INSERT INTO operation (operation, vm_id, verb, started_at)
             VALUES ('a0000000-0000-4000-8000-000000000001', 'vm-1', 'stop', 'x');",
        )
        .unwrap();
    place
}

#[test]
fn the_files_are_generated_from_the_help() {
    let place = Place::new("o-vm-files");
    shell::files_are_up_to_date(&[o_vm(&place), ips_server()]);
}

/// What every shell must offer, in any order.
const WANTED: [(&str, &[&str]); 22] = [
    ("o_vm st", &["start", "status", "stop"]),
    ("o_vm reboot w", &["web"]),
    ("o_vm_reboot web ", &["force"]),
    ("o_vm --config /dev/null st", &["start", "status", "stop"]),
    ("o_vm task ", &["create", "delete", "list", "run"]),
    ("o_vm show ", &["vm-1", "vm-2", "web", "Worker.2"]),
    ("o_vm show w", &["web"]),
    ("o_vm create web ", &["tch-001", "tch-002"]),
    ("o_vm create --reason text web tch", &["tch-001", "tch-002"]),
    ("o_vm create -- web tch", &["tch-001", "tch-002"]),
    ("o_vm destroy --k", &["--keep-storage"]),
    ("o_vm list --node ", &["tch-001", "tch-002"]),
    ("o_vm list --state s", &["shut-off"]),
    ("o_vm stop web ", &["force"]),
    (
        "o_vm operations --follow ",
        &["a0000000-0000-4000-8000-000000000001"],
    ),
    ("o_vm task run --e", &["--exit-code"]),
    ("o_vm release web --node-is-off tch-001 --re", &["--reason"]),
    ("o_vm_create web ", &["tch-001", "tch-002"]),
    ("o_vm_validate_node ", &["tch-001", "tch-002"]),
    ("o_vm_list --st", &["--state"]),
    ("ips-server ", &["nginx", "serve", "vm"]),
    ("ips-server vm create web ", &["tch-001", "tch-002"]),
];

#[test]
fn bash_completes() {
    let place = place("bash");
    for (line, wanted) in WANTED {
        assert_eq!(place.bash(line), sorted(wanted), "{line}");
    }
    assert_eq!(place.bash("o_vm create --reason "), [""; 0]);
    assert_eq!(place.bash("o_vm create web tch-001 "), [""; 0]);
}

#[test]
fn fish_completes() {
    let place = place("fish");
    for (line, wanted) in WANTED {
        assert_eq!(place.fish(line), sorted(wanted), "{line}");
    }
    assert_eq!(place.fish("o_vm create web tch-001 "), [""; 0]);
}

#[test]
fn zsh_completes() {
    let place = place("zsh");
    for (line, wanted) in WANTED {
        assert_eq!(place.zsh(line), sorted(wanted), "{line}");
    }
    // After the last argument zsh offers the options.
    let rest = place.zsh("o_vm create web tch-001 ");
    assert!(rest.iter().all(|word| word.starts_with("--")), "{rest:?}");
}

fn sorted(words: &[&str]) -> Vec<String> {
    let mut words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    words.sort_unstable();
    words
}

#[test]
fn the_hidden_verb_prints_both_names_by_prefix() {
    let place = place("hidden");
    assert_eq!(
        place.run("o_vm", &["__complete", "vms", "v"]),
        "vm-1\tweb\nvm-2\tWorker.2\n"
    );
    assert_eq!(
        place.run("ips-server", &["vm", "__complete", "nodes"]),
        "tch-001\tnode\ntch-002\tnode\n"
    );
}

/// A message or a wait would disturb the line that the user is typing.
#[test]
fn the_hidden_verb_is_quiet_on_every_error() {
    let mut place = place("quiet");
    for words in [
        &["__complete"][..],
        &["__complete", "cows"],
        &["__complete", "vms", "\u{1b}"],
    ] {
        assert_eq!(place.run("o_vm", words), "");
    }
    place.set("IPS_REGISTRY", "/nowhere/registry.db");
    assert_eq!(place.run("o_vm", &["__complete", "vms"]), "");
    place.set("IPS_REGISTRY", "/dev/null");
    assert_eq!(place.run("o_vm", &["__complete", "vms"]), "");
    place.set("IPS_OM_TIMEOUT", "soon");
    assert_eq!(place.run("o_vm", &["__complete", "nodes"]), "");
}

#[test]
fn invalid_names_in_the_registry_reach_no_shell() {
    let place = place("strange");
    let registry = rusqlite::Connection::open(place.path("registry.db")).unwrap();
    let sql = "UPDATE vm SET name = '$(reboot)' WHERE vm_id = 'vm-1';
               INSERT INTO node (name) VALUES (char(27) || '[2J'), ('`id`')";
    registry.execute_batch(sql).unwrap();
    assert_eq!(
        place.run("o_vm", &["__complete", "vms"]),
        "Worker.2\tvm-2\nvm-2\tWorker.2\n"
    );
    assert_eq!(
        place.run("o_vm", &["__complete", "nodes"]),
        "tch-001\tnode\ntch-002\tnode\n"
    );
}

#[test]
fn the_hidden_verb_writes_no_file_and_waits_for_no_lock() {
    let place = place("locks");
    let files = || std::fs::read_dir(place.path("")).unwrap().count();
    let before = files();
    place.run("o_vm", &["__complete", "vms"]);
    assert_eq!(files(), before);
    let writer = rusqlite::Connection::open(place.path("registry.db")).unwrap();
    writer
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM operation;")
        .unwrap();
    let (began, printed) = (Instant::now(), place.run("o_vm", &["__complete", "vms"]));
    assert_eq!(printed.lines().count(), 4);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    // Now no process can read: no output, and no wait.
    writer
        .execute_batch(
            "ROLLBACK; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM operation;",
        )
        .unwrap();
    let began = Instant::now();
    place.run("o_vm", &["__complete", "vms"]);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

/// `om` is called only if the registry has no node, and for a short time.
#[test]
fn completion_does_not_wait_for_a_hung_om() {
    let mut place = place("hang");
    place.script("om", "#!/bin/sh\necho called >>\"$CALLS\"\nexec sleep 60\n");
    let calls = place.path("calls").display().to_string();
    place.set("CALLS", &calls);
    place.set("IPS_ENGINE", "opensvc");
    assert_eq!(
        place.run("o_vm", &["__complete", "nodes"]),
        "tch-001\tnode\ntch-002\tnode\n"
    );
    assert!(!place.path("calls").exists(), "om was called");
    let nowhere = place.path("none.db").display().to_string();
    place.set("IPS_REGISTRY", &nowhere);
    let began = Instant::now();
    assert_eq!(place.run("o_vm", &["__complete", "nodes"]), "");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(place.path("calls").exists(), "om was not called");
}

#[test]
fn ten_thousand_vms_take_at_most_20_milliseconds() {
    let place = place("many");
    let registry = rusqlite::Connection::open(place.path("registry.db")).unwrap();
    let sql = "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 10009)
               INSERT INTO vm (vm_id, name, uuid, uuid_given, vcpus, memory_mb, title, defined_at, changed_at)
               SELECT 'vm-' || i, 'name-' || i, 'uuid-' || i, 0, 1, 64, 'A title of some length', 'x', 'x' FROM n";
    registry.execute_batch(sql).unwrap();
    assert_eq!(
        place.run("o_vm", &["__complete", "vms"]).lines().count(),
        20_004
    );
    // CPU time: the clock would measure other processes, too.
    let time = "TIMEFORMAT='%3U %3S'; { time o_vm __complete vms >/dev/null; } 2>&1";
    let best = (0..5).map(|_| {
        let printed = place.run("bash", &["-c", time]);
        let parts = printed.split_whitespace();
        parts.map(|part| part.parse::<f64>().unwrap()).sum::<f64>()
    });
    let limit = if cfg!(debug_assertions) { 0.1 } else { 0.02 };
    let best = best.fold(f64::INFINITY, f64::min);
    assert!(best < limit, "{best} s");
}
