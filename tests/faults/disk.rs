//! Power loss, which kill -9 cannot show: of the data that was written and not synced, the disk
//! has nothing, everything or any part. strace records what the programs do to the folder of
//! the registry; the test then builds each possible state of the folder after each call and
//! opens it: the registry is sound and has all changes that were acknowledged by then.
//!
//! The model: a file's data is on the disk once it is synced; before, its sectors arrive in any
//! order. Names (created, renamed, removed) are on the disk once their folder is synced;
//! before, they arrive in their order, as on file systems with a journal.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use hps_core::names::VmId;
use ips_server::registry::Registry;

use crate::harness::Ips;
use crate::operators::Random;
use crate::sample::Sample;

const SECTOR: usize = 512;
const CALLS: &str = "trace=openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,unlink,link,linkat,copy_file_range";

/// What programs do to the folder, and the lines they print meanwhile.
#[derive(Debug, Clone)]
enum Event {
    Made(String),
    Wrote(String, usize, Vec<u8>),
    Cut(String, usize),
    Synced(String),
    Renamed(String, String),
    Linked(String, String),
    Removed(String),
    /// Copies all of one file into another.
    Copied(String, String),
    /// A line that the script printed.
    Said(String),
}

/// A change of a file's data that is not synced yet.
#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Debug, Clone, Default)]
struct File {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

/// The folder as programs see it, and as it is on the disk.
#[derive(Debug, Default)]
struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// The names after each change since the last sync.
    pending_names: Vec<BTreeMap<String, usize>>,
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => {
                data.resize(data.len().max(at + bytes.len()), 0);
                data[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Cut(length) => data.resize(*length, 0),
        }
    }

    /// One change for each sector that it touches.
    fn sectors(&self) -> Vec<Self> {
        match self {
            Self::Write(at, bytes) => bytes
                .chunks(SECTOR)
                .enumerate()
                .map(|(number, part)| Self::Write(at + number * SECTOR, part.to_vec()))
                .collect(),
            Self::Cut(length) => vec![Self::Cut(*length)],
        }
    }
}

impl File {
    /// Its data with the pending changes that `takes` selects.
    fn data(&self, mut takes: impl FnMut() -> bool) -> Vec<u8> {
        let mut data = self.synced.clone();
        for change in self.pending.iter().flat_map(Change::sectors) {
            if takes() {
                change.apply(&mut data);
            }
        }
        data
    }
}

impl Disk {
    fn file(&mut self, name: &str) -> Option<&mut File> {
        let number = *self.names.get(name)?;
        self.files.get_mut(number)
    }

    fn change(&mut self, name: &str, change: Change) {
        if let Some(file) = self.file(name) {
            file.pending.push(change);
        }
    }

    fn rename(&mut self, act: impl FnOnce(&mut BTreeMap<String, usize>)) {
        act(&mut self.names);
        self.pending_names.push(self.names.clone());
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Made(name) if !self.names.contains_key(name) => {
                let number = self.files.len();
                self.files.push(File::default());
                self.rename(|names| {
                    names.insert(name.clone(), number);
                });
            }
            Event::Made(_) | Event::Said(_) => {}
            Event::Wrote(name, at, bytes) => {
                // The only log that programs append to is not in this folder.
                self.change(name, Change::Write(*at, bytes.clone()));
            }
            Event::Cut(name, length) => self.change(name, Change::Cut(*length)),
            Event::Synced(name) if name.is_empty() => {
                self.synced_names = self.names.clone();
                self.pending_names.clear();
            }
            Event::Synced(name) => {
                if let Some(file) = self.file(name) {
                    file.synced = file.data(|| true);
                    file.pending.clear();
                }
            }
            Event::Renamed(from, to) => self.rename(|names| {
                if let Some(number) = names.remove(from) {
                    names.insert(to.clone(), number);
                }
            }),
            Event::Linked(from, to) => self.rename(|names| {
                if let Some(number) = names.get(from).copied() {
                    names.insert(to.clone(), number);
                }
            }),
            Event::Removed(name) => self.rename(|names| {
                names.remove(name);
            }),
            Event::Copied(from, to) => {
                let data = self.file(from).map(|file| file.data(|| true));
                self.change(to, Change::Write(0, data.unwrap_or_default()));
            }
        }
    }

    /// One possible state after a power loss.
    fn after_power_loss(&self, way: usize, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let all = self.pending_names.len();
        let (kept, percent) = match way {
            0 => (0, 0),
            1 => (all, 0),
            2 => (0, 100),
            3 => (all, 100),
            _ => (
                usize::try_from(random.below(all as u64 + 1)).unwrap(),
                random.pick(&[10, 50, 90]),
            ),
        };
        let names = match kept {
            0 => &self.synced_names,
            _ => &self.pending_names[kept - 1],
        };
        names
            .iter()
            .map(|(name, number)| {
                let data = self.files[*number].data(|| random.below(100) < percent);
                (name.clone(), data)
            })
            .collect()
    }
}

/// The possible states that [`Disk::after_power_loss`] takes.
const WAYS: usize = 7;

/// What the script has acknowledged.
#[derive(Debug, Clone, Default)]
struct Acknowledged {
    vms: Vec<VmId>,
    operations: usize,
    copy: bool,
}

impl Acknowledged {
    fn take(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("vm", id)) => self.vms.push(id.parse().unwrap()),
            Some(("forget", id)) => self.vms.retain(|vm| vm.as_str() != id),
            Some(("operations", count)) => self.operations = count.parse().unwrap(),
            Some(("copy", _)) => self.copy = true,
            _ => {}
        }
    }

    fn is_in(&self, folder: &Path, case: &str) {
        let registry = folder.join("registry.db");
        if self.vms.is_empty() && !registry.exists() {
            return;
        }
        let open = |path: &Path| {
            Registry::open_existing(path).unwrap_or_else(|error| {
                panic!("{case}: {}", ips_server::error::chain(&error));
            })
        };
        let found = open(&registry);
        found
            .check()
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        for vm in &self.vms {
            assert!(found.vm(vm).unwrap().is_some(), "{case}: {vm} is lost");
        }
        let operations = found.operations(None, 100).unwrap();
        let ended = operations.iter().filter(|one| one.end.is_some());
        assert!(ended.count() >= self.operations, "{case}: an end is lost");
        if self.copy {
            let copy = open(&folder.join("copy"));
            copy.check()
                .unwrap_or_else(|error| panic!("{case}: copy: {error}"));
            assert!(
                copy.vm(&"a".parse().unwrap()).unwrap().is_some(),
                "{case}: copy"
            );
        }
    }
}

/// Runs the script under strace; returns its events in the folder `db`.
fn recorded(ips: &Ips, script: &str) -> Vec<Event> {
    let line =
        format!("exec strace -f -qq -y -xx -s 10000000 -o trace -e {CALLS} sh -c '{script}'");
    let done = ips.run_sh(&line, &[]);
    assert_eq!(done.code, 0, "{done:?}");
    let text = fs::read_to_string(ips.dir.join("trace")).unwrap();
    let folder = ips.dir.join("db").display().to_string();
    let mut unfinished = HashMap::<&str, String>::new();
    let mut events = Vec::new();
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let whole = if let Some(start) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, start.to_owned());
            continue;
        } else if let Some((_, rest)) = call.split_once(" resumed>") {
            unfinished.remove(thread).unwrap_or_default() + rest
        } else {
            call.to_owned()
        };
        events.extend(event(&whole, &folder));
    }
    events
}

/// `pwrite64(3<\x2f…>, "\x00…", 4, 0) = 4`, if the call succeeded.
fn event(call: &str, folder: &str) -> Option<Event> {
    let (name, rest) = call.split_once('(')?;
    // strace puts the result in its own column.
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    if result.starts_with('-') {
        return None;
    }
    let words: Vec<_> = arguments.split(", ").collect();
    let number = |at: usize| words.get(at)?.parse::<usize>().ok();
    // The name within the folder, from the text in quotes or behind a descriptor.
    let path = |at: usize| within(&unhexed(words.get(at)?)?, folder);
    let bytes = |at: usize| unhexed(words.get(at)?);
    match name {
        "openat" if arguments.contains("O_CREAT") => Some(Event::Made(path(1)?)),
        "pwrite64" => Some(Event::Wrote(path(0)?, number(3)?, bytes(1)?)),
        "write" if call.starts_with("write(1<") => {
            let text = String::from_utf8(bytes(1)?).ok()?;
            Some(Event::Said(text.trim_end().to_owned()))
        }
        "ftruncate" => Some(Event::Cut(path(0)?, number(1)?)),
        "fsync" | "fdatasync" => Some(Event::Synced(path(0)?)),
        "rename" => Some(Event::Renamed(path(0)?, path(1)?)),
        "link" => Some(Event::Linked(path(0)?, path(1)?)),
        "linkat" => Some(Event::Linked(path(1)?, path(3)?)),
        "unlink" => Some(Event::Removed(path(0)?)),
        "copy_file_range" if result != "0" && !result.starts_with("0 ") => {
            Some(Event::Copied(path(0)?, path(2)?))
        }
        _ => None,
    }
}

/// The bytes of `"\x2f\x61"` or of `3<\x2f\x61>`.
fn unhexed(text: &str) -> Option<Vec<u8>> {
    let inside = text.trim_end_matches(['"', '>']);
    let (_, hex) = inside.split_once(['"', '<'])?;
    hex.split("\\x")
        .skip(1)
        .map(|digits| u8::from_str_radix(digits, 16).ok())
        .collect()
}

/// `registry.db-wal` of a path in the folder; empty for the folder itself.
fn within(path: &[u8], folder: &str) -> Option<String> {
    let path = String::from_utf8(path.to_vec()).ok()?;
    let rest = path.strip_prefix(folder)?.trim_start_matches('/');
    // Memory shared between processes; the first process to open the registry creates it again.
    (!rest.ends_with("-shm") && !rest.ends_with(" (deleted)")).then(|| rest.to_owned())
}

/// Simulates a power loss after each call, in each possible way.
fn without_power(ips: &Ips, name: &str, events: &[Event], every: u64) {
    let folder = ips.dir.join("after");
    let mut random = Random::of(Random::seed(5));
    let mut sample = Sample::one_of(every, name);
    let (mut disk, mut acknowledged) = (Disk::default(), Acknowledged::default());
    let mut tried = 0;
    for (number, event) in events.iter().enumerate() {
        disk.take(event);
        if let Event::Said(line) = event {
            acknowledged.take(line);
        }
        for way in (0..WAYS).filter(|_| sample.takes()) {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
            for (name, data) in disk.after_power_loss(way, &mut random) {
                fs::write(folder.join(name), data).unwrap();
            }
            let short: String = format!("{event:?}").chars().take(80).collect();
            acknowledged.is_in(
                &folder,
                &format!("{name}: call {number} ({short}), way {way}"),
            );
            tried += 1;
        }
    }
    println!("{name}: {} calls, {tried} disks", events.len());
    assert!(
        tried > 20 && acknowledged.operations > 0,
        "{tried} {acknowledged:?}"
    );
}

fn site() -> Ips {
    let mut ips = Ips::new();
    fs::create_dir(ips.dir.join("db")).unwrap();
    let registry = ips.dir.join("db/registry.db").display().to_string();
    ips.set("IPS_REGISTRY", &registry);
    ips
}

const DEFINE: &str =
    "define() { o_vm define --id $1 --name $1 --cpus 1 --ram 64 >&2 && echo vm $1; }";

#[test]
fn a_power_loss_keeps_acknowledged_changes() {
    let ips = site();
    let db = ips.dir.join("db").display().to_string();
    let script = format!(
        "{DEFINE}
        define a
        o_vm create a box >&2 && echo operations 1
        o_vm set a title=x >&2
        o_vm backup {db}/copy >&2 && echo copy made
        define b
        o_vm stop a force >&2 && echo operations 2
        echo operations 1; echo forget b
        o_vm restore {db}/copy >&2
        define c
        o_vm create c box >&2 && echo operations 2"
    );
    let events = recorded(&ips, &script);
    without_power(&ips, "operators", &events, 9);
}

/// The server keeps the registry open: no last close checkpoints and removes the WAL.
#[test]
fn a_power_loss_under_a_server_keeps_acknowledged_changes() {
    let ips = site();
    let script = format!(
        "{DEFINE}
        define a
        ips-server serve --listen 127.0.0.1:0 2>/dev/null & server=$!
        define b
        o_vm create a box >&2 && echo operations 1
        for n in 1 2 3 4 5 6 7 8; do define v$n; done
        o_vm destroy a >&2 && echo operations 2
        kill $server; wait $server
        define c"
    );
    let events = recorded(&ips, &script);
    without_power(&ips, "with a server", &events, 9);
}
