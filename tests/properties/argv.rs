//! The argv of virt-install, read as virt-install reads it: argparse, then Python's
//! shlex at the commas. `node_round_trips` holds this reader to virt-install's own.

use std::path::Path;

use hps_core::config::{Firmware, VmConfig};
use hps_core::identity;
use uuid::Uuid;

use super::common::said_well;
use crate::settings::Settings;
use crate::virt_install::Plan;

/// Keys that every config needs, so that the parser reaches the others.
const LEAST: &str = "name=web\ncpu_count=2\nram_mb=512\nprovision_method=virt-install\n";
/// Separates the settings from the config.
const CUT: &str = "\n---\n";

/// A key and its value, of the comma syntax.
pub(super) type Tuple = (String, Option<String>);
/// An option with its values.
type Given = (String, Vec<Tuple>);

/// For any settings and config the argv has exactly the options, devices, suboptions and values
/// that they request. The input is a config without the required keys, after settings and a
/// `---` if it has such.
pub fn virt_install(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (conf, config) = text.split_once(CUT).unwrap_or(("", text));
    let mut settings = Settings::default();
    let read = settings.read(Path::new("node.conf"), conf.as_bytes());
    let config = VmConfig::parse(format!("{LEAST}{config}").as_bytes());
    if let (Ok(()), Ok(parsed)) = (read, config) {
        let uuid = parsed.config.uuid.unwrap_or(Uuid::from_u128(1));
        check(&settings, &parsed.config, uuid, conf.len() % 2 == 1);
    }
}

pub(super) fn check(settings: &Settings, config: &VmConfig, uuid: Uuid, os_known: bool) {
    let serials: Vec<_> = config
        .disk_paths()
        .map(|(key, _)| identity::serial(&key))
        .collect();
    let plan = Plan {
        connect: &settings.connect,
        virt_type: settings.virt_type.as_ref(),
        vnc_listen: settings.vnc_listen,
        uuid,
        config,
        serials: &serials,
        os_known,
    };
    let argv = match plan.argv() {
        Ok(argv) => argv,
        Err(error) => {
            assert!(carries_xml(config), "{error}");
            return said_well(&error);
        }
    };
    assert!(!carries_xml(config));
    assert_eq!(read(&argv), wanted(&plan), "{argv:?}");
}

/// Whether a path or a bridge has a character that virt-install escapes twice.
fn carries_xml(config: &VmConfig) -> bool {
    let bridges = config
        .networks
        .iter()
        .map(|network| network.bridge.as_str());
    let mut all = config
        .disk_paths()
        .map(|(_, path)| path.as_str())
        .chain(bridges);
    all.any(|text| text.contains(['&', '<', '>', '"', '\'']))
}

/// The options in their order, as argparse and the comma syntax have them.
fn read(argv: &[String]) -> Vec<Given> {
    let mut words = argv.iter();
    assert_eq!(words.next().map(String::as_str), Some("virt-install"));
    let mut given = Vec::new();
    while let Some(option) = words.next() {
        let values = match option.as_str() {
            "--import" | "--noautoconsole" => Vec::new(),
            "--connect" | "--name" | "--uuid" | "--virt-type" => {
                vec![(value_of(words.next()).to_owned(), None)]
            }
            _ => tuples(value_of(words.next())).unwrap(),
        };
        given.push((option.clone(), values));
    }
    given
}

/// argparse takes a word that begins with `-` for an option, in any position.
fn value_of(word: Option<&String>) -> &str {
    let word = word.unwrap();
    assert!(!word.starts_with('-') && !word.contains('\0'), "{word:?}");
    word
}

fn wanted(plan: &Plan<'_>) -> Vec<Given> {
    let config = plan.config;
    let mut given = vec![alone("--connect", plan.connect)];
    given.extend(
        plan.virt_type
            .map(|word| alone("--virt-type", word.as_str())),
    );
    given.push(alone("--name", config.name.as_str()));
    given.push(alone("--uuid", &plan.uuid.to_string()));
    given.push(alone("--memory", &config.memory.to_string()));
    given.push(alone("--vcpus", &config.vcpus.to_string()));
    let model = config.cpu_model.iter();
    given.extend(model.map(|word| pairs("--cpu", &[("model", word.as_str())])));
    let disks = config.disk_paths().zip(plan.serials);
    let disks = disks.map(|((_, path), serial)| {
        let disk = [
            ("path", path.as_str()),
            ("bus", "virtio"),
            ("serial", serial),
        ];
        pairs("--disk", &disk)
    });
    given.extend(or_none("--disk", disks.collect()));
    let networks = config.networks.iter().map(|network| {
        pairs(
            "--network",
            &[("bridge", network.bridge.as_str()), ("model", "virtio")],
        )
    });
    given.extend(or_none("--network", networks.collect()));
    let listen = ("listen".to_owned(), Some(plan.vnc_listen.to_string()));
    given.push((
        "--graphics".to_owned(),
        vec![("vnc".to_owned(), None), listen],
    ));
    given.push(boot(config));
    given.push(match &config.os_variant {
        Some(variant) if plan.os_known => pairs("--osinfo", &[("name", variant.as_str())]),
        _ => pairs("--osinfo", &[("detect", "on"), ("require", "off")]),
    });
    let texts = [
        ("title", &config.title),
        ("description", &config.description),
    ];
    let texts = texts
        .iter()
        .filter_map(|(key, text)| Some((*key, text.as_ref()?.as_str())));
    let texts: Vec<_> = texts.collect();
    if !texts.is_empty() {
        given.push(pairs("--metadata", &texts));
    }
    given.extend(["--import", "--noautoconsole"].map(|flag| (flag.to_owned(), Vec::new())));
    given
}

fn boot(config: &VmConfig) -> Given {
    let mut words: Vec<_> = config.boot.iter().map(|device| device.as_str()).collect();
    if words.is_empty() {
        words = vec!["network", "hd"];
    }
    if config.firmware == Some(Firmware::Uefi) {
        words.push("uefi");
    }
    let words = words.into_iter().map(|word| (word.to_owned(), None));
    ("--boot".to_owned(), words.collect())
}

fn alone(option: &str, value: &str) -> Given {
    (option.to_owned(), vec![(value.to_owned(), None)])
}

fn pairs(option: &str, pairs: &[(&str, &str)]) -> Given {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), Some((*value).to_owned()));
    (option.to_owned(), pairs.iter().map(pair).collect())
}

fn or_none(option: &str, given: Vec<Given>) -> Vec<Given> {
    if given.is_empty() {
        vec![alone(option, "none")]
    } else {
        given
    }
}

/// `parse_optstr_tuples` of virtinst/cli.py: tokens of `shlex`, split at the first `=`.
/// `None` if shlex finds no end of a quotation or of an escape.
pub(super) fn tuples(text: &str) -> Option<Vec<Tuple>> {
    let mut chars = text.chars();
    let mut tuples = Vec::new();
    while let Some(token) = token(&mut chars)? {
        tuples.push(match token.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (token, None),
        });
    }
    Some(tuples)
}

/// One token as `shlex.shlex(text, posix=True)` reads it, with white space "," only,
/// `whitespace_split` and no comments.
#[expect(clippy::option_option, reason = "malformed, no more, or a token")]
fn token(chars: &mut std::str::Chars<'_>) -> Option<Option<String>> {
    let (mut token, mut started) = (String::new(), false);
    while let Some(c) = chars.next() {
        match c {
            ',' if started => return Some(Some(token)),
            ',' => continue,
            '\\' => token.push(chars.next()?),
            '\'' => loop {
                match chars.next()? {
                    '\'' => break,
                    inner => token.push(inner),
                }
            },
            '"' => loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => match chars.next()? {
                        escaped @ ('"' | '\\') => token.push(escaped),
                        other => token.extend(['\\', other]),
                    },
                    inner => token.push(inner),
                }
            },
            plain => token.push(plain),
        }
        started = true;
    }
    Some(started.then_some(token))
}
