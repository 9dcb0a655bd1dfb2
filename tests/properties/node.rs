//! Properties of the parsers of `n_vm` for any bytes: output of virsh and qemu-img, and the
//! settings file. The fuzz targets and the tests call these same functions.

#![expect(
    clippy::unwrap_used,
    reason = "a failed expectation is a property's result"
)]

mod argv;
mod common;
#[cfg(test)]
mod node_round_trips;
mod xml;

use std::path::Path;
use std::time::Duration;

use hps_core::kv;
use hps_core::state::VmState;
use ureq::http::Uri;
use uuid::Uuid;

use crate::qemu_img;
use crate::settings::Settings;
use crate::virsh::parse;
use common::said_well;

pub use argv::virt_install;
pub use xml::domain_xml;

#[cfg(test)]
common::replayed!(virsh, domain_xml, qemu_img_json, node_conf, virt_install);

/// virsh: a listing has exactly one domain for each line; numbers, states and consoles belong
/// to listed domains.
pub fn virsh(bytes: &[u8]) {
    let text = &String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    match parse::listing(text) {
        Ok(listed) => {
            let again = listed
                .iter()
                .map(|one| format!("{} {}", one.uuid, one.name));
            let again: Vec<_> = again.collect();
            same_but_for_case(&again, &lines);
        }
        Err(what) => said_well(&what),
    }
    match parse::uuids(text) {
        Ok(uuids) => {
            let again: Vec<_> = uuids.iter().map(Uuid::to_string).collect();
            same_but_for_case(
                &again,
                &lines.iter().map(|line| line.trim()).collect::<Vec<_>>(),
            );
        }
        Err(what) => said_well(&what),
    }
    match parse::info(text) {
        Ok(info) => {
            assert_eq!(info.persistent, said(text, "Persistent") == Some("yes"));
            let memory = said(text, "Max memory").unwrap();
            assert!(
                memory.starts_with(|c: char| c.is_ascii_digit() || c == '+'),
                "{memory}"
            );
        }
        Err(what) => said_well(&what),
    }
    stats(text);
    consoles(text);
}

fn stats(text: &str) {
    // With the empty line that ends the listing.
    let head = match text.split_once("\nDomain: '") {
        Some((head, _)) => format!("{head}\n"),
        None => text.to_owned(),
    };
    match (parse::stats(text), parse::listing(&head)) {
        (Ok(all), Ok(listed)) => {
            for (one, stats) in &all {
                let block = block_of(text, &one.name);
                let number = |key| said_with(block?, key)?.parse::<u64>().ok();
                let vcpus = number("vcpu.current=").and_then(|n| u32::try_from(n).ok());
                let memory = number("balloon.maximum=").map(|kib| kib / 1024);
                assert_eq!(
                    (stats.vcpus, stats.memory_mb),
                    (vcpus.unwrap_or(0), memory.unwrap_or(0))
                );
                let state = block.and_then(|block| said_with(block, "state.state="));
                assert_eq!(
                    stats.state == VmState::ShutOff,
                    state == Some("5"),
                    "{one:?}"
                );
            }
            let names: Vec<_> = all.into_iter().map(|(one, _)| one).collect();
            assert_eq!(names, listed);
        }
        (Err(what), Err(_)) => said_well(&what),
        (one, other) => unreachable!("{one:?} and {other:?} of one listing"),
    }
}

/// The values of a domain in `virsh domstats`.
fn block_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut blocks = text.split("\nDomain: '").skip(1);
    blocks.find(|block| {
        let head = block.split('\n').next().unwrap_or_default();
        head.strip_suffix('\'').unwrap_or(head) == name
    })
}

fn said_with<'a>(block: &'a str, key: &str) -> Option<&'a str> {
    block
        .lines()
        .skip(1)
        .find_map(|line| line.trim().strip_prefix(key))
}

fn consoles(text: &str) {
    let consoles = parse::consoles(text);
    for (uuid, address) in &consoles {
        let (host, port) = address.rsplit_once(':').unwrap();
        let display = port.parse::<u32>().unwrap() - 5900;
        assert!(text.contains(&format!("{host}:")), "{address}");
        assert!(
            text.contains(&display.to_string()) || port == u32::MAX.to_string(),
            "{address}"
        );
        let lower = text.to_ascii_lowercase();
        assert!(lower.contains(&uuid.to_string()), "{uuid}");
    }
    let uuids = text
        .lines()
        .filter(|line| hps_core::identity::hyphenated(line.trim()).is_some());
    assert!(consoles.len() <= uuids.count());
}

/// The value of a key in `virsh dominfo`.
fn said<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let of_key = |line: &'a str| line.strip_prefix(key)?.strip_prefix(':');
    text.lines().find_map(of_key).map(str::trim)
}

fn same_but_for_case(found: &[String], lines: &[&str]) {
    assert_eq!(found.len(), lines.len());
    for (found, line) in found.iter().zip(lines) {
        let (uuid, name) = found.split_at(36);
        let (given_uuid, given_name) = line.split_at(36);
        assert!(
            uuid.eq_ignore_ascii_case(given_uuid),
            "{found:?} of {line:?}"
        );
        assert_eq!(name, given_name);
    }
}

/// qemu-img: at least one file, each of them a string of the answer. The error may have any
/// form: `Output::nonsense` makes it one short line.
pub fn qemu_img_json(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(files) = qemu_img::files(&text) else {
        return;
    };
    assert!(!files.is_empty());
    let plain = |c: &char| c.is_ascii_alphanumeric();
    // An escaped character may be any character.
    for file in files.iter().filter(|_| !text.contains("\\u")) {
        let mut given = text.chars();
        let mut wanted = file.chars().filter(plain);
        assert!(wanted.all(|c| given.any(|one| one == c)), "{file:?}");
    }
}

/// `node.conf`: accepted settings are usable as they are, and written settings read back the
/// same.
pub fn node_conf(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let mut settings = Settings::default();
        settings
            .read(Path::new("node.conf"), bytes)
            .map(|()| settings)
    };
    let settings = match read(bytes) {
        Ok(settings) => settings,
        Err(error) => return said_well(&error),
    };
    usable(&settings);
    let again = read(written(&settings).as_bytes()).unwrap();
    assert_eq!(format!("{again:?}"), format!("{settings:?}"));
}

fn usable(settings: &Settings) {
    let good =
        |(_, time): &(&str, Duration)| !time.is_zero() && *time <= Duration::from_secs(86_400);
    assert!(times(settings).iter().all(good), "{:?}", times(settings));
    assert!(settings.state_dir.is_absolute());
    // It is a separate argument, but must not look like an option.
    assert!(!settings.connect.starts_with('-') && !settings.connect.is_empty());
    if let Some(ips) = &settings.ips {
        let url = format!("{ips}/cgi-bin/boot_manager.sh?cmd=vm");
        let uri: Uri = url.parse().unwrap();
        assert!(uri.host().is_some_and(|host| !host.is_empty()), "{url}");
        assert_eq!(uri.query(), Some("cmd=vm"));
        let authority = uri.authority().unwrap().as_str();
        let named = authority
            .rsplit(']')
            .next()
            .unwrap_or_default()
            .contains(':');
        assert_eq!(uri.port_u16().is_some(), named, "{authority}");
    }
}

fn times(settings: &Settings) -> [(&'static str, Duration); 8] {
    [
        ("connect_timeout", settings.connect_timeout),
        ("fetch_timeout", settings.fetch_timeout),
        ("virsh_timeout", settings.virsh_timeout),
        ("virt_install_timeout", settings.virt_install_timeout),
        ("report_timeout", settings.report_timeout),
        ("lock_timeout", settings.lock_timeout),
        ("poll_interval", settings.poll_interval),
        ("resend_interval", settings.resend_interval),
    ]
}

fn written(settings: &Settings) -> String {
    let mut pairs = vec![
        ("connect", settings.connect.clone()),
        ("vnc_listen", settings.vnc_listen.to_string()),
        ("log", settings.log.to_string()),
        ("state_dir", settings.state_dir.display().to_string()),
    ];
    pairs.extend(settings.ips.clone().map(|ips| ("ips", ips)));
    pairs.extend(
        settings
            .virt_type
            .as_ref()
            .map(|word| ("virt_type", word.to_string())),
    );
    let tls = &settings.tls;
    for (key, file) in [
        ("tls_ca", &tls.tls_ca),
        ("tls_cert", &tls.tls_cert),
        ("tls_key", &tls.tls_key),
    ] {
        pairs.extend(file.iter().map(|file| (key, file.display().to_string())));
    }
    let seconds = |(key, time): (&'static str, Duration)| (key, time.as_secs_f64().to_string());
    pairs.extend(times(settings).map(seconds));
    pairs
        .iter()
        .map(|(key, value)| kv::line(key, value))
        .collect()
}
