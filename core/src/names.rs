//! Names and quantities, each parsed once at the edge into a type of its own. A `VmId` need
//! not be checked again, and cannot be mistaken for a `VmName`.

use std::fmt;
use std::str::FromStr;

/// A name or quantity that does not follow its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?}: {rule}")]
pub struct NameError {
    what: &'static str,
    value: String,
    rule: &'static str,
}

impl NameError {
    fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        let value = value.chars().take(80).collect();
        Self { what, value, rule }
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr, $fold:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                let fold: fn(&str) -> String = $fold;
                check(text)
                    .then(|| Self(fold(text)))
                    .ok_or_else(|| NameError::new($what, text, $rule))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type!(
    /// The IPS's name of a VM; folded to lower case, because OpenSVC refuses upper case.
    VmId, "vm_id", "want 1 to 40 of A-Z a-z 0-9 and '-', not beginning with '-'",
    |text| shaped(text, 40, "-"), str::to_ascii_lowercase
);
text_type!(
    /// The name of a VM and of its libvirt domain.
    VmName, "VM name", "want 1 to 63 of A-Z a-z 0-9 '.' '_' '-', beginning with a letter or digit",
    |text| shaped(text, 63, "._-"), str::to_owned
);
text_type!(
    /// A cluster node, spelt as OpenSVC (or the host itself) spells it.
    NodeName, "node name", "want 1 to 63 of A-Z a-z 0-9 '.' '-', beginning with a letter or digit",
    |text| shaped(text, 63, ".-"), str::to_owned
);
text_type!(
    /// Absolute path of a disk on the node, in the one spelling that no program rewrites.
    DiskPath, "disk path", "want an absolute path of at most 4096 bytes without '//', '/./', '/../' or a '/' at its end",
    is_plain_path, str::to_owned
);
text_type!(
    /// Name of the bridge a VM interface is attached to.
    BridgeName, "bridge", "want 1 to 255 printable characters",
    |text| !text.is_empty() && text.len() <= 255 && is_printable(text), str::to_owned
);
text_type!(
    /// Free text for people: title or description. Never empty.
    Text, "text", "want printable characters on one line",
    |text| !text.is_empty() && is_printable(text), str::to_owned
);
text_type!(
    /// A word that libvirt or libosinfo gets unchanged: an OS variant or a CPU model.
    Word, "word", "want 1 to 80 of A-Z a-z 0-9 '.' '_' '+' '-', beginning with a letter or digit",
    |text| shaped(text, 80, "._+-"), str::to_owned
);

/// A letter or digit, then those or `more`; at most `max` bytes.
fn shaped(text: &str, max: usize, more: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    text.len() <= max
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
}

/// No control character, and none that XML cannot carry.
fn is_printable(text: &str) -> bool {
    text.chars()
        .all(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

fn is_plain_path(text: &str) -> bool {
    text.len() <= 4096
        && is_printable(text)
        && text
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $range:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u32);

        impl $name {
            /// The number itself.
            #[must_use]
            pub fn get(self) -> u32 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
                let number = plain.then(|| text.parse().ok()).flatten();
                number
                    .filter(|n| ($range).contains(n))
                    .map(Self)
                    .ok_or_else(|| NameError::new($what, text, $rule))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_type!(
    /// VXLAN network identifier.
    Vni, "VNI", "want a whole number from 1 to 16777215", 1..=16_777_215
);
number_type!(
    /// Memory in MiB (the specification calls it MB, and virt-install reads it as MiB).
    Mebibytes, "memory", "want a whole number of MiB from 1 to 67108864", 1..=67_108_864
);
number_type!(
    /// Number of virtual CPUs.
    Vcpus, "CPU count", "want a whole number from 1 to 4096", 1..=4096
);
number_type!(
    /// Number N of a disk, as in `disk_N_a`.
    DiskNumber, "disk number", "want a whole number from 1 to 999", 1..=999
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_id_is_folded_to_lower_case() {
        assert_eq!("AbC-1".parse::<VmId>().unwrap().as_str(), "abc-1");
    }

    #[test]
    fn a_vm_id_is_a_plain_word() {
        for bad in ["", "-a", "a b", "a.b", "a_b", "a;b", "é", &"a".repeat(41)] {
            assert!(bad.parse::<VmId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_disk_path_has_one_spelling() {
        assert!(
            "/dev/disk/by-path/ip-10.31.0.100:3260-iscsi-iqn.a:b,c=d lun"
                .parse::<DiskPath>()
                .is_ok()
        );
        for bad in [
            "", "a", "/", "//a", "/a//b", "/a/./b", "/a/../b", "/a/", "/a\nb", "pool/vol",
        ] {
            assert!(bad.parse::<DiskPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_plain_decimal_within_their_range() {
        assert_eq!("16777215".parse::<Vni>().unwrap().get(), 16_777_215);
        for bad in [
            "",
            "0",
            "+1",
            "01",
            "1.0",
            " 1",
            "16777216",
            "99999999999999999999",
        ] {
            assert!(bad.parse::<Vni>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_shows_the_value_and_the_rule() {
        let error = "a b".parse::<VmName>().unwrap_err().to_string();
        assert!(
            error.starts_with("VM name \"a b\": want 1 to 63"),
            "{error}"
        );
    }
}
