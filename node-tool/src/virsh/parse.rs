//! Parsers for the output of virsh; `tests/fixtures/virsh` has real samples of each.

use hps_core::state::VmState;
use hps_core::{identity, kv};
use uuid::Uuid;

/// A domain of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedDomain {
    pub uuid: Uuid,
    /// Any text: domains of others are listed too.
    pub name: String,
}

/// The facts of `dominfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    pub state: VmState,
    /// Whether it is defined: a transient one is gone once it is off.
    pub persistent: bool,
    pub vcpus: u32,
    pub memory_mb: u64,
}

/// The facts of `domstats`; 0 where a driver does not report one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stats {
    pub state: VmState,
    pub vcpus: u32,
    pub memory_mb: u64,
}

/// `virsh list --all --uuid --name`.
pub(crate) fn listing(text: &str) -> Result<Vec<ListedDomain>, String> {
    is_complete(text)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(listed).collect()
}

/// Each listing ends with an empty line, an empty one too. Without it the listing is cut off,
/// and does not prove that a domain is absent.
fn is_complete(text: &str) -> Result<(), String> {
    if text == "\n" || text.ends_with("\n\n") {
        Ok(())
    } else {
        Err("an incomplete listing".to_owned())
    }
}

/// `45251ba2-51f5-541b-9627-6958bb19f0d3 web`; the name may hold spaces.
fn listed(line: &str) -> Result<ListedDomain, String> {
    let parts = line.split_at_checked(36).and_then(|(uuid, rest)| {
        let uuid = identity::hyphenated(uuid)?;
        Some((uuid, rest.strip_prefix(' ')?))
    });
    let Some((uuid, name)) = parts else {
        return Err(format!("want a UUID and a name, not {:?}", kv::shown(line)));
    };
    let name = name.to_owned();
    Ok(ListedDomain { uuid, name })
}

/// One UUID a line, with spaces around it.
pub(crate) fn uuids(text: &str) -> Result<Vec<Uuid>, String> {
    is_complete(text)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            identity::hyphenated(line)
                .ok_or_else(|| format!("want a UUID, not {:?}", kv::shown(line)))
        })
        .collect()
}

/// `virsh dominfo UUID`.
pub(crate) fn info(text: &str) -> Result<Info, String> {
    // State:          shut off
    let value = |key: &str| {
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        found
            .map(str::trim)
            .ok_or_else(|| format!("{key:?} is missing"))
    };
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| format!("want a number, not {:?}", kv::shown(text)))
    };
    let memory = value("Max memory")?.trim_end_matches(" KiB");
    Ok(Info {
        state: state_of_word(value("State")?),
        persistent: value("Persistent")? == "yes",
        vcpus: u32::try_from(number(value("CPU(s)")?)?).unwrap_or(u32::MAX),
        memory_mb: number(memory)? / 1024,
    })
}

/// The words of `virshDomainStateTypeToString`.
fn state_of_word(word: &str) -> VmState {
    match word {
        "running" | "idle" | "in shutdown" => VmState::Running,
        "paused" => VmState::Paused,
        "shut off" => VmState::ShutOff,
        "crashed" => VmState::Crashed,
        "pmsuspended" => VmState::PmSuspended,
        _ => VmState::Unknown,
    }
}

/// The numbers of `virDomainState`.
fn state_of_number(number: &str) -> VmState {
    match number {
        "1" | "2" | "4" => VmState::Running,
        "3" => VmState::Paused,
        "5" => VmState::ShutOff,
        "6" => VmState::Crashed,
        "7" => VmState::PmSuspended,
        _ => VmState::Unknown,
    }
}

/// `virsh 'list --all --uuid --name; domstats …'`: the listing, then one block a domain.
pub(crate) fn stats(text: &str) -> Result<Vec<(ListedDomain, Stats)>, String> {
    // The line end before the first block is the empty line that ends the listing.
    let begin = text.find("\nDomain: '").unwrap_or(text.len());
    let listing_text = text.get(..=begin).unwrap_or(text);
    let blocks = &text[begin..];
    let blocks: Vec<_> = blocks.split("\nDomain: '").skip(1).map(block).collect();
    let all = listing(listing_text)?.into_iter().map(|listed| {
        let found = blocks.iter().find(|(name, _)| *name == listed.name);
        // A domain that appeared or disappeared between the two commands.
        let nothing = Stats {
            state: VmState::Unknown,
            vcpus: 0,
            memory_mb: 0,
        };
        let stats = found.map_or(nothing, |(_, stats)| stats.clone());
        (listed, stats)
    });
    Ok(all.collect())
}

/// `web'`, then `  state.state=1` and so on.
/// One block of `domstats`; a value that is missing is 0.
fn block(text: &str) -> (&str, Stats) {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let value = |key: &str| rest.lines().find_map(|line| line.trim().strip_prefix(key));
    let stats = Stats {
        state: state_of_number(value("state.state=").unwrap_or_default()),
        vcpus: value("vcpu.current=")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0),
        memory_mb: value("balloon.maximum=")
            .and_then(|kib| kib.parse::<u64>().ok())
            .map_or(0, |kib| kib / 1024),
    };
    (head.strip_suffix('\'').unwrap_or(head), stats)
}

/// `UUID`, then `127.0.0.1:0` where it has a console: display n is port 5900 + n.
pub(crate) fn consoles(text: &str) -> Vec<(Uuid, String)> {
    let mut found = Vec::new();
    let mut of = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(uuid) = identity::hyphenated(line) {
            of = Some(uuid);
        } else if let (Some(uuid), Some((host, display))) = (of.take(), line.rsplit_once(':'))
            && let Ok(display) = display.parse::<u32>()
        {
            found.push((uuid, format!("{host}:{}", display.saturating_add(5900))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/virsh/", $name))
        };
    }

    #[test]
    fn a_real_listing_is_read_with_odd_names_and_blank_lines() {
        let names: Vec<_> = listing(fixture!("list-uuid-name.out")).unwrap();
        let names: Vec<_> = names.iter().map(|listed| listed.name.as_str()).collect();
        assert_eq!(names, ["web", "made by 'hand'", "7"]);
        assert_eq!(listing(fixture!("list-uuid-name-empty.out")), Ok(vec![]));
    }

    #[test]
    fn an_incomplete_listing_is_an_error() {
        let full = fixture!("list-uuid-name.out");
        for length in 0..full.len() {
            assert!(listing(&full[..length]).is_err(), "{length}");
        }
        assert!(uuids("").is_err() && stats("").is_err());
    }

    #[test]
    fn a_listing_of_another_form_is_not_empty() {
        assert!(listing(" Id   Name   State\n----\n").is_err());
        assert!(uuids("Name\n").is_err());
    }

    #[test]
    fn real_dominfo_of_each_state_is_read() {
        for (text, state, persistent) in [
            (fixture!("dominfo-running.out"), VmState::Running, true),
            (fixture!("dominfo-paused.out"), VmState::Paused, true),
            (fixture!("dominfo-shut-off.out"), VmState::ShutOff, true),
            (fixture!("dominfo-transient.out"), VmState::Running, false),
        ] {
            let want = Info {
                state,
                persistent,
                vcpus: 1,
                memory_mb: 64,
            };
            assert_eq!(info(text), Ok(want));
        }
        assert!(info("").is_err());
    }

    #[test]
    fn real_domstats_are_joined_with_the_listing_by_name() {
        let all = stats(fixture!("list-domstats.out")).unwrap();
        let all: Vec<_> = all
            .iter()
            .map(|(listed, stats)| {
                (
                    listed.name.as_str(),
                    stats.state,
                    stats.vcpus,
                    stats.memory_mb,
                )
            })
            .collect();
        assert_eq!(
            all,
            [
                ("web", VmState::Running, 2, 64),
                ("made by 'hand'", VmState::Paused, 2, 64),
                ("7", VmState::ShutOff, 2, 64),
            ]
        );
        assert_eq!(stats(fixture!("list-domstats-empty.out")), Ok(vec![]));
    }

    #[test]
    fn each_console_belongs_to_the_uuid_before_it() {
        let consoles = consoles(fixture!("vncdisplays.out"));
        let consoles: Vec<_> = consoles
            .iter()
            .map(|(_, address)| address.as_str())
            .collect();
        assert_eq!(consoles, ["127.0.0.1:5900", "127.0.0.1:5901"]);
    }
}
