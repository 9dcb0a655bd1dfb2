//! Random values, written and read back; and the readers of the properties, compared with the
//! programs that they model.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use hps_core::exec::Command;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::sample::select;

use super::{argv, common, xml};
use crate::domain_xml::{Disk, Source, disks};
use crate::task::paths;

/// Reads lines of hex, prints the tuples that virt-install parses from each.
const VIRTINST: &str = r#"
import sys
sys.path.insert(0, "/usr/share/virt-manager")
from virtinst.cli import parse_optstr_tuples
for line in sys.stdin:
    try:
        tuples = parse_optstr_tuples(bytes.fromhex(line).decode())
        print(";".join(k.encode().hex() + ("" if v is None else "=" + v.encode().hex()) for k, v in tuples))
    except ValueError:
        print("malformed")
"#;

#[test]
fn the_comma_syntax_is_read_as_virt_install_reads_it() {
    let alphabet = ["a", ",", "=", "\"", "'", "\\", " ", "#", "é"];
    let mut texts = vec![String::new()];
    for length in 0..4 {
        let longest: Vec<_> = texts
            .iter()
            .filter(|t| t.chars().count() == length)
            .cloned()
            .collect();
        texts.extend(
            longest
                .iter()
                .flat_map(|text| alphabet.map(|c| format!("{text}{c}"))),
        );
    }
    let input: String = texts.iter().map(|text| hex(text) + "\n").collect();
    let output = Command::new("/usr/bin/python3", Duration::from_secs(60))
        .args(["-c", VIRTINST])
        .input(input)
        .run()
        .unwrap()
        .success()
        .unwrap();
    let printed = output.text();
    assert_eq!(printed.lines().count(), texts.len());
    for (text, printed) in texts.iter().zip(printed.lines()) {
        let tuple = |(key, value): &argv::Tuple| match value {
            Some(value) => format!("{}={}", hex(key), hex(value)),
            None => hex(key),
        };
        let ours = argv::tuples(text).map_or("malformed".to_owned(), |tuples| {
            tuples.iter().map(tuple).collect::<Vec<_>>().join(";")
        });
        assert_eq!(ours, printed, "{text:?}");
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn json_of_any_depth_is_read_or_refused() {
    for deep in ["[", "{\"a\":", "<a>", "<a b='"] {
        let text = deep.repeat(300_000);
        super::qemu_img_json(text.as_bytes());
        super::domain_xml(text.as_bytes());
    }
    let closed = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
    super::domain_xml(closed.as_bytes());
}

proptest! {
    #![proptest_config(common::cases(200))]

    #[test]
    fn no_config_adds_an_argument_a_device_or_a_suboption(
        texts in vec(r#"[^\p{Cc}\u{fffe}\u{ffff}]{1,20}|[-=,#'"\\ a]{1,12}"#, 4),
        uefi in any::<bool>(),
    ) {
        let [title, description, path, bridge] = texts.as_slice() else { unreachable!() };
        let path = path.replace(['/', '.', '&', '<', '>', '"', '\''], "_");
        let bridge = bridge.replace(['&', '<', '>', '"', '\''], "_");
        let firmware = if uefi { "uefi" } else { "bios" };
        let config = format!(
            "title={title}\ndescription={description}\ndisk_1_a=/{path}\ndisk_1_b=/b{path}\n\
             vxlan_7={bridge}\nfirmware={firmware}\n"
        );
        super::virt_install(config.as_bytes());
    }

    #[test]
    fn paths_to_keep_are_read_as_they_were_written(
        kept in vec(vec(1_u8.., 0..20), 0..5),
        lower in any::<bool>(),
    ) {
        let encoded = |bytes: &Vec<u8>| {
            let digits = |b: &u8| if lower { format!("%{b:02x}") } else { format!("%{b:02X}") };
            format!("/{}", bytes.iter().map(digits).collect::<String>())
        };
        let text = kept.iter().map(encoded).collect::<Vec<_>>().join(":");
        let want = kept.iter().map(|bytes| {
            PathBuf::from(OsStr::from_bytes(&[b"/", bytes.as_slice()].concat()))
        });
        prop_assert_eq!(paths(&text).unwrap(), want.collect::<Vec<_>>());
    }

    #[test]
    fn a_percent_is_followed_by_two_hex_digits(word in "[%0-9a-g+ -]{0,6}") {
        let mut parts = word.split('%').skip(1);
        let good = parts.all(|part| {
            part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit())
        });
        prop_assert_eq!(paths(&format!("/{word}")).is_ok(), good);
    }

    #[test]
    fn disks_are_read_as_they_were_written(
        texts in vec(("[^\\p{Cc}\u{fffe}\u{ffff}]{0,12}", option::of("[a-z0-9]{1,6}")), 0..4),
        device in select(&["disk", "cdrom", "floppy", "lun"][..]),
        flags in any::<(bool, bool)>(),
    ) {
        let made: Vec<_> = texts.into_iter().map(|(path, volume)| Disk {
            target: "vda".to_owned(),
            source: match volume {
                Some(volume) => Source::Volume { pool: path, volume },
                None => Source::File(format!("/{path}")),
            },
            device: device.to_owned(),
            format: "qcow2".to_owned(),
            readonly: flags.0,
            shareable: flags.1,
        }).collect();
        prop_assert_eq!(disks(&xml::written(&made)), Ok(made));
    }
}
