use hps_core::identity;
use hps_core::report::Definition;
use hps_core::state::VmState;
use proptest::prelude::*;

use super::*;

/// The output of virsh for a domain with every kind of disk.
const DISKS: &str = include_str!("../../../tests/fixtures/virsh/dumpxml-disks.out");

fn domain(name: &str, vm_id: Option<&str>, xml: &str) -> DomainReport {
    let vm_id: Option<VmId> = vm_id.map(|id| id.parse().unwrap());
    DomainReport {
        name: name.to_owned(),
        uuid: identity::uuid_of_id(&vm_id.clone().unwrap_or_else(|| "other".parse().unwrap())),
        state: VmState::Running,
        vcpus: 2,
        memory_mb: 512,
        vnc: None,
        definition: Some(Definition {
            vm_id,
            xml: xml.to_owned(),
        }),
    }
}

fn proposed(domains: Vec<DomainReport>, vms: &[Vm]) -> String {
    let inventory = Inventory {
        node: "tch-001".parse().unwrap(),
        boot_id: uuid::Uuid::nil(),
        version: "1".to_owned(),
        cpus: 1,
        memory_mb: 1,
        domains,
    };
    Proposals::of(&inventory, vms).text()
}

fn devices(xml: &str) -> String {
    format!("<domain><devices>{xml}</devices></domain>")
}

fn disk(path: &str, serial: &str) -> String {
    format!("<disk type='block'><source dev='{path}'/><serial>{serial}</serial></disk>")
}

#[test]
fn a_serial_gives_number_and_side_of_its_disk() {
    let id: VmId = "vm-1".parse().unwrap();
    let made = |key: &str| identity::serial(&format!("{id}/{key}"));
    let xml = devices(&format!(
        "{}{}{}{}{}",
        disk("/dev/a", &made("disk_1_a")),
        disk("/dev/c", &made("disk_3_a")),
        disk("/dev/b", &made("disk_1_b")),
        disk("/dev/l", "0123456789abcdef0123"),
        disk("/dev/m", "0123456789abcdef0123"),
    ));
    let text = proposed(vec![domain("web", Some("vm-1"), &xml)], &[]);
    for line in [
        "disk_1_a=/dev/a",
        "disk_1_b=/dev/b",
        "disk_2_a=/dev/l",
        "disk_2_b=/dev/m",
        "disk_3_a=/dev/c",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    assert!(
        text.contains("\nvm_id=vm-1\n") && !text.contains("uuid="),
        "{text}"
    );
}

#[test]
fn what_a_config_leaves_out_is_a_note() {
    let text = proposed(vec![domain("web", None, DISKS)], &[]);
    for part in [
        "# the node no longer has the vm_id of this domain: it is a guess\n",
        "# left out: cdrom \"/srv/vm/install.iso\"\n",
        "# left out: a disk of type \"volume\"",
        "\nvm_id=web\n",
        "\ndisk_1_a=/srv/vm/own,1.qcow2\ndisk_2_a=/dev/loop7\n",
        "\nboot=hd\ncpu_model=qemu64\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let given = format!(
        "\nuuid={}\n",
        identity::uuid_of_id(&"other".parse().unwrap())
    );
    assert!(text.contains(&given), "{text}");
}

#[test]
fn a_bridge_whose_name_has_a_number_is_a_network() {
    let interface =
        |bridge: &str| format!("<interface type='bridge'><source bridge='{bridge}'/></interface>");
    let xml = devices(&format!(
        "{}{}{}<interface type='network'><source network='default'/></interface><hostdev/>",
        interface("br_vx100"),
        interface("br-lan"),
        interface("other100"),
    ));
    let text = proposed(vec![domain("web", Some("vm-1"), &xml)], &[]);
    for part in [
        "\nvxlan_100=br_vx100\n",
        "# the VNI 100 is guessed from the name of the bridge",
        "add vxlan_VNI=br-lan\n",
        "add vxlan_VNI=other100\n",
        "# left out: an interface of type \"network\"",
        "# it has a hostdev",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_domain_that_is_not_a_vm_is_only_a_comment() {
    let many = "x".repeat(64);
    let unfinished = DomainReport {
        definition: None,
        ..domain("web", None, "")
    };
    for (domain, why) in [
        (domain("web", None, "<domain"), "not valid XML"),
        (domain("a b", None, "<domain/>"), "name: VM name \"a b\""),
        (domain(&many, None, "<domain/>"), "VM name"),
        (unfinished, "a create of it is in progress"),
    ] {
        let text = proposed(vec![domain], &[]);
        assert!(
            text.contains("# cannot be registered: ") && text.contains(why),
            "{text}"
        );
        assert!(
            text.lines()
                .all(|line| line.is_empty() || line.starts_with('#')),
            "{text}"
        );
    }
}

#[test]
fn two_domains_are_not_one_vm() {
    let text = proposed(
        vec![
            domain("web", Some("vm-1"), "<domain/>"),
            domain("vm-1", None, "<domain/>"),
        ],
        &[],
    );
    assert_eq!(text.matches("vm_id=").count(), 1, "{text}");
    assert!(text.contains("another VM has the name vm-1"), "{text}");
}

proptest! {
    /// A node is untrusted: no text of it becomes a line of the stream.
    #[test]
    fn no_text_of_a_node_becomes_a_line_of_its_own(
        name in "\\PC{0,20}|[a-z\n\r#= ]{0,12}",
        text in "\\PC{0,20}|[&a-z\n\r#;0-9 ]{0,20}",
        path in "/[a-z/\n,=&;#]{0,20}",
    ) {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;");
        let xml = format!(
            "<domain><title>{}</title><os><boot dev='{}'/></os><cpu><model>{}</model></cpu><devices>{}\
             <interface type='{}'><source bridge='{}'/></interface></devices></domain>",
            escaped(&text), escaped(&text), escaped(&text), disk(&escaped(&path), &escaped(&text)),
            escaped(&text), escaped(&name)
        );
        let known = ["vm_id", "name", "cpu_count", "ram_mb", "provision_method", "title", "uuid", "boot", "cpu_model", "disk_1_a"];
        for line in proposed(vec![domain(&name, None, &xml)], &[]).lines() {
            let key = line.split_once('=').map_or("", |(key, _)| key);
            prop_assert!(
                line.is_empty() || line.starts_with("# ") || known.contains(&key) || key.starts_with("vxlan_"),
                "{line:?}"
            );
        }
    }
}
