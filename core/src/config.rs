//! The VM config: what the IPS says a VM is (design: contract 1). Parsed once into
//! types; `to_text` writes the same text back, which is what the server sends.

use std::fmt::Write as _;
use std::str::FromStr;

use uuid::Uuid;

use crate::identity;
use crate::kv::{self, KvError, Pair};
use crate::names::{BridgeName, DiskNumber, DiskPath, Mebibytes, Text, Vcpus, VmName, Vni, Word};

/// What a VM is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the format")]
pub struct VmConfig {
    pub name: VmName,
    pub vcpus: Vcpus,
    pub memory: Mebibytes,
    /// By number.
    pub disks: Vec<Disk>,
    /// In the order given.
    pub networks: Vec<Network>,
    pub title: Option<Text>,
    pub description: Option<Text>,
    pub uuid: Option<Uuid>,
    pub os_variant: Option<Word>,
    pub firmware: Option<Firmware>,
    /// Empty: the default, network then hd.
    pub boot: Vec<BootDevice>,
    pub cpu_model: Option<Word>,
}

/// `disk_N_a` and, where there is one, `disk_N_b`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the format")]
pub struct Disk {
    pub number: DiskNumber,
    pub a: DiskPath,
    pub b: Option<DiskPath>,
}

/// `vxlan_VNI=BRIDGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the parts of the key")]
pub struct Network {
    pub vni: Vni,
    pub bridge: BridgeName,
}

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $($variant:ident = $word:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the words are the documentation")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err($rule) }
            }
        }
    };
}

word_enum!(
    /// What boots the VM.
    Firmware, "want bios or uefi", Bios = "bios", Uefi = "uefi"
);
word_enum!(
    /// A step of the boot order.
    BootDevice, "want network, hd or both parted by a comma", Network = "network", Hd = "hd"
);

/// The one provision method there is.
const PROVISION_METHOD: &str = "virt-install";

/// A text that is no usable VM config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum ConfigError {
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error("line {line}: {key}: {reason}")]
    Value {
        line: usize,
        key: String,
        reason: String,
    },
    #[error("line {line}: {key} without disk_{number}_a")]
    SecondPathAlone {
        line: usize,
        key: String,
        number: DiskNumber,
    },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("line {line}: provision_method {method:?} is not supported: want {PROVISION_METHOD}")]
    Method { line: usize, method: String },
    /// The server's `error=TEXT`.
    #[error("{0}")]
    Refused(String),
}

/// A config and the keys in it that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub struct Parsed {
    pub config: VmConfig,
    pub unknown_keys: Vec<String>,
}

impl VmConfig {
    /// Parses the text of a VM config.
    ///
    /// # Errors
    /// What is wrong, with its line and key.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, ConfigError> {
        let pairs = kv::parse(bytes)?;
        if let Some(refusal) = pairs.iter().find(|pair| pair.key == "error") {
            return Err(ConfigError::Refused(beginning(refusal.value)));
        }
        let mut draft = Draft::default();
        for pair in &pairs {
            draft.take(pair)?;
        }
        draft.finish()
    }

    /// The text of this config, keys in the specification's order.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut put = |key: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={value}");
        };
        put("name", self.name.as_str());
        put("cpu_count", &self.vcpus.to_string());
        put("ram_mb", &self.memory.to_string());
        put("provision_method", PROVISION_METHOD);
        for disk in &self.disks {
            put(&format!("disk_{}_a", disk.number), disk.a.as_str());
            if let Some(b) = &disk.b {
                put(&format!("disk_{}_b", disk.number), b.as_str());
            }
        }
        for network in &self.networks {
            put(&format!("vxlan_{}", network.vni), network.bridge.as_str());
        }
        for (key, value) in self.optional_words() {
            if let Some(value) = value {
                put(key, &value);
            }
        }
        text
    }

    /// The keys that have one value or none, in their order.
    fn optional_words(&self) -> [(&'static str, Option<String>); 7] {
        let boot: Vec<_> = self.boot.iter().map(|device| device.as_str()).collect();
        [
            ("title", self.title.as_ref().map(ToString::to_string)),
            (
                "description",
                self.description.as_ref().map(ToString::to_string),
            ),
            ("uuid", self.uuid.map(|uuid| uuid.to_string())),
            (
                "os_variant",
                self.os_variant.as_ref().map(ToString::to_string),
            ),
            (
                "firmware",
                self.firmware.map(|firmware| firmware.as_str().to_owned()),
            ),
            ("boot", (!boot.is_empty()).then(|| boot.join(","))),
            (
                "cpu_model",
                self.cpu_model.as_ref().map(ToString::to_string),
            ),
        ]
    }

    /// Every disk path with its key, all `_a` by number, then all `_b`.
    pub fn disk_paths(&self) -> impl Iterator<Item = (String, &DiskPath)> {
        let first = self
            .disks
            .iter()
            .map(|disk| (format!("disk_{}_a", disk.number), &disk.a));
        let second = self
            .disks
            .iter()
            .filter_map(|disk| Some((format!("disk_{}_b", disk.number), disk.b.as_ref()?)));
        first.chain(second)
    }
}

/// What has been read so far; only `finish` knows what is missing.
#[derive(Default)]
struct Draft {
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
    fn take(&mut self, pair: &Pair<'_>) -> Result<(), ConfigError> {
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

    /// `disk_N_a`, `disk_N_b`, `vxlan_VNI`, or a key nobody knows.
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

    fn finish(self) -> Result<Parsed, ConfigError> {
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
        Ok(Parsed {
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

/// As much of a refusal as a log line and a report can bear.
fn beginning(refusal: &str) -> String {
    if refusal.trim().is_empty() {
        return "refused, without a reason".to_owned();
    }
    refusal.chars().take(500).collect()
}

fn wrong(pair: &Pair<'_>, reason: &impl ToString) -> ConfigError {
    ConfigError::Value {
        line: pair.line,
        key: kv::shown(pair.key),
        reason: reason.to_string(),
    }
}

fn part<T: FromStr<Err: ToString>>(pair: &Pair<'_>, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| wrong(pair, &error))
}

fn value<T: FromStr<Err: ToString>>(pair: &Pair<'_>) -> Result<T, ConfigError> {
    part(pair, pair.value)
}

/// An empty text is no text.
fn optional(pair: &Pair<'_>) -> Result<Option<Text>, ConfigError> {
    (!pair.value.is_empty()).then(|| value(pair)).transpose()
}

fn uuid(pair: &Pair<'_>) -> Result<Uuid, ConfigError> {
    identity::hyphenated(pair.value)
        .filter(|uuid| !uuid.is_nil())
        .ok_or_else(|| wrong(pair, &"want a UUID as 8-4-4-4-12 hex digits, not all zero"))
}

fn boot(pair: &Pair<'_>) -> Result<Vec<BootDevice>, ConfigError> {
    let devices = pair
        .value
        .split(',')
        .map(|word| part(pair, word))
        .collect::<Result<Vec<_>, _>>()?;
    match devices.as_slice() {
        [one, two] if one == two => Err(wrong(pair, &"the same device twice")),
        [_] | [_, _] => Ok(devices),
        _ => Err(wrong(pair, &"want network, hd or both parted by a comma")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "name=test-vm-01\ncpu_count=4\nram_mb=8192\nprovision_method=virt-install\n\
        disk_1_a=/dev/a1\ndisk_1_b=/dev/b1\ndisk_2_a=/dev/a2\nvxlan_1000=br-vxlan-1000\n\
        title=Web, \"server\"\ndescription=A $(x)\nuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8\n\
        os_variant=debian12\nfirmware=uefi\nboot=hd,network\ncpu_model=host-passthrough\n";
    const LEAST: &str = "name=v\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\n";

    fn error(text: &str) -> String {
        VmConfig::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_key_is_read_and_written_back() {
        let parsed = VmConfig::parse(FULL.as_bytes()).unwrap();
        assert_eq!(parsed.config.to_text(), FULL);
        assert!(parsed.unknown_keys.is_empty());
    }

    #[test]
    fn a_vm_without_disk_and_network_is_valid() {
        assert_eq!(
            VmConfig::parse(LEAST.as_bytes()).unwrap().config.to_text(),
            LEAST
        );
    }

    #[test]
    fn disks_come_by_number_whatever_their_order() {
        let text = format!("disk_10_a=/c\ndisk_2_b=/b\n{LEAST}disk_2_a=/a\n");
        let config = VmConfig::parse(text.as_bytes()).unwrap().config;
        let paths: Vec<_> = config
            .disk_paths()
            .map(|(key, path)| format!("{key}={path}"))
            .collect();
        assert_eq!(paths, ["disk_2_a=/a", "disk_10_a=/c", "disk_2_b=/b"]);
    }

    #[test]
    fn unknown_keys_are_collected_and_do_no_harm() {
        let parsed =
            VmConfig::parse(format!("{LEAST}colour=red\ndisk_size=3\n").as_bytes()).unwrap();
        assert_eq!(parsed.unknown_keys, ["colour", "disk_size"]);
    }

    #[test]
    fn each_error_names_line_and_key() {
        for (extra, want) in [
            ("disk_1_b=/b", "line 5: disk_1_b without disk_1_a"),
            (
                "vxlan_0=br0",
                "line 5: vxlan_0: VNI \"0\": want a whole number from 1 to 16777215",
            ),
            (
                "vxlan_16777216=br0",
                "line 5: vxlan_16777216: VNI \"16777216\": want a whole number from 1 to 16777215",
            ),
            (
                "vxlan_5=",
                "line 5: vxlan_5: bridge \"\": want 1 to 255 printable characters",
            ),
            ("firmware=efi", "line 5: firmware: want bios or uefi"),
            ("boot=hd,hd", "line 5: boot: the same device twice"),
            (
                "boot=cdrom",
                "line 5: boot: want network, hd or both parted by a comma",
            ),
            (
                "uuid=x",
                "line 5: uuid: want a UUID as 8-4-4-4-12 hex digits, not all zero",
            ),
        ] {
            assert_eq!(error(&format!("{LEAST}{extra}\n")), want);
        }
    }

    #[test]
    fn required_keys_are_required() {
        for (key, line) in [
            ("name", 0),
            ("cpu_count", 1),
            ("ram_mb", 2),
            ("provision_method", 3),
        ] {
            let text: String = LEAST
                .lines()
                .enumerate()
                .filter(|(i, _)| *i != line)
                .map(|(_, l)| format!("{l}\n"))
                .collect();
            assert_eq!(error(&text), format!("{key} is missing"));
        }
    }

    #[test]
    fn another_provision_method_and_a_refusal_are_told_apart() {
        assert!(matches!(
            VmConfig::parse(b"provision_method=cloud\nname=v\n"),
            Err(ConfigError::Method { line: 1, .. })
        ));
        assert_eq!(
            VmConfig::parse(b"error=no such VM\n"),
            Err(ConfigError::Refused("no such VM".into()))
        );
        assert_eq!(error("error=\n"), "refused, without a reason");
    }

    proptest::proptest! {
        #[test]
        fn what_parses_is_written_back_the_same(text in "((name|cpu_count|ram_mb|disk_1_a|disk_1_b|vxlan_5|title|boot)=[/a-z0-9,]{0,6}\n){0,8}") {
            if let Ok(parsed) = VmConfig::parse(format!("provision_method=virt-install\n{text}").as_bytes()) {
                let again = VmConfig::parse(parsed.config.to_text().as_bytes()).unwrap();
                proptest::prop_assert_eq!(again.config, parsed.config);
            }
        }
    }
}
