//! VM configs as text: each key, each error, and the way back.

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
fn disks_are_sorted_by_number() {
    let text = format!("disk_10_a=/c\ndisk_2_b=/b\n{LEAST}disk_2_a=/a\n");
    let config = VmConfig::parse(text.as_bytes()).unwrap().config;
    let paths: Vec<_> = config
        .disk_paths()
        .map(|(key, path)| format!("{key}={path}"))
        .collect();
    assert_eq!(paths, ["disk_2_a=/a", "disk_10_a=/c", "disk_2_b=/b"]);
}

#[test]
fn unknown_keys_are_collected() {
    let parsed = VmConfig::parse(format!("{LEAST}colour=red\ndisk_size=3\n").as_bytes()).unwrap();
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
            "line 5: boot: want network, hd or both separated by a comma",
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
fn another_provision_method_and_a_refusal_are_errors() {
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
