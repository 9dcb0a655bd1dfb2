//! Random values, written and read back.

use std::fmt::Debug;
use std::str::FromStr;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use uuid::Uuid;

use crate::config::{BootDevice, Disk, Firmware, Network, VmConfig};
use crate::names::{DiskNumber, DiskPath};
use crate::report::{Definition, DomainReport, Inventory, Report};
use crate::state::VmState;

fn parsed<T: FromStr<Err: Debug> + Debug>(pattern: &'static str) -> impl Strategy<Value = T> {
    proptest::string::string_regex(pattern)
        .unwrap()
        .prop_map(|text| text.parse().unwrap())
}

/// Printable text with every character of any syntax.
const LINE: &str = r#"[^\p{Cc}\u{fffe}\u{ffff}]{1,40}|[-=,#'"\\ <>&;$]{1,12}"#;

fn number<T: FromStr<Err: Debug> + Debug>(most: u32) -> impl Strategy<Value = T> {
    (1..=most).prop_map(|n| n.to_string().parse().unwrap())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    (1..=u128::MAX).prop_map(Uuid::from_u128)
}

fn path() -> impl Strategy<Value = DiskPath> {
    parsed(r#"(/[^\p{Cc}\u{fffe}\u{ffff}/.]{1,12}){1,4}"#)
}

fn disks() -> impl Strategy<Value = Vec<Disk>> {
    btree_map(1..=999_u32, (path(), option::of(path())), 0..5).prop_map(|disks| {
        let disk = |(number, (a, b)): (u32, _)| Disk {
            number: number.to_string().parse::<DiskNumber>().unwrap(),
            a,
            b,
        };
        disks.into_iter().map(disk).collect()
    })
}

fn networks() -> impl Strategy<Value = Vec<Network>> {
    btree_map(1..=16_777_215_u32, parsed(LINE), 0..4).prop_map(|networks| {
        let network = |(vni, bridge): (u32, _)| Network {
            vni: vni.to_string().parse().unwrap(),
            bridge,
        };
        networks.into_iter().map(network).collect()
    })
}

fn config() -> impl Strategy<Value = VmConfig> {
    use BootDevice::{Hd, Network as Pxe};
    let word = || option::of(parsed("[A-Za-z0-9][A-Za-z0-9._+-]{0,20}"));
    let boots = [vec![], vec![Hd], vec![Pxe], vec![Hd, Pxe], vec![Pxe, Hd]];
    let first = (
        parsed("[A-Za-z0-9][A-Za-z0-9._-]{0,62}"),
        number(4096),
        number(67_108_864),
        disks(),
        networks(),
        option::of(parsed(LINE)),
        option::of(parsed(LINE)),
    );
    let firmware = option::of(select(&[Firmware::Bios, Firmware::Uefi][..]));
    let second = (
        option::of(uuid()),
        word(),
        firmware,
        select(boots.to_vec()),
        word(),
    );
    (first, second).prop_map(|(first, second)| {
        let (name, vcpus, memory, disks, networks, title, description) = first;
        let (uuid, os_variant, firmware, boot, cpu_model) = second;
        VmConfig {
            name,
            vcpus,
            memory,
            disks,
            networks,
            title,
            description,
            uuid,
            os_variant,
            firmware,
            boot,
            cpu_model,
        }
    })
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\x00-\\u{9f}]{0,40}",
        "\\PC{0,200}",
        Just(String::new()),
        // A destroy lists every file it removed.
        (0..200_000_usize).prop_map(|length| "é/".repeat(length / 2)),
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let vm_id = parsed("[a-z0-9][a-z0-9-]{0,39}");
    let node = parsed("[A-Za-z0-9][A-Za-z0-9.-]{0,62}");
    let (verb, state) = (parsed("[a-z][a-z-]{0,22}"), select(&VmState::ALL[..]));
    (uuid(), vm_id, verb, node, any::<u8>(), state, message()).prop_map(
        |(operation, vm_id, verb, node, exit_code, state, message)| Report {
            operation,
            vm_id,
            verb,
            node,
            exit_code,
            state,
            message,
        },
    )
}

fn domain() -> impl Strategy<Value = DomainReport> {
    let vnc = option::of("[0-9.]{1,12}:[0-9]{1,5}");
    let (state, numbers) = (select(&VmState::ALL[..]), (any::<u32>(), any::<u64>()));
    let id = option::of(parsed("[a-z0-9][a-z0-9-]{0,39}"));
    let definition = (id, "[^\\p{Cc}]{0,40}").prop_map(|(vm_id, xml)| Definition { vm_id, xml });
    let looks = (vnc, option::of(definition));
    ("[^\\p{Cc}]{0,40}", uuid(), state, numbers, looks).prop_map(
        |(name, uuid, state, (vcpus, memory_mb), (vnc, definition))| DomainReport {
            name,
            uuid,
            state,
            vcpus,
            memory_mb,
            vnc,
            definition,
        },
    )
}

fn inventory() -> impl Strategy<Value = Inventory> {
    let node = parsed("[A-Za-z0-9][A-Za-z0-9.-]{0,62}");
    let domains = vec(domain(), 0..20);
    (
        node,
        uuid(),
        "[0-9a-z.]{0,12}",
        any::<u32>(),
        any::<u64>(),
        domains,
    )
        .prop_map(
            |(node, boot_id, version, cpus, memory_mb, domains)| Inventory {
                node,
                boot_id,
                version,
                cpus,
                memory_mb,
                domains,
            },
        )
}

proptest! {
    #![proptest_config(super::common::cases(100))]

    #[test]
    fn a_config_is_read_as_it_was_written(config in config()) {
        let text = config.to_text();
        assert_eq!(VmConfig::parse(text.as_bytes()).unwrap().config, config);
        super::vm_config(text.as_bytes());
    }

    #[test]
    fn any_result_can_be_reported(report in report()) {
        let read = Report::parse(report.to_text().as_bytes()).unwrap();
        let begin: String = crate::kv::one_line(&report.message).chars().take(1000).collect();
        assert!(read.message.starts_with(&begin));
        assert_eq!(Report { message: report.message.clone(), ..read }, report);
    }

    #[test]
    fn an_inventory_is_read_as_it_was_written(inventory in inventory()) {
        let text = inventory.to_text();
        assert_eq!(Inventory::parse(text.as_bytes()), Ok(inventory));
        super::report(text.as_bytes());
    }

    #[test]
    fn a_name_is_a_name_in_any_text(text in "[-A-Za-z0-9._+/ ]{0,70}|\\PC{0,70}|[0-9]{0,12}") {
        super::names(text.as_bytes());
    }
}
