//! `o_vm backup` and `o_vm restore`: a round trip, and what is refused. Faults in them are in
//! tests/faults/changes.rs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::Ips;

fn path(ips: &Ips, name: &str) -> String {
    ips.dir.join(name).display().to_string()
}

/// The registries that a restore kept beside the new one.
fn kept(ips: &Ips) -> Vec<String> {
    let names = fs::read_dir(&ips.dir).unwrap().flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("registry.db.before-"))
        .collect()
}

#[test]
fn backup_runs_under_a_server_and_restore_does_not() {
    let mut ips = Ips::new();
    ips.define("a");
    ips.serve();
    let file = path(&ips, "copy");
    ips.ok(&["backup", &file]);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    ips.define("b");
    let refused = ips.o_vm(&["restore", &file]);
    assert!(
        refused.code == 1 && refused.err.contains("in use; stop ips-server.service"),
        "{refused:?}"
    );
    assert!(kept(&ips).is_empty(), "nothing was changed");
    ips.end_server();
    let said = ips.ok(&["restore", &file]);
    assert!(said.contains("`o_vm sweep`"), "{said}");
    assert_eq!(ips.vm("a")["name"], "a");
    assert_eq!(ips.o_vm(&["show", "b"]).code, 1, "defined after the backup");
    // The old registry is complete, too.
    let [old] = &kept(&ips)[..] else {
        panic!("{:?}", kept(&ips))
    };
    ips.ok(&["restore", &path(&ips, old)]);
    assert_eq!(ips.vm("b")["name"], "b");
    ips.serve();
    assert_eq!(ips.get("/healthz").status, 200);
}

#[test]
fn restore_refuses_damaged_newer_and_foreign_files() {
    let ips = Ips::new();
    ips.define("a");
    let file = path(&ips, "copy");
    ips.ok(&["backup", &file]);
    let whole = fs::read(&file).unwrap();
    let newer = path(&ips, "newer");
    fs::copy(&file, &newer).unwrap();
    assert_eq!(
        ips.shell("sqlite3 newer 'pragma user_version = 99'").code,
        0
    );
    let mut cut = whole.clone();
    cut.truncate(whole.len() / 2);
    let mut scratched = whole.clone();
    let middle = scratched.len() / 2;
    scratched[middle..middle + 3000].fill(0x5a);
    for (name, bytes, says) in [
        ("cut", &cut, "damaged"),
        ("scratched", &scratched, "*** in database main ***"),
        (
            "letter",
            &b"Dear Sir or Madam, this is no database at all.".to_vec(),
            "not a registry",
        ),
        ("empty", &Vec::new(), "not a registry"),
    ] {
        fs::write(ips.dir.join(name), bytes).unwrap();
        let done = ips.o_vm(&["restore", &path(&ips, name)]);
        assert!(
            done.code == 1 && done.err.contains(says),
            "{name}: {done:?}"
        );
    }
    let done = ips.o_vm(&["restore", &newer]);
    assert!(done.code == 1 && done.err.contains("schema 99"), "{done:?}");
    assert_eq!(ips.o_vm(&["restore", &path(&ips, "nosuch")]).code, 1);
    assert!(kept(&ips).is_empty());
    assert_eq!(ips.vm("a")["name"], "a");
}

#[test]
fn restore_keeps_a_damaged_registry_with_its_log() {
    let ips = Ips::new();
    ips.define("a");
    let file = path(&ips, "copy");
    ips.ok(&["backup", &file]);
    fs::write(ips.dir.join("registry.db"), "burnt").unwrap();
    assert_eq!(ips.o_vm(&["list"]).code, 1);
    ips.ok(&["restore", &file]);
    assert_eq!(ips.vm("a")["name"], "a");
    let [old] = &kept(&ips)[..] else {
        panic!("{:?}", kept(&ips))
    };
    assert_eq!(fs::read(ips.dir.join(old)).unwrap(), b"burnt");
}

#[test]
fn backup_follows_no_link_and_replaces_only_when_complete() {
    let ips = Ips::new();
    ips.define("a");
    let file = path(&ips, "copy");
    fs::write(&file, "the backup of yesterday").unwrap();
    let other = ips.dir.join("other");
    fs::write(&other, "foreign").unwrap();
    std::os::unix::fs::symlink(&other, ips.dir.join("copy.new")).unwrap();
    ips.ok(&["backup", &file]);
    assert_eq!(fs::read(&other).unwrap(), b"foreign");
    let nowhere = path(&ips, "no-such-folder/copy");
    let done = ips.o_vm(&["backup", &nowhere]);
    assert!(done.code == 1 && done.err.contains(&nowhere), "{done:?}");
    ips.ok(&["restore", &file]);
}
