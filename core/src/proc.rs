//! Facts from `/proc`: this boot, this host and its processes (man 5 proc).

use std::fs::read_to_string;
use std::io;

use uuid::Uuid;

use crate::identity;

/// Where the kernel shows the id of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The id of this boot; another after each start of the host.
///
/// # Errors
/// The file cannot be read, or holds no UUID.
pub fn boot_id() -> io::Result<Uuid> {
    let text = read_to_string(BOOT_ID)?;
    identity::hyphenated(text.trim())
        .ok_or_else(|| io::Error::other(format!("{BOOT_ID}: not a UUID")))
}

/// The host's name.
#[must_use]
pub fn hostname() -> Option<String> {
    let name = read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The memory of the host in MiB.
#[must_use]
pub fn memory_mb() -> Option<u64> {
    memory_of(&read_to_string("/proc/meminfo").ok()?)
}

fn memory_of(meminfo: &str) -> Option<u64> {
    // MemTotal:        8123456 kB
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

/// The CPUs of the host, which are more than those that this process may use.
#[must_use]
pub fn cpus() -> Option<u32> {
    cpus_of(&read_to_string("/proc/stat").ok()?)
}

fn cpus_of(stat: &str) -> Option<u32> {
    // The first line sums up the CPUs; cpu0, cpu1 and so on follow it.
    let each = stat.lines().skip(1);
    let count = each.take_while(|line| line.starts_with("cpu")).count();
    u32::try_from(count).ok().filter(|count| *count > 0)
}

/// The load average of the last 15 minutes.
#[must_use]
pub fn load_15m() -> Option<f64> {
    load_of(&read_to_string("/proc/loadavg").ok()?)
}

fn load_of(loadavg: &str) -> Option<f64> {
    // 0.20 0.18 0.12 1/80 11206
    loadavg.split_ascii_whitespace().nth(2)?.parse().ok()
}

/// A process. The start time and the boot id distinguish it from a later process with the
/// same pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Clock ticks between the start of the host and that of the process.
    pub started: u64,
    /// The boot during which it runs; empty where the kernel did not show it.
    pub boot_id: String,
}

impl Process {
    /// This process.
    #[must_use]
    pub fn this() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: start_time(pid).unwrap_or(0),
            boot_id: boot_id_text(),
        }
    }

    /// Whether this very process still runs; a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot_id == boot_id_text() && start_time(self.pid) == Some(self.started)
    }
}

fn boot_id_text() -> String {
    boot_id().map_or_else(|_| String::new(), |id| id.to_string())
}

fn start_time(pid: u32) -> Option<u64> {
    start_time_of(&read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn start_time_of(stat: &str) -> Option<u64> {
    // 123 (a name) S 1 …: field 22. The name may hold spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    fields.nth(18)?.parse().ok().filter(|_| state != "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_every_fact() {
        assert!(boot_id().is_ok() && hostname().is_some() && load_15m().is_some());
        assert!(memory_mb().unwrap() > 0 && cpus().unwrap() > 0);
    }

    #[test]
    fn facts_are_read_from_the_kernels_text() {
        let meminfo = "MemFree: 1 kB\nMemTotal:       24689764 kB\n";
        assert_eq!(memory_of(meminfo), Some(24_111));
        assert_eq!(cpus_of("cpu  9 9\ncpu0 1\ncpu1 2\nintr 5\n"), Some(2));
        assert_eq!(load_of("0.20 0.18 0.12 1/80 11206\n"), Some(0.12));
    }

    #[test]
    fn facts_that_are_missing_are_none() {
        assert_eq!(memory_of("MemTotal: much kB\n"), None);
        assert_eq!(cpus_of(""), None);
        assert_eq!(load_of("0.20 0.18"), None);
    }

    #[test]
    fn a_process_name_may_hold_anything() {
        let fields = "1 ".repeat(18);
        let stat = |state: &str| format!("7 (a) S 1) {state} {fields}4711 9\n");
        assert_eq!(start_time_of(&stat("S")), Some(4711));
        assert_eq!(start_time_of(&stat("Z")), None);
        assert_eq!(start_time_of("7 (a"), None);
    }

    #[test]
    fn another_boot_or_start_time_is_another_process() {
        let this = Process::this();
        assert!(this.is_alive());
        let started = this.started + 1;
        let boot_id = "x".to_owned();
        assert!(
            !Process {
                started,
                ..this.clone()
            }
            .is_alive()
        );
        assert!(!Process { boot_id, ..this }.is_alive());
    }
}
