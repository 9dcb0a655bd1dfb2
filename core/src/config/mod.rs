//! The VM config: the IPS's definition of a VM (design: contract 1). Parsed once into types;
//! `to_text` writes the same text back, which the server sends.

mod error;
mod parse;

use std::fmt::Write as _;
use std::str::FromStr;

use uuid::Uuid;

use crate::kv;
use crate::names::{BridgeName, DiskNumber, DiskPath, Mebibytes, Text, Vcpus, VmName, Vni, Word};

pub use error::ConfigError;
use parse::Draft;

/// The definition of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmConfig {
    /// `name`: of the VM and of its domain.
    pub name: VmName,
    /// `cpu_count`.
    pub vcpus: Vcpus,
    /// `ram_mb`.
    pub memory: Mebibytes,
    /// By number.
    pub disks: Vec<Disk>,
    /// In the order given.
    pub networks: Vec<Network>,
    /// `title`, for people.
    pub title: Option<Text>,
    /// `description`, for people.
    pub description: Option<Text>,
    /// `uuid`; without it the UUID follows from the `vm_id` ([`crate::identity::vm_uuid`]).
    pub uuid: Option<Uuid>,
    /// `os_variant`, as libosinfo names it.
    pub os_variant: Option<Word>,
    /// `firmware`; without it virt-install decides.
    pub firmware: Option<Firmware>,
    /// `boot`; empty: the default, network then hd.
    pub boot: Vec<BootDevice>,
    /// `cpu_model`, as libvirt names it.
    pub cpu_model: Option<Word>,
}

/// `disk_N_a` and, where there is one, `disk_N_b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// N.
    pub number: DiskNumber,
    /// The first path.
    pub a: DiskPath,
    /// The second path.
    pub b: Option<DiskPath>,
}

/// `vxlan_VNI=BRIDGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The network.
    pub vni: Vni,
    /// The bridge of the node that leads to it.
    pub bridge: BridgeName,
}

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident, $rule:expr, $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

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
    /// The firmware that boots the VM.
    Firmware, "want bios or uefi",
    /// SeaBIOS.
    Bios = "bios",
    /// OVMF, or what the host has for its architecture.
    Uefi = "uefi"
);
/// The rule of `boot`.
const BOOT_RULE: &str = "want network, hd or both separated by a comma";
word_enum!(
    /// A step of the boot order.
    BootDevice, BOOT_RULE,
    /// The VM's first network.
    Network = "network",
    /// The VM's first disk.
    Hd = "hd"
);

/// The one provision method there is.
const PROVISION_METHOD: &str = "virt-install";

/// A config, and the keys in it that are unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedConfig {
    /// The config.
    pub config: VmConfig,
    /// In the order given.
    pub unknown_keys: Vec<String>,
}

impl VmConfig {
    /// Parses the text of a VM config.
    ///
    /// # Errors
    /// The line and the key of the first mistake.
    pub fn parse(bytes: &[u8]) -> Result<ParsedConfig, ConfigError> {
        let pairs = kv::parse(bytes)?;
        if let Some(refusal) = pairs.iter().find(|pair| pair.key == "error") {
            return Err(ConfigError::Refused(parse::refusal_text(refusal.value)));
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

    /// The keys with one value at most, in their order.
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

#[cfg(test)]
mod tests;
