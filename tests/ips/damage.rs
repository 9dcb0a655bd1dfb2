//! Damaged or unusable registry files: corrupt, newer, from another program, not writable, on a
//! full disk, created by root, replaced under a running server. Each is reported clearly and
//! left unchanged.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::harness::{Done, Ips};

fn stream(count: u32) -> String {
    (0..count)
        .map(|n| {
            format!(
                "vm_id=v{n}\nname=vm-{n}\ncpu_count=1\nram_mb=64\n\
                 provision_method=virt-install\ndisk_1_a=/images/{n:060}\n\n"
            )
        })
        .collect()
}

fn with_vms(count: u32) -> Ips {
    let ips = Ips::new();
    let done = ips.with_input(&["import", "-"], &stream(count));
    assert_eq!(done.code, 0, "{done:?}");
    ips
}

fn file(ips: &Ips) -> PathBuf {
    ips.dir.join("registry.db")
}

/// Overwrites a part of the file, as no program should.
fn scribble(ips: &Ips, at: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(file(ips)).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

#[test]
fn damage_is_reported_with_the_file_and_a_remedy() {
    let ips = with_vms(300);
    let length = file(&ips).metadata().unwrap().len();
    scribble(
        &ips,
        8192,
        &vec![0xff; usize::try_from(length).unwrap() - 8192],
    );
    let done = ips.o_vm(&["list"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    let want = format!(
        "o_vm: list: registry {}: damaged; restore a backup",
        file(&ips).display()
    );
    assert!(done.err.starts_with(&want), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}

#[test]
fn damage_is_503_in_the_format_of_each_route() {
    let mut ips = with_vms(300);
    ips.set("IPS_NODES_AUTH", "off")
        .set("IPS_NODES_ALLOW", "127.0.0.1");
    ips.serve();
    let length = file(&ips).metadata().unwrap().len();
    scribble(
        &ips,
        8192,
        &vec![0xff; usize::try_from(length).unwrap() - 8192],
    );
    let config = ips.get("/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=v7");
    assert_eq!(config.status, 503, "{config:?}");
    assert!(config.body.starts_with("error=registry "), "{config:?}");
    assert!(config.body.contains("damaged"), "{config:?}");
    let vms = ips.get("/v1/vms");
    assert_eq!(vms.status, 503, "{vms:?}");
    assert!(vms.body.starts_with("{\"error\":"), "{vms:?}");
}

#[test]
fn a_newer_registry_is_left_as_it_is() {
    let ips = with_vms(3);
    // https://sqlite.org/fileformat.html: offset 60 is the user version, big-endian.
    scribble(&ips, 60, &99_u32.to_be_bytes());
    let before = std::fs::read(file(&ips)).unwrap();
    let done = ips.with_input(&["import", "-"], &stream(1));
    assert_eq!(done.code, 1);
    assert!(
        done.err
            .contains("made by a newer version of this program (schema 99, this one knows 5)"),
        "{}",
        done.err
    );
    assert_eq!(std::fs::read(file(&ips)).unwrap(), before);
}

#[test]
fn the_database_of_another_program_is_left_as_it_is() {
    let ips = Ips::new();
    let other = Connection::open(file(&ips)).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(other);
    let before = std::fs::read(file(&ips)).unwrap();
    let done = ips.o_vm(&["list"]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("not a registry"), "{}", done.err);
    assert_eq!(std::fs::read(file(&ips)).unwrap(), before);
}

#[test]
fn many_processes_can_create_and_write_one_registry() {
    let ips = Ips::new();
    let ids: Vec<_> = (0..12).map(|n| format!("v{n}")).collect();
    let started: Vec<_> = ids
        .iter()
        .map(|id| {
            let args = [
                "define", "--id", id, "--name", id, "--cpus", "1", "--ram", "64",
            ];
            ips.command("o_vm").args(args).spawn().unwrap()
        })
        .collect();
    for child in started {
        let done = Done::of(child);
        assert_eq!(done.code, 0, "{done:?}");
    }
    assert_eq!(ips.ok(&["list"]).lines().count(), 13);
}

#[test]
fn healthz_reports_a_missing_file_and_creates_none() {
    let mut ips = with_vms(1);
    ips.serve();
    assert_eq!(ips.get("/healthz").status, 200);
    std::fs::remove_file(file(&ips)).unwrap();
    let answer = ips.get("/healthz");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(!file(&ips).exists());
}

#[test]
fn healthz_reports_a_replaced_registry() {
    let mut ips = with_vms(1);
    ips.serve();
    ips.shell(
        "cp registry.db copy.db; mv copy.db registry.db; rm -f registry.db-wal registry.db-shm",
    );
    let answer = ips.get("/healthz");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("restart the server"), "{answer:?}");
}

#[test]
fn an_import_that_meets_a_used_name_or_disk_names_the_line() {
    let ips = with_vms(3);
    for (change, line) in [
        (
            ("vm_id=v4\nname=vm-4", "vm_id=v4\nname=vm-1"),
            "line 9: name vm-1",
        ),
        (
            ("vm_id=v4\n", "vm_id=V2\n"),
            "line 8: vm_id v2 is defined already",
        ),
        (
            ("vm_id=v4\nname=vm-4", "vm_id=v4\nname=V3"),
            "line 9: name V3",
        ),
    ] {
        let text = stream(5).split_once("vm_id=v3").unwrap().1.to_owned();
        let text = format!("vm_id=v3{}", text.replacen(change.0, change.1, 1));
        let done = ips.with_input(&["import", "-"], &text);
        assert_eq!(done.code, 1);
        let want = format!("o_vm: import: /dev/stdin: {line}");
        assert!(done.err.starts_with(&want), "{want}: {}", done.err);
        assert_eq!(ips.ok(&["list"]).lines().count(), 4, "all or none");
    }
}

/// Tests that only root can run: they change owners and users, and mount.
mod as_root {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;

    use super::*;

    /// An unprivileged user.
    const NOBODY: u32 = 65534;

    /// Runs `o_vm` as an unprivileged user, from a copy that this user can access.
    fn as_nobody(ips: &Ips, args: &[&str]) -> Done {
        let program = ips.dir.join("bin/o_vm");
        let real = program.canonicalize().unwrap();
        if real.parent() != Some(&ips.dir.join("bin")) {
            std::fs::remove_file(&program).unwrap();
            // A descriptor of this process, open for writing, may be in a child of another test
            // just then, and the copy could not be executed: `cp` has its own.
            let copied = ips.shell(&format!("cp {} bin/o_vm", real.display()));
            assert_eq!(copied.code, 0, "{copied:?}");
        }
        let mut command = ips.command("o_vm");
        Done::of(command.args(args).uid(NOBODY).gid(NOBODY).spawn().unwrap())
    }

    #[test]
    fn an_unwritable_registry_is_an_error_and_stays_as_it_is() {
        let ips = with_vms(3);
        let before = std::fs::read(file(&ips)).unwrap();
        for mode in ["600", "644"] {
            ips.shell(&format!("chmod {mode} registry.db"));
            let done = as_nobody(
                &ips,
                &["define", "--name", "x", "--cpus", "1", "--ram", "64"],
            );
            assert_eq!(done.code, 1, "{mode}: {done:?}");
            let want = format!(
                "registry {}: cannot be written; check the file's owner and the mount",
                file(&ips).display()
            );
            assert!(done.err.contains(&want), "{mode}: {}", done.err);
        }
        assert_eq!(std::fs::read(file(&ips)).unwrap(), before);
    }

    #[test]
    fn an_import_on_a_full_disk_changes_nothing() {
        let ips = Ips::new();
        std::fs::write(ips.dir.join("many"), stream(3000)).unwrap();
        std::fs::create_dir(ips.dir.join("small")).unwrap();
        let script = "unshare --mount sh -c 'mount -t tmpfs -o size=700k none small || exit 99
            export PATH=$PWD/bin:$PATH IPS_ENGINE=local IPS_REGISTRY=$PWD/small/registry.db
            o_vm import many; echo $?; o_vm list --json; o_vm define --name a --cpus 1 --ram 64 >&2 && o_vm list --columns name'";
        let done = ips.shell(script);
        assert_ne!(done.code, 99, "wants to mount a tmpfs, as root: {done:?}");
        assert_eq!(done.out, "1\n[]\nNAME\na\n", "{done:?}");
        assert!(
            done.err
                .contains("the disk is full; nothing was written, make room and try again"),
            "{done:?}"
        );
    }

    #[test]
    fn the_owner_of_the_folder_can_use_files_of_root() {
        let ips = Ips::new();
        chown(&ips.dir, Some(NOBODY), Some(NOBODY)).unwrap();
        ips.define("a");
        // While a process has it open, the WAL and its index stay.
        let open = Connection::open(file(&ips)).unwrap();
        let _: u32 = open
            .query_row("SELECT count(*) FROM vm", [], |row| row.get(0))
            .unwrap();
        ips.define("b");
        for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
            let found = ips.dir.join(name).metadata().unwrap();
            assert_eq!(
                (found.uid(), found.mode() & 0o777),
                (NOBODY, 0o600),
                "{name}"
            );
        }
        let done = as_nobody(
            &ips,
            &["define", "--name", "c", "--cpus", "1", "--ram", "64"],
        );
        assert_eq!(done.code, 0, "{done:?}");
        drop(open);
        assert_eq!(ips.ok(&["list", "--columns", "name"]), "NAME\na\nb\nc\n");
    }

    #[test]
    fn an_empty_file_of_a_killed_root_gets_the_folders_owner() {
        let ips = Ips::new();
        std::fs::write(file(&ips), "").unwrap();
        chown(&ips.dir, Some(NOBODY), Some(NOBODY)).unwrap();
        ips.define("a");
        assert_eq!(file(&ips).metadata().unwrap().uid(), NOBODY);
    }

    #[test]
    fn a_file_with_a_second_name_keeps_its_owner() {
        let ips = Ips::new();
        let elsewhere = ips.dir.join("elsewhere");
        std::fs::write(&elsewhere, "").unwrap();
        std::fs::hard_link(&elsewhere, file(&ips)).unwrap();
        chown(&ips.dir, Some(NOBODY), Some(NOBODY)).unwrap();
        ips.ok(&["list"]);
        let found = elsewhere.metadata().unwrap();
        assert!(found.len() > 0, "it was made a registry");
        assert_eq!(found.uid(), 0);
    }
}
