//! The verbs that change only the registry, with a fault at each system call: each applies its
//! change completely or not at all, exits 0 only when it is applied, and the same command
//! applies it after a fault.

use std::fs;

use crate::calls::{count, is_reported, try_all};
use crate::harness::{Done, Ips};
use crate::inject::{Fault, run_o_vm};

/// One verb: its initial state, and the verb itself. A new verb is a new test below.
struct Change {
    /// A shell script that makes the initial state from any state.
    before: &'static str,
    verb: &'static [&'static str],
}

/// Everything that a change may touch, as text.
const STATE: &str = "
    o_vm export && sqlite3 registry.db 'pragma integrity_check; select vm_id, owner from vm;
        select what, vm_id from audit order by 1, 2; select count(*) from token where vm_id is not null;' || exit 1
    if [ -e copy ]; then sqlite3 copy 'pragma integrity_check; select vm_id from vm'; fi";

/// VMs `a` and `b`; no claim, no token, no audit entry, no copy.
const TWO_VMS: &str = "
    rm -f copy
    sqlite3 registry.db 'pragma foreign_keys = on; delete from vm; delete from token'
    for id in a b; do o_vm define --id $id --name $id --cpus 1 --ram 64; done
    sqlite3 registry.db 'delete from audit'";

fn script(ips: &Ips, script: &str) -> Done {
    let done = ips.run_sh(&format!("{script}\n"), &[]);
    assert_eq!(done.code, 0, "{script}: {done:?}");
    done
}

fn state(ips: &Ips) -> String {
    let state = script(ips, STATE).out;
    assert!(state.lines().any(|line| line == "ok"), "{state}");
    state
}

impl Change {
    fn prepare(&self, ips: &Ips) {
        script(ips, &format!("{TWO_VMS}\n{}", self.before));
    }

    /// One of `every` of the possible faults.
    fn under_faults(&self, ips: &Ips, every: u64) {
        let name = format!("o_vm {:?}", self.verb);
        self.prepare(ips);
        let before = state(ips);
        let (first, trace) = run_o_vm(ips, &count(), self.verb);
        assert_eq!(first.code, 0, "{name}: without a fault: {first:?}");
        let after = state(ips);
        assert_ne!(before, after, "{name}");
        try_all(&name, every, &trace, |fault| {
            let case = format!("{name}: {fault}");
            self.prepare(ips);
            assert_eq!(state(ips), before, "{case}: prepared");
            let (first, trace) = run_o_vm(ips, fault, self.verb);
            is_reported(&first, fault, &case);
            self.is_all_or_nothing(ips, &first, [&before, &after], fault);
            trace.is_met()
        });
    }

    /// All or nothing; then the same command applies the change.
    fn is_all_or_nothing(
        &self,
        ips: &Ips,
        first: &Done,
        [before, after]: [&str; 2],
        fault: &Fault,
    ) {
        let case = format!("o_vm {:?}: {fault}: {first:?}", self.verb);
        let found = state(ips);
        assert!(
            found == before || found == after,
            "{case}: half done: {found}"
        );
        assert!(first.code != 0 || found == after, "{case}: a false success");
        let again = ips.o_vm(self.verb);
        assert!(
            again.code == 0 || found == after,
            "{case}, again: {again:?}"
        );
        // A second `config --token` adds a second token.
        if found == before {
            assert_eq!(state(ips), after, "{case}, again: {again:?}");
        }
    }
}

#[test]
fn define() {
    Change {
        before: "o_vm undefine b; sqlite3 registry.db 'delete from audit'",
        verb: &[
            "define", "--id", "b", "--name", "b", "--cpus", "1", "--ram", "64",
        ],
    }
    .under_faults(&Ips::new(), 60);
}

#[test]
fn set() {
    Change {
        before: "",
        verb: &["set", "b", "cpu_count=4", "title=other", "disk_1_a=/dev/x"],
    }
    .under_faults(&Ips::new(), 60);
}

#[test]
fn undefine() {
    Change {
        before: "",
        verb: &["undefine", "b"],
    }
    .under_faults(&Ips::new(), 60);
}

#[test]
fn import() {
    Change {
        before: "o_vm export >two; o_vm undefine a; o_vm undefine b; sqlite3 registry.db 'delete from audit'",
        verb: &["import", "two"],
    }
    .under_faults(&Ips::new(), 60);
}

#[test]
fn config_token() {
    Change {
        before: "",
        verb: &["config", "--token", "a"],
    }
    .under_faults(&Ips::new(), 60);
}

#[test]
fn release() {
    Change {
        before: "sqlite3 registry.db \"update vm set owner = 'gone', owner_since = defined_at where vm_id = 'a'\"",
        verb: &["release", "a", "--node-is-off", "gone", "--reason", "burnt"],
    }
    .under_faults(&Ips::new(), 60);
}

#[test]
fn adopt() {
    let ips = Ips::new();
    let uuid = hps_core::identity::uuid_of_id(&"a".parse().unwrap());
    let domain = format!(
        "node=box\nboot_id=6ba7b810-9dad-11d1-80b4-00c04fd430c8\nversion=1\ncpus=4\nmemory_mb=1024\n\n\
         name=a\nuuid={uuid}\nstate=running\nvcpus=1\nmemory_mb=64\nvnc=\nvm_id=a\nxml=<domain/>\n"
    );
    ips.fake("definitions", &domain);
    Change {
        before: "o_vm export >both; head -n 6 both >one",
        verb: &["adopt", "box", "--take", "one"],
    }
    .under_faults(&ips, 60);
}

#[test]
fn backup() {
    for before in [
        "",
        "o_vm undefine b; o_vm backup copy; o_vm define --id b --name b --cpus 1 --ram 64; sqlite3 registry.db 'delete from audit'",
    ] {
        Change {
            before,
            verb: &["backup", "copy"],
        }
        .under_faults(&Ips::new(), 60);
    }
}

/// The old registry is kept complete beside the new one.
#[test]
fn restore() {
    let ips = Ips::new();
    let change = Change {
        before: "rm -f registry.db.before-*; o_vm undefine b; o_vm backup copy
            o_vm define --id b --name b --cpus 1 --ram 64; sqlite3 registry.db 'delete from audit'",
        verb: &["restore", "copy"],
    };
    change.under_faults(&ips, 60);
    let kept: Vec<_> = fs::read_dir(&ips.dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("registry.db.before-"))
        .collect();
    assert!(!kept.is_empty());
    for name in kept {
        let read = ips.shell(&format!("sqlite3 {name} 'select vm_id from vm'"));
        assert!(read.out.starts_with("a\n"), "{name}: {read:?}");
    }
}
