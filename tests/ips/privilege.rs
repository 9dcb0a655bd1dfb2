//! The server's user owns the folder of the registry, and root reads its files. A compromised
//! server can report false states of VMs; it cannot make root run, open or remove anything of
//! its choice. And no secret is readable by others.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use rusqlite::Connection;

use crate::harness::{Done, Ips, node_links, wait_for};

/// Runs `o_vm` with umask 0.
fn with_no_umask(ips: &Ips, args: &[&str]) -> Done {
    ips.run_sh("umask 0; exec \"$@\"", &[&["o_vm"], args].concat())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn new_files_are_private_with_any_umask() {
    let mut ips = Ips::new();
    let before = files(&ips.dir);
    ips.fake("list", "[]");
    let backup = ips.dir.join("copy").display().to_string();
    let private = ips.dir.join("private");
    std::fs::create_dir(&private).unwrap();
    let definition = ["--id", "a", "--name", "a", "--cpus", "1", "--ram", "64"];
    for args in [
        &[&["define"][..], &definition].concat()[..],
        &["create", "a", "box"],
        &["backup", &backup],
        &["restore", &backup],
        &["sweep"],
        &["list"],
    ] {
        let done = with_no_umask(&ips, args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
    }
    let socket = private.join("socket");
    ips.serve_at(&format!("unix:{}", socket.display()));
    assert_eq!(
        socket.metadata().unwrap().mode() & 0o777,
        0o660,
        "nginx's group may ask"
    );
    let ours = |path: &PathBuf| !before.contains(path) && !path.starts_with(ips.dir.join("fake"));
    let made: Vec<_> = files(&ips.dir).into_iter().filter(ours).collect();
    assert!(made.len() > 5, "{made:?}");
    for path in made {
        let found = path.symlink_metadata().unwrap();
        let is_test_own =
            path == private || path.ends_with("server.log") || path.ends_with("bin/sh");
        if !is_test_own && !found.file_type().is_socket() {
            assert_eq!(
                found.mode() & 0o077,
                0,
                "{} {:o}",
                path.display(),
                found.mode()
            );
        }
    }
}

/// Replaces a program by one that records how it was started and then executes the original,
/// with the verb of its name.
fn watched(ips: &Ips, program: &str, verb: &str) {
    let path = ips.dir.join("bin").join(program);
    let real = path.canonicalize().unwrap();
    std::fs::remove_file(&path).unwrap();
    let script = format!(
        "#!/bin/sh\n{{ tr '\\0' '\\n' </proc/$$/cmdline; echo; }} >>\"$FAKE_DIR/cmdlines\"\n\
         {{ tr '\\0' '\\n' </proc/$$/environ; echo; }} >>\"$FAKE_DIR/environs.{program}\"\n\
         exec {} {verb} \"$@\"\n",
        real.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_token_is_only_in_the_environment_of_its_verb() {
    for in_cluster in [false, true] {
        let ips = if in_cluster {
            Ips::in_cluster()
        } else {
            Ips::new()
        };
        ips.define("a");
        if in_cluster {
            watched(&ips, "om", "");
            watched(&ips, "n_vm_create", "create");
        } else {
            watched(&ips, "n_vm", "");
        }
        ips.ok(&["create", "a", if in_cluster { "tch-001" } else { "box" }]);
        let token = ips.given("N_VM_TOKEN").unwrap();
        assert_eq!(token.len(), 64);
        let read = |name: &str| {
            std::fs::read_to_string(ips.dir.join("fake").join(name)).unwrap_or_default()
        };
        assert!(read("cmdlines").contains("create"), "it was watched");
        assert!(!read("cmdlines").contains(&token));
        let of_verb = if in_cluster { "n_vm_create" } else { "n_vm" };
        assert!(
            read(&format!("environs.{of_verb}")).contains(&token),
            "it was watched"
        );
        assert!(!read("environs.om").contains(&token));
        assert_eq!(read("environs.om").is_empty(), !in_cluster);
        // The files of o_vm: registry, log, journal.
        for path in files(&ips.dir)
            .iter()
            .filter(|path| path.is_file() && !path.starts_with(ips.dir.join("fake")))
        {
            let bytes = std::fs::read(path).unwrap();
            let is_there = bytes.windows(64).any(|part| part == token.as_bytes());
            // The fake cluster logs its own calls; a real one has no such log.
            assert!(
                !is_there || path.starts_with(ips.dir.join("cluster")),
                "{}",
                path.display()
            );
        }
    }
}

/// Values that a compromised server might write where root reads.
const HOSTILE: [&str; 16] = [
    "",
    "-rf",
    "--connect=qemu+ssh://evil/system",
    "../../../../etc/passwd",
    "/etc/passwd",
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY",
    "a\nrun_command = touch CANARY",
    "a\n[task#x]\ncommand = touch CANARY",
    "{env.PATH}",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "a'; DROP TABLE vm; --",
    "%s%n%x",
    "a b",
    "\u{202e}txt",
];

const VERBS: [&[&str]; 10] = [
    &["sweep"],
    &["list"],
    &["show", "a"],
    &["config", "a"],
    &["operations"],
    &["console", "a"],
    &["start", "a"],
    &["destroy", "a"],
    &["export"],
    &["nodes"],
];

/// Every text column that root reads, taken from the schema itself: a new column is tested,
/// too.
fn columns(sql: &Connection) -> Vec<(String, String)> {
    let mut statement = sql
        .prepare(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND c.type = 'TEXT' ORDER BY 1, 2",
        )
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// A registry with a row in every table, and a create that was left open.
fn filled_registry() -> Ips {
    let mut ips = Ips::in_cluster();
    ips.set("IPS_NODES_RESTART", "on");
    let made = ips.with_input(
        &["define", "--id", "a", "-"],
        "name=a\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\ndisk_1_a=/dev/x\nvxlan_7=br7\n\
         title=t\ndescription=d\nos_variant=o\nfirmware=uefi\nboot=hd\ncpu_model=m\n",
    );
    assert_eq!(made.code, 0, "{made:?}");
    ips.ok(&["create", "a", "tch-001"]);
    ips.define("b");
    Connection::open(ips.dir.join("registry.db"))
        .unwrap()
        .execute_batch(
            "INSERT INTO conflict VALUES ('b', 'tch-002', '2026-01-01T00:00:00.000Z', 'running'); \
             INSERT INTO node VALUES ('tch-001', 'x', '1', 1, 1, '2026-01-01T00:00:00.000Z'); \
             INSERT INTO token (hash, vm_id, node, addresses, expires_at, inventory) \
                VALUES (x'00', 'a', 'tch-001', '10.0.0.1', '2036-01-01T00:00:00.000Z', 'node=tch-001'); \
             UPDATE operation SET ended_at = NULL, exit_code = NULL; \
             UPDATE task SET ended_at = NULL, exit_code = NULL; \
             UPDATE vm SET desired = 'running', state = 'absent', vnc = '127.0.0.1:5900' WHERE vm_id = 'a'; \
             PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    ips
}

/// A file that the registry names and that no program has a reason to touch.
struct Bait {
    path: PathBuf,
    watch: Inotify,
}

impl Bait {
    fn new(ips: &Ips) -> Self {
        let path = ips.dir.join("bait");
        std::fs::write(&path, "run_command = touch CANARY\n").unwrap();
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
        watch
            .add_watch(&path, AddWatchFlags::IN_ALL_EVENTS)
            .unwrap();
        Self { path, watch }
    }

    /// The events on it since the last check: opened, written, renamed, removed.
    fn touched(&self) -> Vec<AddWatchFlags> {
        match self.watch.read_events() {
            Ok(events) => events.iter().map(|event| event.mask).collect(),
            Err(Errno::EAGAIN) => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The valid calls of the node's program.
fn is_ours(call: &str) -> bool {
    let words: Vec<_> = call.split(' ').collect();
    match words[..] {
        ["list", ref rest @ ..] => rest
            .iter()
            .all(|word| ["--json", "--report", "--definitions"].contains(word)),
        [verb, "a" | "b"] => {
            let is_link = |name: &str| name.strip_prefix("n_vm_") == Some(verb);
            verb == "status" || node_links().any(is_link)
        }
        _ => false,
    }
}

/// The number of groups of columns that run at a time: most of a case is waiting for children.
const PARTS: usize = 6;

/// Takes minutes by itself: each group of columns has its own IPS.
mod slow {
    use super::*;

    /// Tries hostile text in every column of the registry.
    #[test]
    fn a_registry_cannot_make_root_run_open_or_remove() {
        std::thread::scope(|threads| {
            for part in 0..PARTS {
                threads.spawn(move || hostile_columns(part));
            }
        });
    }
}

/// Every [`PARTS`]th column.
fn hostile_columns(part: usize) {
    let ips = filled_registry();
    let registry = ips.dir.join("registry.db");
    let whole = std::fs::read(&registry).unwrap();
    let all = columns(&Connection::open(&registry).unwrap());
    assert!(all.len() > 40, "{all:?}");
    // The torture run tries every value in every column with every verb; otherwise each column
    // has one value.
    let (step, stride) = if std::env::var_os("HPS_TORTURE").is_some() {
        (1, 1)
    } else {
        (HOSTILE.len(), 5)
    };
    let bait = Bait::new(&ips);
    let called_before = ips.calls().len();
    let paths = [bait.path.to_str().unwrap(), "bait", "../bait"];
    let outside = files(&ips.dir);
    for (at, (table, column)) in all.iter().enumerate().skip(part).step_by(PARTS) {
        let values = HOSTILE.iter().skip(at % step).step_by(step);
        // In a sample every third column has one of the three.
        let paths = paths.iter().skip(at % step.min(9)).step_by(step);
        for value in values.chain(paths) {
            std::fs::write(&registry, &whole).unwrap();
            for part in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(ips.dir.join(format!("registry.db{part}")));
            }
            let sql = Connection::open(&registry).unwrap();
            sql.pragma_update(None, "ignore_check_constraints", true)
                .unwrap();
            sql.pragma_update(None, "foreign_keys", false).unwrap();
            let written = sql.execute(
                &format!("UPDATE OR IGNORE {table} SET {column} = ?1"),
                [value],
            );
            // A value that is already in a row, or a key that two rows share, leaves one of
            // several rows unchanged, never all of them.
            assert!(
                written.as_ref().is_ok_and(|rows| *rows > 0),
                "{table}.{column} = {value:?}: {written:?}"
            );
            drop(sql);
            for args in VERBS.iter().skip(at % stride).step_by(stride) {
                let what = format!("{table}.{column} = {value:?}: {args:?}");
                let done = ips.o_vm(args);
                assert!((0..=11).contains(&done.code), "{what}: {done:?}");
                for text in [&done.out, &done.err] {
                    let bad = |c: char| c.is_control() && c != '\n';
                    assert!(!text.contains(bad), "{what}: {text:?}");
                }
            }
            let touched = bait.touched();
            assert!(
                touched.is_empty(),
                "{table}.{column} = {value:?}: {touched:?}"
            );
            let strange: Vec<_> = ips
                .calls()
                .into_iter()
                .filter(|call| !is_ours(call))
                .collect();
            assert!(
                strange.is_empty(),
                "{table}.{column} = {value:?}: {strange:?}"
            );
        }
    }
    assert!(
        ips.calls().len() > called_before,
        "no program of a node ran"
    );
    drop(std::fs::File::open(&bait.path));
    assert!(
        !bait.touched().is_empty(),
        "opening it would have been seen"
    );
    let of_fakes = |path: &PathBuf| {
        ["cluster", "fake", "locks"]
            .iter()
            .any(|part| path.starts_with(ips.dir.join(part)))
    };
    let is_known =
        |path: &PathBuf| outside.contains(path) || of_fakes(path) || path.starts_with(&registry);
    let more: Vec<_> = files(&ips.dir)
        .into_iter()
        .filter(|path| !is_known(path))
        .collect();
    assert!(
        more.iter()
            .all(|path| path.to_string_lossy().contains("registry.db-")),
        "{more:?}"
    );
    assert!(outside.iter().all(|path| of_fakes(path)
        || path.exists()
        || path.to_string_lossy().contains("registry.db-")));
}
#[test]
fn a_schema_that_acts_by_itself_does_not_act_for_root() {
    let ips = Ips::new();
    ips.define("a");
    let mut sql = Connection::open(ips.dir.join("registry.db")).unwrap();
    sql.execute_batch("CREATE TRIGGER t AFTER INSERT ON operation BEGIN UPDATE vm SET owner = NULL, owner_since = NULL; DELETE FROM audit; END")
        .unwrap();
    let audited = |sql: &Connection| -> u32 {
        let count = sql.query_row("SELECT count(*) FROM audit", [], |row| row.get(0));
        count.unwrap()
    };
    let before = audited(&sql);
    assert!(before > 0);
    // It acts for a program that allows it.
    let trial = sql.transaction().unwrap();
    trial
        .execute(
            "INSERT INTO operation (operation, vm_id, verb, started_at) \
             VALUES ('trial', 'a', 'create', '2026-01-01T00:00:00.000Z')",
            [],
        )
        .unwrap();
    assert_eq!(audited(&trial), 0, "the trigger acts");
    trial.rollback().unwrap();
    ips.ok(&["create", "a", "box"]);
    assert_eq!(ips.vm("a")["node"], "box");
    assert!(audited(&sql) >= before, "nothing was deleted");
}

#[test]
fn a_fifo_or_folder_as_registry_does_not_block_root() {
    let ips = Ips::new();
    assert_eq!(
        ips.shell("mkfifo registry.db && chmod 600 registry.db")
            .code,
        0
    );
    let mut child = ips.command("o_vm").arg("list").spawn().unwrap();
    let code = wait_for("o_vm to come back", || child.try_wait().unwrap());
    assert_eq!(code.code(), Some(1));
    let done = ips.shell("rm registry.db && mkdir registry.db");
    assert_eq!(done.code, 0);
    assert_eq!(ips.o_vm(&["list"]).code, 1);
}

/// Runs as root only: the test needs files of another user.
mod as_root {
    use super::*;

    #[test]
    fn root_follows_no_link_in_the_folder_of_the_registry() {
        for kind in ["symbolic", "hard"] {
            for part in ["", "-wal", "-shm", "-journal"] {
                if (kind, part) == ("hard", "") {
                    // A killed `restore` itself leaves a second name; a file behind it that is
                    // not a registry is refused for that reason.
                    continue;
                }
                let ips = Ips::new();
                ips.define("a");
                let victim = ips.dir.join("victim");
                std::fs::write(&victim, "root's own\n").unwrap();
                let name = ips.dir.join(format!("registry.db{part}"));
                let _ = std::fs::remove_file(&name);
                if kind == "hard" {
                    std::fs::hard_link(&victim, &name).unwrap();
                } else {
                    symlink(&victim, &name).unwrap();
                }
                let done = ips.o_vm(&[
                    "define", "--id", "b", "--name", "b", "--cpus", "1", "--ram", "64",
                ]);
                assert_eq!(done.code, 1, "{kind} {part}: {done:?}");
                assert!(done.err.contains("registry"), "{kind} {part}: {done:?}");
                let after = std::fs::read_to_string(&victim).unwrap();
                assert_eq!(after, "root's own\n", "{kind} {part}");
                assert_eq!(victim.metadata().unwrap().uid(), 0);
            }
        }
    }
}
