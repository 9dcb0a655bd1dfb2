//! Makes a VM config from pairs: each value is parsed in turn; missing keys are found at the
//! end.

use std::str::FromStr;

use uuid::Uuid;

use crate::identity;
use crate::kv::{self, Pair};
use crate::names::{DiskNumber, DiskPath, Mebibytes, Text, Vcpus, VmName, Word};

use super::{
    BOOT_RULE, BootDevice, ConfigError, Disk, Firmware, Network, PROVISION_METHOD, ParsedConfig,
    VmConfig,
};

/// The values so far.
#[derive(Default)]
pub(super) struct Draft {
    name: Option<VmName>,
    vcpus: Option<Vcpus>,
    memory: Option<Mebibytes>,
    method_given: bool,
    first_paths: Vec<(DiskNumber, DiskPath)>,
    second_paths: Vec<(DiskNumber, DiskPath, usize)>,
    networks: Vec<Network>,
    title: Option<Text>,
    description: Option<Text>,
    uuid: Option<Uuid>,
    os_variant: Option<Word>,
    firmware: Option<Firmware>,
    boot: Vec<BootDevice>,
    cpu_model: Option<Word>,
    unknown_keys: Vec<String>,
}

impl Draft {
    /// Adds one pair.
    pub(super) fn take(&mut self, pair: &Pair<'_>) -> Result<(), ConfigError> {
        match pair.key {
            "name" => self.name = Some(value(pair)?),
            "cpu_count" => self.vcpus = Some(value(pair)?),
            "ram_mb" => self.memory = Some(value(pair)?),
            "provision_method" => self.take_method(pair)?,
            "title" => self.title = optional(pair)?,
            "description" => self.description = optional(pair)?,
            "uuid" => self.uuid = Some(uuid(pair)?),
            "os_variant" => self.os_variant = Some(value(pair)?),
            "firmware" => self.firmware = Some(value(pair)?),
            "boot" => self.boot = boot(pair)?,
            "cpu_model" => self.cpu_model = Some(value(pair)?),
            _ => self.take_numbered(pair)?,
        }
        Ok(())
    }

    fn take_method(&mut self, pair: &Pair<'_>) -> Result<(), ConfigError> {
        self.method_given = true;
        if pair.value == PROVISION_METHOD {
            return Ok(());
        }
        Err(ConfigError::Method {
            line: pair.line,
            method: kv::shown(pair.value),
        })
    }

    /// `disk_N_a`, `disk_N_b`, `vxlan_VNI`, or an unknown key.
    fn take_numbered(&mut self, pair: &Pair<'_>) -> Result<(), ConfigError> {
        if let Some(vni) = pair.key.strip_prefix("vxlan_") {
            let vni = part(pair, vni)?;
            self.networks.push(Network {
                vni,
                bridge: value(pair)?,
            });
        } else if let Some((number, path)) = disk_key(pair.key) {
            let number = part(pair, number)?;
            match path {
                Path::First => self.first_paths.push((number, value(pair)?)),
                Path::Second => self.second_paths.push((number, value(pair)?, pair.line)),
            }
        } else {
            self.unknown_keys.push(pair.key.to_owned());
        }
        Ok(())
    }

    /// The config, unless something is missing.
    pub(super) fn finish(self) -> Result<ParsedConfig, ConfigError> {
        let disks = join_paths(self.first_paths, self.second_paths)?;
        let config = VmConfig {
            name: self.name.ok_or(ConfigError::Missing("name"))?,
            vcpus: self.vcpus.ok_or(ConfigError::Missing("cpu_count"))?,
            memory: self.memory.ok_or(ConfigError::Missing("ram_mb"))?,
            disks,
            networks: self.networks,
            title: self.title,
            description: self.description,
            uuid: self.uuid,
            os_variant: self.os_variant,
            firmware: self.firmware,
            boot: self.boot,
            cpu_model: self.cpu_model,
        };
        if !self.method_given {
            return Err(ConfigError::Missing("provision_method"));
        }
        Ok(ParsedConfig {
            config,
            unknown_keys: self.unknown_keys,
        })
    }
}

enum Path {
    First,
    Second,
}

/// `("7", First)` of `disk_7_a`.
fn disk_key(key: &str) -> Option<(&str, Path)> {
    let rest = key.strip_prefix("disk_")?;
    let first = rest.strip_suffix("_a").map(|number| (number, Path::First));
    first.or_else(|| rest.strip_suffix("_b").map(|number| (number, Path::Second)))
}

fn join_paths(
    mut first: Vec<(DiskNumber, DiskPath)>,
    mut second: Vec<(DiskNumber, DiskPath, usize)>,
) -> Result<Vec<Disk>, ConfigError> {
    first.sort_by_key(|(number, _)| *number);
    let mut take_second = |wanted: DiskNumber| {
        let at = second.iter().position(|(number, ..)| *number == wanted)?;
        Some(second.swap_remove(at).1)
    };
    let disks = first
        .into_iter()
        .map(|(number, a)| Disk {
            number,
            a,
            b: take_second(number),
        })
        .collect();
    match second.pop() {
        None => Ok(disks),
        Some((number, _, line)) => Err(ConfigError::SecondPathAlone {
            line,
            key: format!("disk_{number}_b"),
            number,
        }),
    }
}

/// The beginning of a refusal: it goes into a log line and into a report.
pub(super) fn refusal_text(refusal: &str) -> String {
    if refusal.trim().is_empty() {
        return "refused, without a reason".to_owned();
    }
    refusal.chars().take(500).collect()
}

fn invalid(pair: &Pair<'_>, reason: &impl ToString) -> ConfigError {
    ConfigError::Value {
        line: pair.line,
        key: kv::shown(pair.key),
        reason: reason.to_string(),
    }
}

fn part<T: FromStr<Err: ToString>>(pair: &Pair<'_>, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| invalid(pair, &error))
}

fn value<T: FromStr<Err: ToString>>(pair: &Pair<'_>) -> Result<T, ConfigError> {
    part(pair, pair.value)
}

/// An empty text counts as none.
fn optional(pair: &Pair<'_>) -> Result<Option<Text>, ConfigError> {
    (!pair.value.is_empty()).then(|| value(pair)).transpose()
}

fn uuid(pair: &Pair<'_>) -> Result<Uuid, ConfigError> {
    identity::hyphenated(pair.value)
        .filter(|uuid| !uuid.is_nil())
        .ok_or_else(|| invalid(pair, &"want a UUID as 8-4-4-4-12 hex digits, not all zero"))
}

fn boot(pair: &Pair<'_>) -> Result<Vec<BootDevice>, ConfigError> {
    let devices = pair
        .value
        .split(',')
        .map(|word| part(pair, word))
        .collect::<Result<Vec<_>, _>>()?;
    match devices.as_slice() {
        [one, two] if one == two => Err(invalid(pair, &"the same device twice")),
        [_] | [_, _] => Ok(devices),
        _ => Err(invalid(pair, &BOOT_RULE)),
    }
}
