//! Completions of `n_vm`: the files are generated from its help, and real shells complete
//! with them, over the fake virsh.

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

use node_tool::links;

use model::Program;
use shell::Place;

const PROGRAM: &str = env!("CARGO_BIN_EXE_n_vm");
/// Only valid VM names: the domains of others may have any name.
const ASK: &str = "N_VM_VIRSH_TIMEOUT=1 command n_vm list 2>/dev/null | sed -n '1d;s/^\\([A-Za-z0-9][A-Za-z0-9._-]*\\)  .*/\\1/p'";

fn n_vm() -> Program {
    let mut program = Program::new(Path::new(PROGRAM), "n_vm", ASK);
    program.links = links::all()
        .map(|(link, spec)| (link.name, spec.name.to_string()))
        .collect();
    program
}

#[test]
fn the_files_are_generated_from_the_help() {
    shell::files_are_up_to_date(&[n_vm()]);
}

/// A node with two VMs, and a domain of others with a hostile name.
fn place(test: &str) -> Place {
    let mut place = Place::new(test);
    for (key, folder) in [("FAKE_DIR", "fake"), ("N_VM_STATE_DIR", "state")] {
        let folder = place.path(folder).display().to_string();
        place.set(key, &folder);
    }
    place.link("n_vm", PROGRAM);
    for name in links::all().map(|(link, _)| link.name) {
        place.link(name, PROGRAM);
    }
    let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fakes");
    for name in ["virsh", "node-fake.sh"] {
        place.link(name, fakes.join(name).to_str().unwrap());
    }
    for (number, name) in (1..).zip(["web", "worker", "$(reboot)"]) {
        let uuid = format!("a0000000-0000-4000-8000-00000000000{number}");
        let domain = place.path("fake/domains").join(uuid);
        std::fs::create_dir_all(&domain).unwrap();
        for (file, text) in [("name", name), ("state", "shut off"), ("persistent", "yes")] {
            std::fs::write(domain.join(file), format!("{text}\n")).unwrap();
        }
    }
    place
}

/// Lines, and the words that every shell must offer for them.
const WANTED: [(&str, &[&str]); 9] = [
    ("n_vm rem", &["remote-log"]),
    ("n_vm start ", &["web", "worker"]),
    ("n_vm destroy --keep-storage we", &["web"]),
    ("n_vm stop --timeout 5 wo", &["worker"]),
    ("n_vm list --r", &["--report"]),
    ("n_vm_stop web ", &["force"]),
    ("n_vm_reboot web ", &["force"]),
    ("n_vm reb", &["reboot"]),
    ("n_vm_pause ", &["web", "worker"]),
];

#[test]
fn bash_completes() {
    let place = place("n-bash");
    for (line, wanted) in WANTED {
        assert_eq!(place.bash(line), *wanted, "{line}");
    }
}

#[test]
fn zsh_completes() {
    let place = place("n-zsh");
    for (line, wanted) in WANTED {
        assert_eq!(place.zsh(line), *wanted, "{line}");
    }
}

#[test]
fn fish_completes() {
    let place = place("n-fish");
    for (line, wanted) in WANTED {
        assert_eq!(place.fish(line), *wanted, "{line}");
    }
}

#[test]
fn a_virsh_that_hangs_does_not_block_the_shell() {
    let place = Place::new("n-hang");
    place.link("n_vm", PROGRAM);
    place.script("virsh", "#!/bin/sh\nexec sleep 60\n");
    let began = Instant::now();
    assert_eq!(place.bash("n_vm start "), [""; 0]);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
